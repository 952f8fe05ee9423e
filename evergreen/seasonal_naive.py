"""The seasonal naive forecast: what was last seen under the same circumstances."""

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin

from evergreen.features import DATE_PARTS
from evergreen.tasks import Floats


class SeasonalNaive(RegressorMixin, BaseEstimator):
    """The last label among the training rows, in their order, with the same values of `keys`; the mean label where there is none.

    With the weekday and the hour as keys it answers what was observed at this hour a week ago, or whenever that was last known. A
    key is a column, or a part of a date: `COLUMN_hour`.
    """

    def __init__(self, keys: list[str]) -> None:
        self.keys = keys

    def fit(self, rows: pd.DataFrame, labels: Floats) -> "SeasonalNaive":
        self.feature_names_in_ = np.array(rows.columns, dtype=object)
        self.last_ = dict(zip(self._named(rows), labels.tolist(), strict=True))
        self.mean_ = float(np.mean(labels))
        return self

    def predict(self, rows: pd.DataFrame) -> Floats:
        return np.array([self.last_.get(name, self.mean_) for name in self._named(rows)], dtype="float64")

    def _named(self, rows: pd.DataFrame) -> list[str]:
        """The circumstances of each row in one text; a missing value is one of them."""
        parts = [_circumstance(rows, key) for key in self.keys]
        return ["|".join(map(str, values)) for values in zip(*parts, strict=True)]


def column_of(key: str, columns: Iterable[str]) -> str:
    """The column that a key is taken from."""
    return key if key in columns else key.rpartition("_")[0]


def _circumstance(rows: pd.DataFrame, key: str) -> list[Any]:
    if key in rows.columns:
        return rows[key].astype("str").tolist()
    column, _, part = key.rpartition("_")
    return getattr(pd.to_datetime(rows[column], errors="coerce").dt, DATE_PARTS[part]).tolist()
