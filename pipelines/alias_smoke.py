"""The new process of the smoke test: it finds a model as any user of the registry would, by its alias, and scores rows.

    python -m pipelines.alias_smoke PRODUCT ALIAS DIGEST PACKAGES ROWS SCORES

It imports the model's libraries and MLflow alone, which takes seconds: the retrain goes on meanwhile. MLflow comes second, since skops
goes through all that is loaded before it. The file must have the digest that is judged, and is named by in the home, so what the
registry gives is what scoring reads. PACKAGES, separated by commas, are those whose types it may hold beside those that always may.
"""

import sys
import tempfile
from pathlib import Path

MODEL_FILE = "model.skops"


def main(product: str, alias: str, digest: str, packages: str, rows: str, scores: str) -> None:
    import numpy as np
    import pandas as pd

    from evergreen import models

    with tempfile.TemporaryDirectory() as folder:
        file = _found(product, alias, folder)
        model = models.load(file, digest, [name for name in packages.split(",") if name])
    np.save(scores, models.predict(model, pd.read_parquet(rows)))


def _found(product: str, alias: str, folder: str) -> Path:
    import mlflow

    from pipelines import places

    mlflow.set_tracking_uri(places.tracking_uri())
    return Path(mlflow.artifacts.download_artifacts(f"models:/{product}@{alias}", dst_path=folder)) / MODEL_FILE


if __name__ == "__main__":
    main(*sys.argv[1:])
