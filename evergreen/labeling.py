"""Labels: an expression over delivered outcomes, used when they are due and not before.

The table `labels` is a log. Its partition for day D says what D taught: each outcome delivered on D, and each row that fell due on D
without one (`pending`, label missing). The label of a row as of D is the last entry up to D, so that a correction wins from the day
when it was known.
"""

from dataclasses import dataclass
from datetime import date

import pandas as pd

from evergreen.config import Product
from evergreen.errors import SourceError
from evergreen.expressions import evaluate
from evergreen.periods import Periods
from evergreen.validation import to_text, to_utc

COLUMNS = ["id", "event_time", "matures_at", "known_at", "label", "origin"]


@dataclass(frozen=True)
class DayLabels:
    """What one day taught about labels.

    `entries` has COLUMNS (label 0.0, 1.0 or missing); `orphans` counts outcomes without an accepted event, `undetermined`
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
    periods = Periods.of(product.time)
    found = _evaluate(outcomes, product)
    timely = found.known_at < periods.ends(day)
    determined = found.label.notna()
    usable = found[timely & determined].sort_values("known_at", kind="stable").drop_duplicates("id", keep="last")
    matched = recent.merge(usable, on="id").assign(origin="outcome")
    due = (recent.matures_at >= periods.begins(day)) & (recent.matures_at < periods.ends(day))
    answered = labelled | set(matched.id)
    pending = (
        recent[due]
        .loc[lambda rows: [name not in answered for name in rows.id]]
        .assign(label=float("nan"), origin="none")
    )
    pending["known_at"] = pd.Series(pd.NaT, index=pending.index, dtype="datetime64[us, UTC]")
    entries = pd.concat([matched[COLUMNS], pending[COLUMNS]], ignore_index=True) if len(pending) else matched[COLUMNS]
    entries = entries.astype({"label": "float64", "origin": "str"})
    return DayLabels(entries, len(usable) - len(matched), int((timely & ~determined).sum()), int((~timely).sum()))


def latest_labels(log: pd.DataFrame) -> pd.DataFrame:
    """The label log with one entry an id: the last label written. Pending entries say nothing about a label."""
    return log[log.label.notna()].drop_duplicates("id", keep="last")


def _evaluate(outcomes: pd.DataFrame, product: Product) -> pd.DataFrame:
    """`id`, `known_at` and `label` (0.0, 1.0 or missing) of each outcome."""
    label = product.label
    absent = [name for name in (product.id, label.known_at) if name not in outcomes.columns]
    if absent:
        raise SourceError(
            f"outcomes lack the column(s) {', '.join(absent)}: correct the delivery, or id and label.known_at in the config"
        )
    values = evaluate(label.when, outcomes.drop(columns=[product.id])) if len(outcomes) else pd.Series(dtype="boolean")
    return pd.DataFrame(
        {
            "id": to_text(outcomes[product.id]),
            "known_at": to_utc(outcomes[label.known_at], product.time.timezone),
            "label": values.astype("float64"),
        }
    )
