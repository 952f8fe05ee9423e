"""The new process of the smoke test: it finds a model as any user of the registry would, by its alias, and scores rows.

    python -m pipelines.alias_smoke PRODUCT ALIAS DIGEST PACKAGES ROWS SCORES

It imports MLflow and the model's libraries alone, which takes seconds: the retrain goes on meanwhile. The file must have the digest
that is judged, and is named by in the home, so what the registry gives is what scoring reads. PACKAGES, separated by commas, are those
whose types it may hold beside those that always may.
"""

import sys
import tempfile
from pathlib import Path

MODEL_FILE = "model.skops"


def main(product: str, alias: str, digest: str, packages: str, rows: str, scores: str) -> None:
    import mlflow
    import numpy as np
    import pandas as pd

    from evergreen import models
    from pipelines import places

    mlflow.set_tracking_uri(places.tracking_uri())
    with tempfile.TemporaryDirectory() as folder:
        found = mlflow.artifacts.download_artifacts(f"models:/{product}@{alias}", dst_path=folder)
        model = models.load(Path(found) / MODEL_FILE, digest, [name for name in packages.split(",") if name])
    np.save(scores, models.predict(model, pd.read_parquet(rows)))


if __name__ == "__main__":
    main(*sys.argv[1:])
