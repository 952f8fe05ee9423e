"""The as-of law in one place: what was known by the end of a day, and nothing else.

Whatever trains, judges or monitors for day D reads events and labels through an `AsOf`; no partition later than D is opened. A day
is here, as in all that follows, a period of the product's cadence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

import pandas as pd

from evergreen import wide
from evergreen.cadence import shortest
from evergreen.config import Product, Time
from evergreen.labeling import NEWS, UNMATCHED, Before, due_columns, due_times, latest_labels
from evergreen.periods import Periods
from evergreen.storage import Store
from evergreen.validation import needed_columns


@dataclass(frozen=True)
class MatureRows:
    """Rows whose label is due.

    `rows` are the labelled ones: the batch's columns, `day` (the naive moment at which it begins), `event_time`, `matures_at` and
    `label`. `coverage` has one line a day: `events`, `mature`, `labelled`; a whole mature day has events == mature.
    """

    rows: pd.DataFrame
    coverage: pd.DataFrame
    periods: Periods

    def whole_days(self, coverage_at_least: float = 0.0) -> list[date]:
        """Days with events, all of them mature and this share of them labelled, in order."""
        return whole_days(self.coverage, self.periods, coverage_at_least)

    def on(self, days: list[date]) -> "MatureRows":
        """The same, for these days alone."""
        stamps = pd.DatetimeIndex(days)
        rows, coverage = self.rows[self.rows.day.isin(stamps)], self.coverage[self.coverage.index.isin(stamps)]
        return MatureRows(rows, coverage, self.periods)

    def share_labelled(self) -> float | None:
        """Labelled rows over mature rows; None without a mature row."""
        return share_labelled(self.coverage)


def whole_days(coverage: pd.DataFrame, periods: Periods, coverage_at_least: float = 0.0) -> list[date]:
    """Days with events, all of them mature and this share of them labelled, in order."""
    covered = coverage.labelled >= coverage_at_least * coverage.mature
    whole = coverage[(coverage.events > 0) & (coverage.events == coverage.mature) & covered]
    return [periods.at(day) for day in whole.index]


def share_labelled(coverage: pd.DataFrame) -> float | None:
    """Labelled rows over mature rows; None without a mature row."""
    mature = int(coverage.mature.sum())
    return int(coverage.labelled.sum()) / mature if mature else None


@dataclass(frozen=True)
class AsOf:
    """The view of a product's history at the end of `day`."""

    store: Store
    product: Product
    day: date

    @property
    def periods(self) -> Periods:
        return Periods.of(self.product.time)

    def days(self, first: date) -> list[date]:
        """The days from `first`, or from the product's start, to the as-of day."""
        return self.periods.between(max(first, self.product.time.start), self.day)

    def newest(self, number: int) -> list[date]:
        """So many days up to the as-of day, fewer where the product is younger."""
        return self.days(self.periods.before(self.day, number - 1))

    def read(self, table: str, days: list[date], columns: list[str] | None = None) -> pd.DataFrame:
        """A table's partitions. Raises PartitionMissing: a gap is an error, never silence.

        The one gap that is allowed: a day that validation refused as a whole has an empty batch, and nothing derived from it.
        """
        return self.store.read_days(table, self._readable(table, days), columns)

    def scan(self, table: str, days: list[date], columns: list[str] | None = None) -> Iterator[pd.DataFrame]:
        """The same in frames of one chunk."""
        return self.store.scan(table, self._readable(table, days), columns)

    def _readable(self, table: str, days: list[date]) -> list[date]:
        if days and max(days) > self.day:
            raise ValueError(f"{table} of {max(days)} is the future of {self.day}")
        absent = [day for day in days if not self.store.path(table, day).exists()]
        excused = {day for day in absent if table != "batch" and self.store.is_empty("batch", day)}
        return [day for day in days if day not in excused]

    def events(self, first: date, columns: list[str] | None = None) -> pd.DataFrame:
        """Accepted events from `first` on."""
        return self.read("batch", self.days(first), columns or needed_columns(self.product))

    def label_log(self, first: date) -> pd.DataFrame:
        """`id`, `known_at` and `label` of rows as written from `first` to the as-of day; outcomes without an event are no row's."""
        log = self._label_log(self.days(first))
        unmatched = log.origin == UNMATCHED
        return (log[~unmatched] if unmatched.any() else log)[NEWS]

    def labels_before(self) -> Before:
        """What earlier days left of labels, as far back as outcomes are matched."""
        first = self.periods.before(self.day, self.periods.covering(self.product.label.matched_for))
        return Before.of(self._label_log(self.days(first)[:-1]))

    def _label_log(self, days: list[date]) -> pd.DataFrame:
        log = self.read("labels", days, [*NEWS, "origin"])
        return log if len(log.columns) else pd.DataFrame(columns=[*NEWS, "origin"])

    def recent_due_times(self) -> Iterator[pd.DataFrame]:
        """Due times of the events to which an outcome delivered on the day may belong, in parts."""
        days = self.newest(self.periods.covering(self.product.label.matched_for) + 1)
        for events in self.scan("batch", days, due_columns(self.product)):
            yield due_times(events, self.product)

    def mature(self, first: date) -> MatureRows:
        """Rows from `first` on that are mature at the end of the as-of day, with their labels as known then."""
        return self.mature_on(self.days(first))

    def mature_on(self, days: list[date]) -> MatureRows:
        """The same, of these days alone."""
        parts = list(self.mature_parts(days, needed_columns(self.product)))
        if len(parts) == 1:
            return parts[0]
        rows = pd.concat([part.rows for part in parts], ignore_index=True)
        return MatureRows(rows, added_up([part.coverage for part in parts]), self.periods)

    def coverage(self, days: list[date]) -> pd.DataFrame:
        """The coverage of these days, as in `mature`."""
        return added_up([part.coverage for part in self.mature_parts(days, due_columns(self.product))])

    def coverage_of_due_days(self) -> float | None:
        """Labelled share of the mature rows of the days that fell due; None without one."""
        due = self.newly_mature_days()
        return share_labelled(self.coverage(due)) if due else None

    def mature_parts(self, days: list[date], columns: list[str]) -> Iterator[MatureRows]:
        """What `mature` gives, of these days alone and in parts, with these columns of the batch: at least `due_columns`."""
        labels = wide.ById(self.label_log(min(days)))
        for events in self.scan("batch", days, columns):
            yield self._mature(events, labels.of(events[self.product.id]))

    def _mature(self, events: pd.DataFrame, log: pd.DataFrame) -> MatureRows:
        due = due_times(events, self.product)
        day = self.periods.holding(due.event_time)
        events = events.assign(day=day, event_time=due.event_time, matures_at=due.matures_at)
        mature = events[due.matures_at < self.periods.ends(self.day)]
        labels = latest_labels(log).set_index("id").label
        mature = mature.assign(label=mature[self.product.id].map(labels))
        labelled = mature[mature.label.notna()].reset_index(drop=True)
        counts = {
            "events": day.value_counts(),
            "mature": mature.day.value_counts(),
            "labelled": labelled.day.value_counts(),
        }
        coverage = pd.DataFrame(counts).fillna(0).astype("int64").sort_index()
        return MatureRows(labelled, coverage, self.periods)

    def newly_mature_days(self) -> list[date]:
        """Days that were not yet wholly mature the day before, and are now."""
        periods = self.periods
        latest = [due.matures_at.groupby(periods.holding(due.event_time)).max() for due in self.recent_due_times()]
        last = pd.concat(latest).groupby(level=0).max()
        new = last[(last >= periods.begins(self.day)) & (last < periods.ends(self.day))]
        return [periods.at(day) for day in new.index]


