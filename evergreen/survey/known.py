"""When the outcome of an event is known: by a column, or so long after it; the survey asks where the table does not say."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

import pandas as pd

from evergreen.cadence import Cadence, shortest
from evergreen.durations import format_duration
from evergreen.errors import AnswerNeeded, ConfigError, SourceError
from evergreen.periods import ONE_DAY
from evergreen.survey.asked import Asked
from evergreen.survey.columns import Column
from evergreen.survey.guess import Guess, said
from evergreen.survey.label import LabelFound


@dataclass(frozen=True)
class Known:
    """When an outcome is known: by a column, or so long after the event (exactly one is not None); due and matched how long after."""

    column: str | None
    after: timedelta | None
    matures_after: timedelta
    matched_for: timedelta


def find_known(
    columns: Mapping[str, Column],
    outcomes: Mapping[str, Guess[str]],
    label: LabelFound,
    happened: pd.Series,
    cadence: Cadence,
    asked: Asked,
) -> Guess[Known]:
    """As said, or the last time in a row that is later than the event. Raises AnswerNeeded where there is none."""
    if asked.known_at:
        return said(_by_column(columns[asked.known_at], label, happened, cadence))
    if asked.known_after is not None:
        days = ONE_DAY * max(1, math.ceil(asked.known_after / ONE_DAY))
        return said(Known(None, asked.known_after, asked.known_after, max(days + ONE_DAY, 8 * ONE_DAY)))
    labelled = label.truth.values.notna()
    later = [columns[name] for name in outcomes if columns[name].kind == "time"]
    told = [column for column in later if column.values[labelled].notna().mean() > 0.95]
    if told:
        last = max(told, key=lambda column: (column.values - happened).median())
        return Guess(
            _by_column(last, label, happened, cadence),
            "guess",
            f"{last.name} is the last time in a row: else --known-at",
        )
    raise AnswerNeeded("known_after", "How long after its event is a row's outcome known?", "1d")


def _by_column(column: Column, label: LabelFound, happened: pd.Series, cadence: Cadence) -> Known:
    if column.kind != "time":
        raise ConfigError(f"--known-at {column.name}: holds no times that can be read ({column.why})")
    lag = (column.values - happened)[label.truth.values.notna()].dropna().dt.total_seconds()
    if not len(lag):
        raise SourceError(f"{column.name} has no time in any row with a label: name another column with --known-at")
    unit = min(shortest(cadence), ONE_DAY)
    matures = unit * max(1, math.ceil(lag.quantile(0.99) / unit.total_seconds()))
    last = ONE_DAY * math.ceil(max(matures.total_seconds(), float(lag.quantile(0.9999))) / 86_400)
    return Known(column.name, None, matures, last + ONE_DAY)


def spelt(known: Known) -> str:
    """When the outcome is known, in words."""
    return (
        f"column {known.column}" if known.column else f"{format_duration(known.after or timedelta(0))} after the event"
    )
