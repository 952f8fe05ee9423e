"""Models: one scikit-learn pipeline holds preprocessing and estimator, so every place that predicts transforms alike.

Files are skops archives: data, not code. Loading checks the digest first and refuses any type that is not trusted (`trust`).
This module imports scikit-learn and XGBoost; import it inside the function that needs it.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import skops.io
import xgboost
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import Pipeline

from evergreen import estimators, trust
from evergreen.config import (
    BINARY,
    Features,
    LinearModel,
    LogisticModel,
    Model,
    ModuleModel,
    SeasonalNaiveModel,
    SklearnModel,
    Target,
    XGBoostModel,
)
from evergreen.digests import digest_file
from evergreen.errors import ModelError
from evergreen.features import FeatureEncoder, owner, prepared
from evergreen.seasonal_naive import SeasonalNaive, column_of
from evergreen.tasks import Floats

SHUFFLED_ROWS = 1000


def build(model: Model, features: Features, seed: int, target: Target = BINARY) -> Pipeline:
    """An unfitted pipeline for a declared model."""
    if isinstance(model, SeasonalNaiveModel):
        return Pipeline([("model", SeasonalNaive(model.keys))])
    if isinstance(model, XGBoostModel):
        encoder = FeatureEncoder(features.categorical, features.numeric, features.boolean, features.date)
        return Pipeline([("features", encoder), ("model", _trees(model, encoder, seed, target))])
    if isinstance(model, SklearnModel | ModuleModel):
        estimator = estimators.make(model, target.task, seed)
        return Pipeline([("features", prepared(features, sparse_threshold=bool(features.text))), ("model", estimator)])
    return Pipeline([("features", prepared(features)), ("model", _linear(model, seed))])


def fit(model: Model, features: Features, seed: int, rows: pd.DataFrame, target: Target = BINARY) -> Pipeline:
    """The pipeline fitted to rows with a `label`. Raises ModelError where all labels are the same."""
    if rows.label.nunique() < 2:
        wait = (
            "wait for both classes, or check label.when"
            if target == BINARY
            else "wait for others, or check label.value"
        )
        raise ModelError(f"all {len(rows)} training rows have the same label: {wait}")
    if isinstance(model, SeasonalNaiveModel):
        rows = rows.sort_values("event_time", kind="stable")
    known = rows if target.task == "regression" else _with_every_class(rows, target.classes)
    return build(model, features, seed, target).fit(known[features.names], known.label.to_numpy())


def _with_every_class(rows: pd.DataFrame, classes: int) -> pd.DataFrame:
    """The rows, and one more for each class that they lack: it stays possible, and every model has a probability for every class."""
    lacking = sorted(set(range(classes)) - set(rows.label.unique()))
    if not lacking:
        return rows
    invented = rows.iloc[[-1] * len(lacking)].assign(label=[float(place) for place in lacking])
    return pd.concat([rows, invented], ignore_index=True)


def predict(pipeline: Pipeline, rows: pd.DataFrame) -> Floats:
    """The probability of the label or the number that is expected, shape (rows,); of several classes, shape (rows, classes)."""
    names = pipeline.feature_names_in_ if hasattr(pipeline, "feature_names_in_") else _feature_names(pipeline)
    answers = np.asarray(getattr(pipeline, answering(pipeline))(rows[list(names)]), dtype="float64")
    return answers[:, 1] if answers.ndim == 2 and answers.shape[1] == 2 else answers


def answering(pipeline: Pipeline) -> str:
    """The method that a pipeline is asked by: for probabilities, or for numbers."""
    return "predict_proba" if hasattr(pipeline, "predict_proba") else "predict"


def importances(pipeline: Pipeline, features: Features, rows: pd.DataFrame) -> dict[str, float]:
    """A share for each feature, summing to 1: gain of the trees, or absolute standardised coefficients; of an estimator that has
    neither, how far its scores of `rows` move where the values of a feature change places."""
    weights = _own_weights(pipeline, features) or _weights_by_shuffling(pipeline, features, rows)
    total = sum(weights.values()) or 1.0
    return {name: weight / total for name, weight in weights.items()}


def _own_weights(pipeline: Pipeline, features: Features) -> dict[str, float] | None:
    """What an estimator says of its columns, for each feature; None where it says nothing."""
    estimator = pipeline["model"]
    if isinstance(estimator, SeasonalNaive):
        columns = [column_of(key, features.names) for key in estimator.keys]
        return {name: columns.count(name) / len(columns) for name in features.names}
    found = getattr(estimator, "feature_importances_", getattr(estimator, "coef_", None))
    if not isinstance(found, np.ndarray):
        return None
    weights = dict.fromkeys(features.names, 0.0)
    size = np.abs(np.atleast_2d(found)).mean(axis=0)
    for column, weight in zip(pipeline["features"].get_feature_names_out(), size, strict=True):
        weights[owner(column, features)] += float(weight)
    return weights


def _weights_by_shuffling(pipeline: Pipeline, features: Features, rows: pd.DataFrame) -> dict[str, float]:
    some = rows.sample(min(SHUFFLED_ROWS, len(rows)), random_state=0)
    scores, order = predict(pipeline, some), np.random.default_rng(0).permutation(len(some))

    def moved(name: str) -> float:
        shuffled = some.assign(**{name: some[name].iloc[order].set_axis(some.index)})
        return float(np.abs(predict(pipeline, shuffled) - scores).mean())

    return {name: moved(name) for name in features.names}


def save(pipeline: Pipeline, path: Path) -> None:
    """Write a pipeline as a skops archive."""
    skops.io.dump(pipeline, path)


def load(path: Path, digest: str, packages: Sequence[str] = ()) -> Pipeline:
    """Read a pipeline whose file has this SHA-256; `packages` are trusted beside those that always are.

    Raises ModelError where it is absent, changed or holds untrusted types.
    """
    if not path.exists():
        raise ModelError(f"{path} is missing")
    if digest_file(path) != digest:
        raise ModelError(
            f"{path} differs from the file that was judged (its digest is not the ledger's); it is not loaded"
        )
    try:
        return skops.io.load(path, trusted=trust.types_of_file(path, packages))
    except Exception as problem:
        raise ModelError(f"{path} cannot be loaded: {problem}") from problem


def _feature_names(pipeline: Pipeline) -> list[str]:
    encoder = pipeline["features"]
    return [*encoder.categorical, *encoder.numeric, *encoder.boolean, *encoder.date]


def _trees(model: XGBoostModel, encoder: FeatureEncoder, seed: int, target: Target) -> "xgboost.XGBModel":
    kind = xgboost.XGBRegressor if target.task == "regression" else xgboost.XGBClassifier
    return kind(
        n_estimators=model.n_estimators,
        max_depth=model.max_depth,
        learning_rate=model.learning_rate,
        tree_method="hist",
        enable_categorical=True,
        feature_types=["c" if name.startswith("categorical__") else "q" for name in encoder.get_feature_names_out()],
        n_jobs=model.threads,
        random_state=seed,
    )


def _linear(model: LogisticModel | LinearModel, seed: int) -> LogisticRegression | Ridge:
    if isinstance(model, LinearModel):
        return Ridge(alpha=model.alpha, random_state=seed)
    return LogisticRegression(C=model.C, max_iter=200, random_state=seed)
