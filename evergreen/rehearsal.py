"""A rehearsal: the declared model is fitted to made-up rows, asked, written and read back, before the first training day needs it.

This module imports `evergreen.models`; import it inside the function that needs it.
"""

import tempfile
import warnings
from pathlib import Path

import numpy as np
import pandas as pd

from evergreen import models
from evergreen.config import Product
from evergreen.digests import digest_file
from evergreen.errors import ConfigError
from evergreen.tasks import Floats, task_of
from evergreen.trust import packages_of

ROWS = 500
TEXT = "; texts become a sparse matrix: choose an estimator that takes one, such as sklearn.linear_model.SGDClassifier"


def rehearse(product: Product) -> None:
    """Raises ConfigError where the declared model cannot do what a training asks of it; what it learns here means nothing."""
    rows, training = made_up_rows(product), product.training
    try:
        with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
            warnings.simplefilter("ignore")  # on made-up rows nothing converges
            fitted = models.fit(training.model, product.features, training.seed, rows, product.target)
            task_of(product).check(models.predict(fitted, rows), len(rows))
            path = Path(folder) / "model.skops"
            models.save(fitted, path)
            models.load(path, digest_file(path), packages_of(training.model))
    except ConfigError:
        raise
    except Exception as problem:
        raise ConfigError(
            f"training.model: it does not work on {ROWS} made-up rows of the declared features "
            f"({type(problem).__name__}: {problem}){TEXT if product.features.text else ''}"
        ) from problem


def made_up_rows(product: Product) -> pd.DataFrame:
    """Rows with every declared feature, some values missing, and a `label`."""
    features, random = product.features, np.random.default_rng(7)
    words = ["red", "green", "blue", "grey"]
    columns = {
        **{name: random.normal(size=ROWS) for name in features.numeric},
        **{name: random.integers(0, 2, ROWS).astype("float64") for name in features.boolean},
        **{name: pd.Series(random.choice(words, ROWS), dtype="str") for name in features.categorical},
        **{
            name: pd.Timestamp("2024-01-01") + pd.to_timedelta(random.integers(0, 9999, ROWS), "h")
            for name in features.date
        },
        **{
            name: pd.Series([" ".join(random.choice(words, 3)) for _ in range(ROWS)], dtype="str")
            for name in features.text
        },
    }
    rows = pd.DataFrame(columns)
    missing = random.uniform(size=rows.shape) < 0.05
    return rows.mask(missing).assign(label=_labels(product, random))


def _labels(product: Product, random: np.random.Generator) -> Floats:
    """A label for each row, and for a number one that is above zero, which every regressor takes."""
    if product.task == "regression":
        return np.asarray(random.gamma(2.0, size=ROWS), dtype="float64")
    return random.integers(0, product.target.classes, ROWS).astype("float64")
