"""What asks a person to act: failed runs, an overdue day, a product that is not good enough, missing labels, a lower rung serving,
a candidate that awaits approval, a champion that was rolled back by itself.

A condition has a reader and an action, or it is not here: a retrain that fired and a candidate that was kept are the loop at work.
"""

from dataclasses import asdict, dataclass
from datetime import date, datetime
from typing import Any, Literal

import pandas as pd

from evergreen.config import Product
from evergreen.evaluation import ALL_ROWS, by_block
from evergreen.ladder import HEURISTIC, RUNGS, first_rung
from evergreen.ledger import Entry
from evergreen.periods import Periods
from evergreen.promotion import PROMOTED, ROLLED_BACK, SENSOR, sentence
from evergreen.statistics import mean_interval
from evergreen.tasks import task_of
from evergreen.waits import waiting, waits_of

Severity = Literal["critical", "warning"]
JUDGED_DAYS = 14  # two whole weeks: every weekday counts alike
CONFIDENCE = 0.95
OVERDUE = "day_overdue"


@dataclass(frozen=True)
class Condition:
    """Something that holds and asks for a person.

    `key` groups what is one incident; `occurrence` (a run's id, a day) tells one sighting of it from the next. `since` is an ISO day
    or moment. `critical`: answers are missing or worse now; `warning`: they will be, if nobody acts within days.
    """

    key: str
    what: str
    since: str
    severity: Severity
    to_do: str
    occurrence: str


@dataclass(frozen=True)
class Look:
    """The conditions that hold, and the keys of those of which nothing can be said: missing evidence resolves no incident."""

    holding: list[Condition]
    unjudged: list[str]

    def __add__(self, other: "Look") -> "Look":
        return Look([*self.holding, *other.holding], [*self.unjudged, *other.unjudged])

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_dict(cls, content: dict[str, Any]) -> "Look":
        return cls([Condition(**condition) for condition in content["holding"]], content["unjudged"])


NOTHING = Look([], [])


def look_at_day(
    day: date, card: pd.DataFrame, coverage: float | None, served_by: str | None, entries: list[Entry], product: Product
) -> Look:
    """What a day's record says.

    `card`: the performance table of the last weeks; `coverage`: labelled share of the rows of the days that fell due (None without
    any); `served_by`: the rung that answered (None without a row); `entries`: the promotion ledger as the day knew it.
    """
    return _quality(day, card, product) + _labels(day, coverage, product) + _serving(day, served_by, entries)


def _quality(day: date, card: pd.DataFrame, product: Product) -> Look:
    """Holds when the mean of the last judged days (blocks) is proven over the bound; judged as mended when it is within it.

    Between the two nothing is said, so that an incident does not open and close with every noisy day. Days that the heuristic
    served do not count: they have a condition of their own, or no model yet.
    """
    key, target = "not_good_enough", product.decision.good_enough
    served = card[(card.scorer == "served") & (card.slice == ALL_ROWS) & (card.served_by != HEURISTIC)]
    served = served.set_index("day").sort_index()
    days = by_block(served[target.metric], served.rows, Periods.of(product.time)).iloc[-JUDGED_DAYS:]
    interval = mean_interval(days.to_list(), CONFIDENCE) if len(days) == JUDGED_DAYS else None
    if interval is not None and interval.mean <= target.at_most:
        return NOTHING
    if interval is None or interval.low <= target.at_most:
        return Look([], [key])
    measure = task_of(product).called(target.metric).replace("_", " ")
    span = f"[{interval.low:.3f}, {interval.high:.3f}]"
    what = f"{measure} {interval.mean:.3f} {span} a row over {JUDGED_DAYS} judged {product.time.block}s, the bound is {target.at_most:g}"
    to_do = (
        f"read the health report of {day}: what changed in drift and slices; try a remedy with `evergreen experiment`"
    )
    return Look([Condition(key, what, str(day), "warning", to_do, str(day))], [])


def _labels(day: date, coverage: float | None, product: Product) -> Look:
    key, bound = "labels_missing", product.label.coverage_at_least
    if coverage is None:
        return Look([], [key])
    if coverage >= bound:
        return NOTHING
    what = (
        f"{coverage:.1%} of the rows that fell due on {day} have a label, the bound is {bound:.1%}: they are not judged"
    )
    to_do = f"ask for the missing outcomes; they are matched for {product.label.matched_for.days} days after the event"
    return Look([Condition(key, what, str(day), "warning", to_do, str(day))], [])


