"""Labels: an expression over delivered outcomes, used when they are due and not before.

The table `labels` is a log. Its partition for day D says what D taught: each outcome delivered on D, and each row that fell due on D
without one (`pending`, label missing). The label of a row as of D is the newest known of the entries up to D, so that a correction
wins from the day when it was known.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date

import pandas as pd

from evergreen import wide
from evergreen.config import Product
from evergreen.errors import SourceError
from evergreen.expressions import compute, evaluate
from evergreen.periods import Periods
from evergreen.tasks import task_of
from evergreen.validation import to_text, to_utc

COLUMNS = ["id", "event_time", "matures_at", "known_at", "label", "origin"]


@dataclass(frozen=True)
class DayLabels:
    """What one day taught about labels.

    `entries` has COLUMNS (label missing while it is pending); `orphans` counts outcomes without an accepted event, `undetermined`
    those on which the expression has no value, `untimely` those whose known_at is missing or lies after the day.
    """

    entries: pd.DataFrame
    orphans: int
    undetermined: int
    untimely: int

    @property
    def pending(self) -> int:
        return int(self.entries.label.isna().sum())


def due_times(events: pd.DataFrame, product: Product) -> pd.DataFrame:
    """`id`, `event_time` and `matures_at` (UTC) of events: all known when the prediction was made."""
    event_time = events[product.time.event]
    label = product.label
    matures_at = events[label.matures_at] if label.matures_at else event_time + pd.Timedelta(label.matures_after or 0)
    return pd.DataFrame({"id": events[product.id], "event_time": event_time, "matures_at": matures_at})


def due_columns(product: Product) -> list[str]:
    """The event columns that `due_times` needs."""
    return [product.id, product.time.event, *([product.label.matures_at] if product.label.matures_at else [])]


def label_day(
    outcomes: pd.DataFrame, recent: pd.DataFrame, labelled: set[str], product: Product, day: date
) -> DayLabels:
    """The label entries of one day.

    `outcomes` were delivered on the day; `recent` are the due times of the events that they may belong to; `labelled` are the ids
    that earlier days labelled. Raises SourceError where the outcomes lack a column that the label needs.
    """
    told = read_outcomes([outcomes], product, day)
    log = wide.ById(pd.DataFrame({"id": sorted(labelled)}, dtype="str"))
    entries = pd.concat(list(label_parts(told, [recent], log, product, day)), ignore_index=True)
    return DayLabels(entries, len(told.usable) - int(entries.label.count()), told.undetermined, told.untimely)


@dataclass(frozen=True)
class Outcomes:
    """What a day's outcomes say: `usable` has `id`, `known_at` and `label`, the last known one of each id; the rest is counted."""

    usable: pd.DataFrame
    undetermined: int
    untimely: int


def read_outcomes(delivered: Iterable[pd.DataFrame], product: Product, day: date) -> Outcomes:
    """The outcomes delivered on a day, in parts. Raises SourceError where they lack a column that the label needs."""
    ends = Periods.of(product.time).ends(day)
    usable, undetermined, untimely = [], 0, 0
    for part in delivered:
        found = _evaluate(part, product)
        timely, determined = found.known_at < ends, found.label.notna()
        usable.append(found[timely & determined])
        undetermined, untimely = undetermined + int((timely & ~determined).sum()), untimely + int((~timely).sum())
    return Outcomes(_last_known(pd.concat(usable, ignore_index=True)), undetermined, untimely)


def _last_known(found: pd.DataFrame) -> pd.DataFrame:
    several = wide.may_repeat(found.id)
    last = found[several].sort_values("known_at", kind="stable").drop_duplicates("id", keep="last")
    return last if several.all() else pd.concat([found[~several], last], ignore_index=True)


def label_parts(
    told: Outcomes, recent: Iterable[pd.DataFrame], labelled: wide.ById, product: Product, day: date
) -> Iterator[pd.DataFrame]:
    """The label entries of one day in parts: those of outcomes as `recent` (due times) comes, then those that are pending.

    `labelled` has the `id` of each row that earlier days labelled.
    """
    outcomes, pending = wide.ById(told.usable), []
    for part in recent:
        matched = part.merge(outcomes.of(part.id), on="id").assign(origin="outcome")
        yield _entries(matched)
        waiting = part[_falls_due(part, product, day) & ~wide.among(part.id, matched.id)]
        pending.append(waiting[~wide.among(waiting.id, labelled.of(waiting.id).id)])
    for part in pending:
        if len(part):
            unknown = pd.Series(pd.NaT, index=part.index, dtype="datetime64[us, UTC]")
            yield _entries(part.assign(label=float("nan"), origin="none", known_at=unknown))


def _falls_due(rows: pd.DataFrame, product: Product, day: date) -> pd.Series:
    periods = Periods.of(product.time)
    return (rows.matures_at >= periods.begins(day)) & (rows.matures_at < periods.ends(day))


def _entries(rows: pd.DataFrame) -> pd.DataFrame:
    kinds = {"known_at": "datetime64[us, UTC]", "label": "float64", "origin": "str"}
    return rows[COLUMNS].astype(kinds).reset_index(drop=True)


def latest_labels(log: pd.DataFrame) -> pd.DataFrame:
    """The label log with one entry an id: the newest news by `known_at`, of two of one moment the one delivered last.

    Old news that is delivered after a correction takes nothing back. Pending entries say nothing about a label.
    """
    told = log[log.label.notna()]
    return told.sort_values("known_at", kind="stable").drop_duplicates("id", keep="last")


def _evaluate(outcomes: pd.DataFrame, product: Product) -> pd.DataFrame:
    """`id`, `known_at` and `label` (missing where the expression has no value) of each outcome."""
    label = product.label
    absent = [name for name in (product.id, label.known_at) if name not in outcomes.columns]
    if absent:
        raise SourceError(
            f"outcomes lack the column(s) {', '.join(absent)}: correct the delivery, or id and label.known_at in the config"
        )
    told = outcomes.drop(columns=[product.id])
    if not len(outcomes):
        values = pd.Series(dtype="float64")
    else:
        values = evaluate(label.when, told) if label.when else compute(label.expression, told, "label.value")
    return pd.DataFrame(
        {
            "id": to_text(outcomes[product.id]),
            "known_at": to_utc(outcomes[label.known_at], product.time.timezone),
            "label": task_of(product).to_labels(values),
        }
    )
