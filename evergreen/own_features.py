"""Features that a clone's own function adds to rows."""

import math
from typing import Any

import pandas as pd

from evergreen.config import OwnCode
from evergreen.errors import SourceError


def own_columns(rows: pd.DataFrame, code: OwnCode) -> pd.DataFrame:
    """The columns that the function adds to rows, alone.

    Raises SourceError where the function fails, loses or reorders rows, or gives a row another value among others than alone: then it
    would look at rows that come later, and scoring would differ from training.
    """
    made = _made(rows, code)
    if len(rows):
        alone, among = _made(rows.iloc[-1:], code).iloc[0], made.iloc[-1]
        differ = [str(name) for name in made.columns if not _same(alone.get(name), among[name])]
        if differ:
            raise SourceError(
                f"features.module: {code.function} gives a row another {', '.join(differ)} among others than alone: it must look "
                "at each row by itself, or training and scoring would differ"
            )
    return made


def _made(rows: pd.DataFrame, code: OwnCode) -> pd.DataFrame:
    try:
        made = code.load()(rows.copy())
    except Exception as problem:
        raise SourceError(
            f"features.module: {code.function} failed ({type(problem).__name__}: {problem}); mend it and run the day again"
        ) from problem
    if not isinstance(made, pd.DataFrame) or not made.index.equals(rows.index):
        raise SourceError(
            f"features.module: {code.function} must return the rows that it was given, each in its place, with more columns"
        )
    return made.drop(columns=rows.columns, errors="ignore")


def _same(one: Any, other: Any) -> bool:
    if pd.isna(one) or pd.isna(other):
        return bool(pd.isna(one) and pd.isna(other))
    numbers = isinstance(one, int | float) and isinstance(other, int | float)
    return math.isclose(one, other, rel_tol=1e-9) if numbers else bool(one == other)
