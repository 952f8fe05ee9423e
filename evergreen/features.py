"""Features: how the columns of a row become the numbers that an estimator takes, in the first step of every model's pipeline.

What training did not see scores as what is missing: a category, a word, and with them a column without a single value.
This module imports scikit-learn; import it inside the function that needs it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy.sparse import csr_matrix, hstack
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.compose import ColumnTransformer
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, OneHotEncoder, StandardScaler

from evergreen.config import Features
from evergreen.tasks import Floats

RARE_CATEGORY = 20
DATE_PARTS = {"year": "year", "month": "month", "day": "day", "weekday": "day_of_week", "hour": "hour"}
"""Each part's name, and what pandas calls it."""

MOST_WORDS, RARE_WORD = 20_000, 2


class FeatureEncoder(TransformerMixin, BaseEstimator):
    """Categories as codes of a stored vocabulary, then numbers, booleans and parts of dates, as one float matrix.

    A category that training did not see, or none, becomes missing: XGBoost 3.2 by itself would give it a neighbour's code.
    """

    boolean: Sequence[str] = ()  # files of earlier versions have neither
    date: Sequence[str] = ()

    def __init__(
        self, categorical: list[str], numeric: list[str], boolean: Sequence[str] = (), date: Sequence[str] = ()
    ) -> None:
        self.categorical = categorical
        self.numeric = numeric
        self.boolean = boolean
        self.date = date

    def fit(self, rows: pd.DataFrame, labels: object = None) -> "FeatureEncoder":
        self.vocabularies_ = {name: vocabulary(rows[name]) for name in self.categorical}
        return self

    def transform(self, rows: pd.DataFrame) -> Floats:
        """Shape (rows, columns), in the order of `get_feature_names_out`."""
        columns = [self._codes(rows[name], name) for name in self.categorical]
        columns += [rows[name].to_numpy(dtype="float64") for name in [*self.numeric, *self.boolean]]
        return np.column_stack([*columns, *(date_parts(rows[name]) for name in self.date)])

    def get_feature_names_out(self, names: object = None) -> list[str]:
        """As `prepared` names its columns."""
        whole = [f"{kind}__{name}" for kind in ("categorical", "numeric", "boolean") for name in getattr(self, kind)]
        return [*whole, *(f"date__{name}_{part}" for name in self.date for part in DATE_PARTS)]

    def _codes(self, values: pd.Series, name: str) -> Floats:
        codes = {category: code for code, category in enumerate(self.vocabularies_[name])}
        return np.array([codes.get(value, np.nan) for value in values.tolist()], dtype="float64")


class KnownCategories(TransformerMixin, BaseEstimator):
    """Categories as they are; one that training did not see becomes missing."""

    def fit(self, rows: pd.DataFrame, labels: object = None) -> "KnownCategories":
        self.vocabularies_ = {str(name): vocabulary(rows[name]) for name in rows}
        return self

    def transform(self, rows: pd.DataFrame) -> pd.DataFrame:
        texts = rows.astype("str")
        return pd.DataFrame(
            {name: texts[name].where(texts[name].isin(known)) for name, known in self.vocabularies_.items()}
        )

    def get_feature_names_out(self, names: Any) -> Any:
        return names


class DateParts(TransformerMixin, BaseEstimator):
    """Dates as DATE_PARTS, five numbers each."""

    def fit(self, rows: pd.DataFrame, labels: object = None) -> "DateParts":
        self.names_ = list(map(str, rows.columns))
        return self

    def transform(self, rows: pd.DataFrame) -> Floats:
        return np.column_stack([date_parts(rows[name]) for name in self.names_])

    def get_feature_names_out(self, names: object = None) -> list[str]:
        return [f"{name}_{part}" for name in self.names_ for part in DATE_PARTS]


class Words(TransformerMixin, BaseEstimator):
    """Texts as TF-IDF of the most frequent words of each column; a word that training saw once or never says nothing, and a missing
    text is an empty one."""

    def fit(self, rows: pd.DataFrame, labels: object = None) -> "Words":
        self.vectorizers_ = {str(name): _vectorizer(rows[name]) for name in rows}
        return self

    def transform(self, rows: pd.DataFrame) -> csr_matrix:
        columns = [vectorizer.transform(_texts(rows[name])) for name, vectorizer in self.vectorizers_.items()]
        return hstack(columns, format="csr")

    def get_feature_names_out(self, names: object = None) -> list[str]:
        known = {name: vectorizer.get_feature_names_out() for name, vectorizer in self.vectorizers_.items()}
        return [f"{name}_{word}" for name, words in known.items() for word in words]


def prepared(features: Features, sparse_threshold: float = 0.3) -> ColumnTransformer:
    """Categories as columns of 0 and 1, rare ones together; numbers, booleans and parts of dates standardised, missing ones as the
    median; texts as words. A part of a date outside what training saw counts as the nearest that it saw: a line through the last days
    of a month says nothing of the 1st.

    The matrix is sparse where a smaller share than `sparse_threshold` is not 0: 0 is for estimators that take no sparse one.
    """
    median = SimpleImputer(strategy="median", keep_empty_features=True)
    numbers = make_pipeline(median, StandardScaler())
    categories = make_pipeline(
        KnownCategories(), OneHotEncoder(handle_unknown="infrequent_if_exist", min_frequency=RARE_CATEGORY)
    )
    steps = {
        "categorical": categories,
        "numeric": numbers,
        "boolean": numbers,
        "date": make_pipeline(DateParts(), median, MinMaxScaler(clip=True), StandardScaler()),
        "text": Words(),
    }
    used = [(kind, step, getattr(features, kind)) for kind, step in steps.items() if getattr(features, kind)]
    return ColumnTransformer(used, sparse_threshold=sparse_threshold)


def owner(column: str, features: Features) -> str:
    """The feature behind a column of a preparation: KIND__NAME, or KIND__NAME_PART."""
    kind, name = column.split("__", 1)
    known = [feature for feature in getattr(features, kind) if name == feature or name.startswith(f"{feature}_")]
    return max(known, key=len)


def vocabulary(values: pd.Series) -> list[str]:
    """The categories of a column, in order."""
    return sorted(values.dropna().unique().tolist())


def date_parts(dates: pd.Series) -> Floats:
    """Shape (rows, DATE_PARTS); a missing date has missing parts."""
    parts = pd.to_datetime(dates, errors="coerce").dt
    return np.column_stack([getattr(parts, part).to_numpy(dtype="float64") for part in DATE_PARTS.values()])


def _vectorizer(column: pd.Series) -> TfidfVectorizer:
    """What knows the words of a column; where no word comes in RARE_WORD texts, one that is none."""
    texts = _texts(column)
    try:
        return TfidfVectorizer(max_features=MOST_WORDS, min_df=RARE_WORD).fit(texts)
    except ValueError:  # what scikit-learn says where it finds no word
        return TfidfVectorizer(vocabulary=[" "]).fit(texts)


def _texts(texts: pd.Series) -> list[str]:
    return texts.astype("str").fillna("").tolist()
