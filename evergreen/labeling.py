"""Labels: an expression over delivered outcomes, used when they are due and not before.

The table `labels` is a log. Its partition for day D says what D taught, and `origin` tells one from another: outcomes that belong to
an event (OUTCOME), rows that fell due on D without one (PENDING, label missing), and outcomes delivered on D that have no accepted
event yet (UNMATCHED): they wait as long as outcomes are matched, and are no label of a row before the day that finds their event. The
label of a row as of D is the newest known of the entries up to D, so that a correction wins from the day when it was known.
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

OUTCOME, PENDING, UNMATCHED = "outcome", "none", "unmatched"
NEWS = ["id", "known_at", "label"]
COLUMNS = ["id", "event_time", "matures_at", "known_at", "label", "origin"]


def due_times(events: pd.DataFrame, product: Product) -> pd.DataFrame:
    """`id`, `event_time` and `matures_at` (UTC) of events: all known when the prediction was made."""
    event_time = events[product.time.event]
    label = product.label
    matures_at = events[label.matures_at] if label.matures_at else event_time + pd.Timedelta(label.matures_after or 0)
    return pd.DataFrame({"id": events[product.id], "event_time": event_time, "matures_at": matures_at})


def due_columns(product: Product) -> list[str]:
    """The event columns that `due_times` needs."""
    return [product.id, product.time.event, *([product.label.matures_at] if product.label.matures_at else [])]


@dataclass(frozen=True)
class Outcomes:
    """What a day's outcomes say: `usable` has NEWS, the last known one of each id; the rest is counted.

    `undetermined`: the expression has no value on them; `untimely`: their known_at is missing or lies after the day.
    """

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


@dataclass(frozen=True)
class Before:
    """What earlier days left: the ids that `labelled` rows have, and the news (NEWS) that is `waiting` for an event."""

    labelled: wide.ById
    waiting: pd.DataFrame

    @classmethod
    def of(cls, log: pd.DataFrame) -> "Before":
        """From the label log of earlier days: NEWS and `origin`. News waits until its id got a label that is no older."""
        unmatched = log.id[log.origin == UNMATCHED]
        newest = latest_labels(log[wide.among(log.id, unmatched)] if len(unmatched) else log[:0])
        labelled = wide.ById(log.loc[log.origin == OUTCOME, ["id"]])
        return cls(labelled, newest.loc[newest.origin == UNMATCHED, NEWS])


def label_parts(
    told: Outcomes, recent: Iterable[pd.DataFrame], before: Before, product: Product, day: date
) -> Iterator[pd.DataFrame]:
    """The label entries of one day in parts: outcomes, told today or waiting, as the events in `recent` (due times) come; then what
    is pending; then what was told today and has no event."""
    outcomes, matched, pending = wide.ById(_news(told, before)), [told.usable.id[:0]], []
    for part in recent:
        found = part.merge(outcomes.of(part.id), on="id")
        yield _entries(found, OUTCOME)
        matched.append(found.id)
        due = part[_falls_due(part, product, day) & ~wide.among(part.id, found.id)]
        pending.append(due[~wide.among(due.id, before.labelled.of(due.id).id)])
    yield from (_entries(part, PENDING) for part in pending if len(part))
    unmatched = told.usable[~wide.among(told.usable.id, pd.concat(matched))]
    yield from (_entries(part, UNMATCHED) for part in wide.slices(unmatched) if len(part))


def _news(told: Outcomes, before: Before) -> pd.DataFrame:
    """One entry an id: of what waits and what is told today the last known."""
    both = [before.waiting, told.usable]
    return _last_known(pd.concat(both, ignore_index=True)) if len(before.waiting) else told.usable


def _falls_due(rows: pd.DataFrame, product: Product, day: date) -> pd.Series:
    periods = Periods.of(product.time)
    return (rows.matures_at >= periods.begins(day)) & (rows.matures_at < periods.ends(day))


def _entries(rows: pd.DataFrame, origin: str) -> pd.DataFrame:
    times = dict.fromkeys(["event_time", "matures_at", "known_at"], "datetime64[us, UTC]")
    entries = rows.assign(origin=origin).reindex(columns=COLUMNS)
    return entries.astype({**times, "label": "float64", "origin": "str"}).reset_index(drop=True)


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