def _serving(day: date, served_by: str | None, entries: list[Entry]) -> Look:
    if served_by is None:
        return Look([], [_rung_key(rung) for rung in (*RUNGS, HEURISTIC)])
    meant, version = first_rung(entries[-1]["serving"] if entries else {})
    if served_by == meant:
        return NOTHING
    what = f"the {served_by} answered on {day}, because the {meant} (version {version}) could not"
    to_do = "read the check no_rung_failed of that day's predictions: it says what the model did; retrain, or restore the model's files"
    severity: Severity = "critical" if served_by == HEURISTIC else "warning"
    return Look([Condition(_rung_key(served_by), what, str(day), severity, to_do, str(day))], [])


def _rung_key(rung: str) -> str:
    return f"served_by/{rung}"


def look_at_ledger(entries: list[Entry], product: Product) -> Look:
    """What the promotion ledger says as it stands: a candidate that awaits a person, and a rollback that nobody asked for, which holds
    until the next promotion, or a rollback by hand."""
    return Look([*_awaited(entries, product), *_rolled_back(entries, product)], [])


def _awaited(entries: list[Entry], product: Product) -> list[Condition]:
    found = waiting(entries)
    if found is None or found[0] != "awaiting":
        return []
    _, record, decided = found
    since = waits_of(entries)[-1].began_at or decided["as_of"]
    what = f"version {record['version']}, decided as of {decided['as_of']}, waits for a person's yes or no; serving goes on as it is"
    to_do = (
        f"read its model card; then `evergreen approve {product.name} --by NAME --reason TEXT`, or `evergreen reject`"
    )
    return [Condition("awaiting_approval", what, since, "warning", to_do, decided["key"])]


def _rolled_back(entries: list[Entry], product: Product) -> list[Condition]:
    moves = [entry for entry in entries if entry["decision"] in (PROMOTED, ROLLED_BACK)]
    if not moves or moves[-1]["decision"] != ROLLED_BACK or not str(moves[-1]["requested_by"]).startswith(SENSOR):
        return []
    last = moves[-1]
    to_do = (
        f"see what the gates let through: `evergreen timeline {product.name}` and the model card of version "
        f"{last['withdrawn']}; it is over with the next promotion"
    )
    return [Condition("rolled_back", sentence(last), last["at"], "warning", to_do, last["key"])]


def look_at_failures(failures: list[Entry]) -> Look:
    """One condition a failed run that is not mended; those of one job are one incident.

    A failure has `key` (the run's id), `job`, `day`, `reason`, `at` and `severity`.
    """
    return Look([_failed(failure) for failure in failures], [])


def _failed(failure: Entry) -> Condition:
    job, day, run = failure["job"], failure["day"], failure["key"]
    return Condition(
        key=f"run_failed/{job}",
        what=f"{job} failed for {day}: {failure['reason']}",
        since=failure["at"],
        severity=failure["severity"],
        to_do=f"mend the cause and run {job} for {day} again; or give the day up by deleting run {run[:8]} in the Dagster UI",
        occurrence=run,
    )


def look_at_clock(
    product: Product, newest: date | None, scored_at: datetime | None, failed_days: set[str], now: datetime
) -> Look:
    """Whether the next day should have been scored by now.

    `newest` is the last scored day (None before the first), `scored_at` the moment when that was done (None if unknown).
    `failed_days` are those of failed daily runs: these have an incident already. A product that has ended, or not begun, owes nothing;
    one that never scored has nobody who misses it yet: it is told, and is not critical.
    """
    periods = Periods.of(product.time)
    over, missing = periods.last_ended(now), periods.after(newest) if newest else product.time.start
    since = (scored_at or periods.ends(missing)) + product.service_levels.freshness
    if not periods.known(over) or missing > over or now <= since:
        return NOTHING
    if str(missing) in failed_days:
        return Look([], [OVERDUE])
    before = (
        f"the {product.time.word} before it was {_when(scored_at)}"
        if newest
        else f"nor has any {product.time.word} yet"
    )
    what = f"{missing} has not been scored; {before}"
    schedule, job = f"{product.name}_{product.time.cadence}_schedule", f"{product.name}_{product.time.cadence}"
    to_do = f"see that the Dagster daemon runs and {schedule} is on; then run {job} for {missing} to {over}"
    moment = since.isoformat(timespec="seconds")
    return Look([Condition(OVERDUE, what, moment, "critical" if newest else "warning", to_do, str(over))], [])


def _when(scored_at: datetime | None) -> str:
    return f"at {scored_at:%Y-%m-%d %H:%M} UTC" if scored_at else "not, or nobody knows when"
