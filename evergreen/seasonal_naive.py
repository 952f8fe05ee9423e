"""The seasonal naive forecast: what was last seen under the same circumstances."""

from typing import Any

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, RegressorMixin

from evergreen.tasks import Floats


class SeasonalNaive(RegressorMixin, BaseEstimator):
    """The last label among the training rows, in their order, with the same values of `keys`; the mean label where there is none.

    With the weekday and the hour as keys it answers what was observed at this hour a week ago, or whenever that was last known.
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
        parts: list[list[Any]] = [rows[key].astype("str").tolist() for key in self.keys]
        return ["|".join(map(str, values)) for values in zip(*parts, strict=True)]
