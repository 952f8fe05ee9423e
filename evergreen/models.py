"""Models: one scikit-learn pipeline holds preprocessing and estimator, so every place that predicts transforms alike.

Files are skops archives: data, not code. Loading checks the digest first and refuses any type that is not named here.
This module imports scikit-learn and XGBoost; import it inside the function that needs it.
"""

from pathlib import Path

import numpy as np
import pandas as pd
import skops.io
import xgboost
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline

from evergreen.config import Features, LogisticModel, Model, XGBoostModel
from evergreen.digests import digest_file
from evergreen.errors import ModelError
from evergreen.features import FeatureEncoder, one_hot, owner
from evergreen.tasks import Floats

TRUSTED_TYPES = [
    "numpy.dtype",
    "evergreen.features.FeatureEncoder",
    "evergreen.models.FeatureEncoder",  # as files of earlier versions name it
    "xgboost.core.Booster",
    "xgboost.sklearn.XGBClassifier",
]


def build(model: Model, features: Features, seed: int) -> Pipeline:
    """An unfitted pipeline for a declared model."""
    if isinstance(model, XGBoostModel):
        return Pipeline(
            [
                ("features", FeatureEncoder(features.categorical, features.numeric)),
                ("model", _trees(model, features, seed)),
            ]
        )
    return Pipeline([("features", one_hot(features)), ("model", _linear(model, seed))])


def fit(model: Model, features: Features, seed: int, rows: pd.DataFrame) -> Pipeline:
    """The pipeline fitted to rows with a `label`. Raises ModelError where they hold one class only."""
    if rows.label.nunique() < 2:
        raise ModelError(
            f"all {len(rows)} training rows have the same label: wait for both classes, or check label.when"
        )
    return build(model, features, seed).fit(rows[features.names], rows.label.to_numpy())


def predict(pipeline: Pipeline, rows: pd.DataFrame) -> Floats:
    """The probability of the label, shape (rows,)."""
    names = pipeline.feature_names_in_ if hasattr(pipeline, "feature_names_in_") else _feature_names(pipeline)
    return np.asarray(pipeline.predict_proba(rows[list(names)])[:, 1], dtype="float64")


def importances(pipeline: Pipeline, features: Features) -> dict[str, float]:
    """A share for each feature, summing to 1: gain of the trees, or absolute standardised coefficients."""
    estimator = pipeline["model"]
    if hasattr(estimator, "feature_importances_"):
        weights = dict(zip(features.names, estimator.feature_importances_, strict=True))
    else:
        weights = dict.fromkeys(features.names, 0.0)
        for column, weight in zip(
            pipeline["features"].get_feature_names_out(), np.abs(estimator.coef_[0]), strict=True
        ):
            weights[owner(column, features)] += float(weight)
    total = float(sum(weights.values())) or 1.0
    return {name: float(weight) / total for name, weight in weights.items()}


def save(pipeline: Pipeline, path: Path) -> None:
    """Write a pipeline as a skops archive."""
    skops.io.dump(pipeline, path)


def load(path: Path, digest: str) -> Pipeline:
    """Read a pipeline whose file has this SHA-256. Raises ModelError where it is absent, changed or holds untrusted types."""
    if not path.exists():
        raise ModelError(f"{path} is missing")
    if digest_file(path) != digest:
        raise ModelError(
            f"{path} differs from the file that was judged (its digest is not the ledger's); it is not loaded"
        )
    try:
        return skops.io.load(path, trusted=TRUSTED_TYPES)
    except Exception as problem:
        raise ModelError(f"{path} cannot be loaded: {problem}") from problem


def _feature_names(pipeline: Pipeline) -> list[str]:
    encoder = pipeline["features"]
    return [*encoder.categorical, *encoder.numeric]


def _trees(model: XGBoostModel, features: Features, seed: int) -> "xgboost.XGBClassifier":
    return xgboost.XGBClassifier(
        n_estimators=model.n_estimators,
        max_depth=model.max_depth,
        learning_rate=model.learning_rate,
        tree_method="hist",
        enable_categorical=True,
        feature_types=["c"] * len(features.categorical) + ["q"] * len(features.numeric),
        n_jobs=model.threads,
        random_state=seed,
    )


def _linear(model: LogisticModel, seed: int) -> LogisticRegression:
    return LogisticRegression(C=model.C, max_iter=200, random_state=seed)
