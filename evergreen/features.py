"""Features: how the columns of a row become the numbers that an estimator takes, in the first step of every model's pipeline.

This module imports scikit-learn; import it inside the function that needs it.
"""

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from evergreen.config import Features
from evergreen.tasks import Floats

RARE_CATEGORY = 20


class FeatureEncoder(TransformerMixin, BaseEstimator):
    """Categories as codes of a stored vocabulary, then numbers, as one float matrix.

    A category that training did not see, or none, becomes missing: XGBoost 3.2 by itself would give it a neighbour's code.
    """

    def __init__(self, categorical: list[str], numeric: list[str]) -> None:
        self.categorical = categorical
        self.numeric = numeric

    def fit(self, rows: pd.DataFrame, labels: object = None) -> "FeatureEncoder":
        self.vocabularies_ = {name: sorted(rows[name].dropna().unique().tolist()) for name in self.categorical}
        return self

    def transform(self, rows: pd.DataFrame) -> Floats:
        """Shape (rows, categorical + numeric)."""
        columns = [self._codes(rows[name], name) for name in self.categorical]
        columns += [rows[name].to_numpy(dtype="float64") for name in self.numeric]
        return np.column_stack(columns)

    def get_feature_names_out(self, names: object = None) -> list[str]:
        """As `one_hot` names its columns."""
        return [f"{kind}__{name}" for kind in ("categorical", "numeric") for name in getattr(self, kind)]

    def _codes(self, values: pd.Series, name: str) -> Floats:
        codes = pd.Index(self.vocabularies_[name]).get_indexer(pd.Index(values)).astype("float64")
        return np.where(codes < 0, np.nan, codes)


def one_hot(features: Features, dense: bool = False) -> ColumnTransformer:
    """Categories as columns of 0 and 1, rare ones together; numbers standardised, missing ones as the median.

    `dense` is for estimators that take no sparse matrix.
    """
    numbers = make_pipeline(SimpleImputer(strategy="median", keep_empty_features=True), StandardScaler())
    categories = OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=RARE_CATEGORY)
    return ColumnTransformer(
        [("categorical", categories, features.categorical), ("numeric", numbers, features.numeric)],
        sparse_threshold=0 if dense else 0.3,
    )


def owner(column: str, features: Features) -> str:
    """The feature behind a column of a preparation: KIND__NAME, or KIND__NAME_PART."""
    kind, name = column.split("__", 1)
    known = [feature for feature in getattr(features, kind) if name == feature or name.startswith(f"{feature}_")]
    return max(known, key=len)