def added_up(coverages: list[pd.DataFrame]) -> pd.DataFrame:
    """The coverage of rows that came in parts."""
    return pd.concat(coverages).groupby(level=0).sum() if len(coverages) > 1 else coverages[0]


def first_decidable_day(product: Product) -> date:
    """The first as-of day on which training and judging have enough whole mature days, if every label has a fixed delay.

    With a maturity column there is no such day to compute: the start plus the days that training and judging need is returned,
    as if labels were due after a day. Days without rows put it off.
    """
    periods, evaluation, delay = Periods.of(product.time), product.evaluation, product.label.matures_after
    maturing = 1 if delay is None else periods.covering(delay)
    needed = [product.training.at_least, evaluation.window, *([evaluation.golden] if evaluation.golden else [])]
    blocks = sum(product.count(span) for span in needed)
    return periods.after(periods.start, maturing - 1 + blocks * periods.of_a_block)


def first_served_day(product: Product) -> date:
    """The first day that a model may serve: the one after `first_decidable_day`, or later where rows are predicted early."""
    return first_predicted_after(first_decidable_day(product), product.time)


def first_predicted_after(day: date, time: Time) -> date:
    """The first period that a model of `day` may serve.

    Where rows are predicted a period or more before their events (`predict_before`), it is the first whose rows are all predicted after
    `day`. With less, the first hours of the next period are predicted before `day` ends, by at most `predict_before`.
    """
    periods = Periods.of(time)
    first, known = periods.after(day), periods.ends(day)
    if time.predict_before >= shortest(time.cadence):
        while periods.begins(first) - time.predict_before < known:
            first = periods.after(first)
    return first
