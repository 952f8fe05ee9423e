"""Drift of inputs and predictions against the days on which the champion was judged, judged by effect size and never by p-values:
on many rows every p-value is zero.
"""

from typing import Any

import numpy as np
import pandas as pd

from evergreen import wide
from evergreen.config import Features
from evergreen.tasks import Floats

BINS = 10
MAX_CATEGORIES = 30
PREDICTION = "prediction"
OTHER, MISSING = "other", "missing"
TABLE_COLUMNS = ["feature", "importance", "psi", "jensen_shannon", "wasserstein", "rows"]

Profile = dict[str, Any]
Predictions = Floats | pd.Series
"""One value a row: a number, or a class that was decided for."""


def profile(rows: pd.DataFrame, features: Features, importances: dict[str, float], scores: Predictions) -> Profile:
    """What the champion was judged on: for each feature its bins and shares, for the predictions likewise.

    `scores` are the model's on rows that it was not trained on (`Task.watched`). Numbers are cut at deciles, categories at the most
    frequent; both have a bin for missing values. A date counts by its weekday, since dates move by themselves, and a text by its
    words, so that another language or subject shows. JSON-ready.
    """
    parts = {name: _numeric_profile(rows[name].to_numpy()) for name in features.numeric}
    parts |= {name: _categorical_profile(rows[name]) for name in [*features.categorical, *features.boolean]}
    parts |= {name: _categorical_profile(rows[name], "weekday") for name in features.date}
    parts |= {name: _categorical_profile(rows[name], "words") for name in features.text}
    parts[PREDICTION] = _prediction_profile(scores)
    return {"features": parts, "importances": importances}


def compare(reference: Profile, rows: pd.DataFrame | wide.Columns, scores: Predictions) -> pd.DataFrame:
    """Distances of `rows` and their `scores` from a profile, a line for each feature and one for the prediction; none without rows.

    `psi`: population stability index, sum of (q - p) ln(q / p), over .1 is worth a look, over .25 a large shift;
    `jensen_shannon`: distance in 0 to 1 (base 2); `wasserstein`: in standard deviations of the reference, missing for categories;
    `importance`: the feature's share in the model, missing for the prediction.
    """
    from scipy.spatial.distance import jensenshannon

    lines = []
    for name, part in reference["features"].items():
        values = pd.Series(scores) if name == PREDICTION else rows[name]
        if not len(values):
            continue
        expected, observed = np.asarray(part["shares"]), _shares(values, part)
        lines.append(
            {
                "feature": name,
                "importance": reference["importances"].get(name),
                "psi": _psi(expected, observed, len(values)),
                "jensen_shannon": float(jensenshannon(expected, observed, base=2)),
                "wasserstein": _wasserstein(values, part),
                "rows": len(values),
            }
        )
    return pd.DataFrame(lines, columns=TABLE_COLUMNS).astype({"importance": "float64", "wasserstein": "float64"})


def weighted_psi(table: pd.DataFrame) -> float | None:
    """The PSI that the model feels: each feature's, weighted by its importance; None for an empty table."""
    inputs = table[table.feature != PREDICTION]
    return float((inputs.psi * inputs.importance).sum()) if len(inputs) else None


def prediction_psi(table: pd.DataFrame) -> float | None:
    """The PSI of the scores; None where the champion scored nothing."""
    scores = table[table.feature == PREDICTION]
    return float(scores.psi.iloc[0]) if len(scores) else None


def scores_psi(reference: Predictions, observed: Predictions) -> float:
    """The stability index of one model's scores against another's of the same rows."""
    part = _prediction_profile(reference)
    return _psi(np.asarray(part["shares"]), _shares(pd.Series(observed), part), len(observed))


def _prediction_profile(scores: Predictions) -> Profile:
    values = pd.Series(scores)
    return _numeric_profile(values.to_numpy()) if values.dtype.kind == "f" else _categorical_profile(values)


def _numeric_profile(values: Floats) -> Profile:
    known = values[~np.isnan(values)]
    quantiles = np.quantile(known, np.linspace(0, 1, BINS + 1)) if len(known) else np.zeros(2)
    part = {
        "edges": np.unique(quantiles[1:-1]).tolist(),
        "quantiles": quantiles.tolist(),
        "spread": float(known.std()) if len(known) else 0.0,
    }
    return part | {"shares": _shares(pd.Series(values), part).tolist()}


def _categorical_profile(values: pd.Series, of: str | None = None) -> Profile:
    """The most frequent categories; `of` says what is counted, None the values themselves."""
    part: Profile = {} if of is None else {"of": of}
    part |= {"categories": _counted(values, part).value_counts().index[:MAX_CATEGORIES].tolist()}
    return part | {"shares": _shares(values, part).tolist()}


def _counted(values: pd.Series, part: Profile) -> pd.Series:
    """What is counted of a column: its values, the weekdays of its dates (Monday is 0), or the words of its texts."""
    if part.get("of") == "weekday":
        return pd.to_datetime(values).dt.day_of_week
    if part.get("of") == "words":
        return values.astype("str").str.lower().str.findall(r"\w\w+").explode()
    return values


def _shares(values: pd.Series, part: Profile) -> Floats:
    """The share of each bin; the last bin is for missing values, and for categories the one before it for all others."""
    counts = np.asarray(sum(_counts(_counted(chunk, part), part) for chunk in wide.slices(values)))
    return np.asarray(counts / max(1, counts.sum()))


def _counts(values: pd.Series, part: Profile) -> "np.ndarray[Any, np.dtype[np.int64]]":
    """How many values there are in each bin."""
    if "edges" in part:
        numbers = values.to_numpy(dtype="float64")
        bins = np.where(
            np.isnan(numbers), len(part["edges"]) + 1, np.searchsorted(part["edges"], numbers, side="right")
        )
        size = len(part["edges"]) + 2
    else:
        codes = pd.Index(part["categories"]).get_indexer(pd.Index(values))
        bins = np.where(values.isna(), len(part["categories"]) + 1, np.where(codes < 0, len(part["categories"]), codes))
        size = len(part["categories"]) + 2
    return np.bincount(bins, minlength=size)


def _psi(expected: Floats, observed: Floats, rows: int) -> float:
    """PSI with half a row added to each bin, so that an empty bin is small and not infinite."""
    p, q = expected + 0.5 / max(1, rows), observed + 0.5 / max(1, rows)
    p, q = p / p.sum(), q / q.sum()
    return float(((q - p) * np.log(q / p)).sum())


def _wasserstein(values: pd.Series, part: Profile) -> float | None:
    from scipy.stats import wasserstein_distance

    known = values.dropna()
    if "quantiles" not in part or not part["spread"] or known.empty:
        return None
    return float(
        wasserstein_distance(part["quantiles"], np.quantile(known, np.linspace(0, 1, BINS + 1))) / part["spread"]
    )
