"""Columns that know the outcome: by their name, by when they are filled, by their time, because one alone predicts the label, or
because two make it up."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from evergreen.survey.columns import Column
from evergreen.survey.guess import Guess

TOLD_LATER = re.compile(
    r"(^|_)(actual|final|outcome|result|resolved|resolution|closed|closing|completed|refund|chargeback|cancell?ed|diverted|"
    r"arrived|arrival|arr|delivered|returned|realized|realised|observed|ended)(_|$)",
    re.IGNORECASE,
)
PLANNED = re.compile(r"(sched|scheduled|planned|plan|expected|estimated|promised|target)_", re.IGNORECASE)
LEAKS_FROM = 0.95
SUSPECT_FROM = {"binary": 0.85, "multiclass": 0.85, "regression": 0.93}
EARLIER_SHARE = 0.7
BINS = 20
SMOOTHING = 5.0
ROWS_LOOKED_AT = 50_000
ROWS_NEEDED = 50
ROWS_ADDED_UP = 1000


@dataclass(frozen=True)
class Truth:
    """The label as numbers, missing where there is none: a class of two or more as its code, or a quantity."""

    values: pd.Series
    task: str


def find_outcomes(
    columns: list[Column], truth: Truth, happened: pd.Series, powers: Mapping[str, float | None]
) -> dict[str, Guess[str]]:
    """Why each column that looks known only with the outcome does; `powers` has what each says alone. The guess's value is its name."""
    found, parts = {}, _parts(columns, truth)
    for column in columns:
        guess = (
            _of_time(column, happened)
            or _of_filling(column, truth)
            or _of_gaps(column, truth)
            or parts.get(column.name)
            or _of_power(column.name, powers, truth)
            or _of_name(column.name, set(powers))
        )
        if guess is not None:
            found[column.name] = guess
    return found


def _of_name(name: str, all_names: set[str]) -> Guess[str] | None:
    plans = [plan for plan in all_names if PLANNED.match(plan) and PLANNED.sub("", plan) == name]
    if plans:
        return Guess(name, "guess", f"what {plans[0]} was to be")
    if TOLD_LATER.search(name) and not PLANNED.match(name):
        return Guess(name, "guess", "its name speaks of what came of the event")
    return None


def _of_time(column: Column, happened: pd.Series) -> Guess[str] | None:
    if column.kind != "time":
        return None
    both = column.values.notna() & happened.notna()
    later = (column.values[both] > happened[both]).mean() if both.any() else 0.0
    if later > 0.01:
        return Guess(column.name, "likely", f"a time later than the event in {later:.0%} of rows")
    return None


def _of_filling(column: Column, truth: Truth) -> Guess[str] | None:
    unknown = truth.values.isna()
    if not unknown.sum() >= 10 or not column.values[unknown].isna().all() or column.missing > 0.9:
        return None
    return Guess(column.name, "likely", "empty wherever the label is missing")


def _of_gaps(column: Column, truth: Truth) -> Guess[str] | None:
    """A column that is empty exactly because of what came of the event, such as the departure of a flight that was cancelled."""
    if truth.task == "regression":
        return None
    empty = truth.values[column.values.isna()].dropna()
    if len(empty) < 10:
        return None
    code = empty.mode().iloc[0]
    if (empty == code).mean() >= 0.99 and (truth.values.dropna() == code).mean() < 0.9:
        return Guess(column.name, "likely", f"where it is empty ({len(empty):,} rows), the label is always the same")
    return None


def _parts(columns: list[Column], truth: Truth) -> dict[str, Guess[str]]:
    """Columns that give the label exactly with one other: as a part of their sum, or as the one from which the other is taken."""
    label = truth.values.dropna()
    label = label[:: max(1, len(label) // ROWS_ADDED_UP)]
    if truth.task != "regression" or len(label) < ROWS_NEEDED:
        return {}
    numbers = pd.DataFrame({column.name: column.values[label.index] for column in columns if column.kind == "numeric"})
    slack, found = label.std() * 1e-6, {}
    for name, values in numbers.items():
        for result, how in ((values + label, f"less {name} it is"), (label - values, f"with {name} it adds up to")):
            same = numbers.drop(columns=name).sub(result, axis=0).abs().max(skipna=False) <= slack
            found.update({part: Guess(part, "likely", f"{how} the label in every row") for part in same.index[same]})
    return found


def _of_power(name: str, powers: Mapping[str, float | None], truth: Truth) -> Guess[str] | None:
    power = powers[name]
    if power is None or power < SUSPECT_FROM[truth.task]:
        return None
    return Guess(
        name,
        "likely" if power >= LEAKS_FROM else "guess",
        f"alone it ranks later rows by the label at {power:.2f}, where 0.5 is chance and 1 is perfect",
    )


def alone(column: Column, truth: Truth, happened: pd.Series) -> float | None:
    """How well a column alone ranks the last rows in time by the label, learned from the first; None without enough of them.

    The chance that of two rows the order is right: for classes, the mean over each against the rest. A value's answer is the mean
    label of the earlier rows in its bin.
    """
    known = truth.values.notna() & happened.notna()
    order = happened[known].sort_values(kind="stable").index
    order = order[:: max(1, len(order) // ROWS_LOOKED_AT)]
    cut = int(len(order) * EARLIER_SHARE)
    if cut < ROWS_NEEDED or len(order) - cut < ROWS_NEEDED / 2:
        return None
    bins, label = _binned(column, order, cut), truth.values.loc[order].to_numpy()
    if truth.task != "multiclass":
        return _ranked(bins, label, cut)
    powers = [_ranked(bins, (label == code).astype(float), cut) for code in np.unique(label)]
    counted = [power for power in powers if power is not None]
    return float(np.mean(counted)) if counted else None


def _binned(column: Column, order: pd.Index, cut: int) -> np.ndarray:
    """A bin for each row, by what the earlier rows show; a missing value is a bin too."""
    values = column.values.loc[order]
    if column.kind == "time":
        values = values.astype("int64").where(values.notna()).astype("float64")
    if pd.api.types.is_numeric_dtype(values):
        edges = values.iloc[:cut].dropna().quantile(np.linspace(0, 1, BINS + 1)).unique()
        return np.where(values.isna(), -1, np.searchsorted(edges, values.to_numpy(), side="left"))
    common = pd.Index(values.iloc[:cut].value_counts().index[:500])
    return np.where(values.isna(), -1, common.get_indexer(values) + 1)


def _ranked(bins: np.ndarray, label: np.ndarray, cut: int) -> float | None:
    """How often two later rows of different labels are in the order of their bins' earlier means; ties count half."""
    from scipy.stats import kendalltau, rankdata

    places = np.unique(bins, return_inverse=True)[1]
    rows = np.bincount(places[:cut], minlength=places.max() + 1)
    sums = np.bincount(places[:cut], label[:cut], minlength=places.max() + 1)
    answers = ((sums + SMOOTHING * label[:cut].mean()) / (rows + SMOOTHING))[places[cut:]]
    truth = label[cut:]
    different = len(np.unique(truth))
    if different < 2:
        return None
    if different > 2:
        return (
            float((kendalltau(answers, truth, variant="c").statistic + 1) / 2) if len(np.unique(answers)) > 1 else 0.5
        )
    positives = truth == truth.max()
    count = positives.sum()
    ranks = rankdata(answers)[positives].sum()
    return float((ranks - count * (count + 1) / 2) / (count * (len(truth) - count)))
