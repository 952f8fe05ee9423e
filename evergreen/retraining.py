"""When to retrain: a pure decision from a day's history, called by the daily run, by the replay and by any backtest alike."""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from evergreen.as_of import AsOf
from evergreen.cadence import parse_period
from evergreen.config import DriftTrigger, PerformanceTrigger, Product, StalenessTrigger
from evergreen.drift import weighted_psi
from evergreen.ledger import Entry
from evergreen.monitoring import excess_over_reference
from evergreen.periods import Periods
from evergreen.promotion import asking_triggers, champion_since, decisions, serving_now
from evergreen.statistics import independent_days, mean_interval, neighbour_correlation

LEAST_BLOCKS = 3
"""Of its own days a champion must have served so many before they are held against it: of two, chance proves anything."""


@dataclass(frozen=True)
class History:
    """What is known at the end of a day.

    `excess`: by day (block), the champion's log-loss over its reference at promotion, whichever version it was then
    (`monitoring.excess_over_reference`). `champion_since`: the first period that the present champion serves, None without one.
    `drift`: the importance-weighted PSI, None without a champion or enough rows. `trained`: the as-of day on which the champion was
    trained, or where there is none the newest baseline; None before the first decision. `asked_by_age`: as of when staleness last asked
    for a decision, None if it never did. `decisions`: as-of days of earlier retrain decisions, in order.
    """

    day: date
    excess: pd.Series
    champion_since: date | None
    drift: float | None
    trained: date | None
    asked_by_age: date | None
    decisions: list[date]

    @property
    def champions_excess(self) -> pd.Series:
        """The excess of the whole blocks that the present champion served."""
        if self.champion_since is None:
            return self.excess.iloc[:0]
        return self.excess[self.excess.index >= pd.Timestamp(self.champion_since)]


@dataclass(frozen=True)
class Reading:
    """One trigger on one day. `value` and `threshold` are None where there is not enough evidence."""

    trigger: str
    value: float | None
    threshold: float | None
    fired: bool
    evidence: str

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class RetrainDecision:
    """Whether to retrain, every trigger's reading, and what held a fired trigger back (None: nothing)."""

    retrain: bool
    readings: list[Reading]
    held_back_by: str | None

    @property
    def fired(self) -> list[str]:
        return [reading.trigger for reading in self.readings if reading.fired]

    @property
    def sentence(self) -> str:
        if self.retrain:
            return f"Retrain: {', '.join(self.fired)} fired."
        if self.held_back_by:
            return f"No retrain: {', '.join(self.fired)} fired, held back by {self.held_back_by}."
        return "No retrain: no trigger fired."


def history_of(view: AsOf, entries: list[Entry], card: pd.DataFrame) -> History:
    """The history of a monitored day; `card` is the performance table as it is known then, `entries` are those in effect."""
    serving = serving_now(entries)
    model = serving.get("champion") or serving.get("baseline")
    decided = {parse_period(entry["as_of"]): asking_triggers(entry) for entry in decisions(entries)}
    return History(
        day=view.day,
        excess=excess_over_reference(card, view.periods),
        champion_since=champion_since(entries),
        drift=_drift_felt(view),
        trained=parse_period(model["as_of"]) if model else None,
        asked_by_age=max((day for day, asking in decided.items() if "staleness" in asking), default=None),
        decisions=list(decided),
    )


def _drift_felt(view: AsOf) -> float | None:
    """The importance-weighted PSI; None without a champion, and of fewer rows than judge a slice: chance alone moves those by
    about bins / rows."""
    table = view.store.read("drift", view.day)
    enough = len(table) and table.rows.max() >= view.product.evaluation.slice_rows_at_least
    return weighted_psi(table) if enough else None


def decide(history: History, product: Product) -> RetrainDecision:
    """Read each declared trigger, then apply cooldown and budget. Before the first decision nothing fires: the schedule starts."""
    readers: dict[str, Callable[[History, Any, Product], Reading]] = {
        "performance": _performance,
        "drift": _drift,
        "staleness": _staleness,
    }
    readings = [readers[trigger.kind](history, trigger, product) for trigger in product.retraining.triggers]
    fired = any(reading.fired for reading in readings)
    held = held_back(history.day, history.decisions, product) if fired else None
    return RetrainDecision(fired and held is None, readings, held)


def alarm_threshold(excess: pd.Series, over: int, one_in: int) -> tuple[float | None, int]:
    """The threshold that quiet history passes on one day in `one_in` at most, and from how many rolling means it was taken.

    The larger of two bounds, because each fails where the other holds: the quantile of the rolling means knows that days may be
    skewed, but takes too few windows for the whole of their spread; the prediction bound knows how little few and correlated days
    say, but takes them to be normal. Only windows that end before the current one begins are used: the window that is judged has no
    say in its own bound. None where there are fewer than `one_in` of them.
    """
    earlier = excess.iloc[:-over]
    means = earlier.rolling(over).mean().dropna()
    if len(means) < one_in:
        return None, len(means)
    quantile = np.quantile(means, 1 - 1 / one_in)
    return float(np.fmax(quantile, _prediction_bound(earlier, over, one_in))), len(means)


def _prediction_bound(earlier: pd.Series, over: int, one_in: int) -> float:
    """What the mean of `over` further days passes once in `one_in`: mean + t(1 - 1/one_in, n - 1) * s * sqrt(1/over + 1/n).

    The usual prediction bound for normal days, where `over` and n count as many days as so many correlated ones are worth
    (`statistics.independent_days`), n at least 2 for the t quantile; missing where there is one day only.
    """
    from scipy.stats import t

    correlation = neighbour_correlation(earlier)
    window, history = independent_days(over, correlation), independent_days(len(earlier), correlation)
    reach = float(t.ppf(1 - 1 / one_in, max(history - 1, 1))) * float(earlier.std())
    return float(earlier.mean()) + reach * float(np.sqrt(1 / window + 1 / history))


def _performance(history: History, trigger: PerformanceTrigger, product: Product) -> Reading:
    """Fires when the present champion's mean excess is proven above zero and lies over the calibrated threshold.

    Judged are the newest `over` blocks that it served itself: nobody answers for the days of the champion before. While it has served
    fewer, those are judged, from LEAST_BLOCKS on, against the threshold for windows as short. The price: a champion that is
    replaced every week is judged on some three to six days, which show a great loss and no small one.
    """
    over, unit = product.count(trigger.over), product.time.block
    window, least = history.champions_excess.iloc[-over:], min(over, LEAST_BLOCKS)
    if len(window) < least:
        judged = f"n={len(window)} {unit}s that the champion served, {least} are needed"
        return Reading("performance", None, None, False, f"not enough evidence ({judged})")
    threshold, quiet = alarm_threshold(history.excess, len(window), trigger.false_alarms)
    interval = mean_interval(window.to_list(), 0.95, unit=unit)
    if interval is None or threshold is None:
        known = f"n={quiet} earlier windows of {len(window)} {unit}s, {trigger.false_alarms} are needed"
        return Reading("performance", float(window.mean()), None, False, f"not enough evidence ({known})")
    fired = interval.low > 0 and interval.mean > threshold
    evidence = f"loss over its value at promotion: {interval}; bound from {quiet} windows"
    return Reading("performance", interval.mean, threshold, fired, evidence)


def _drift(history: History, trigger: DriftTrigger, product: Product) -> Reading:
    least = product.evaluation.slice_rows_at_least
    if history.drift is None:
        return Reading(
            "drift", None, trigger.psi, False, f"not enough evidence (no champion to drift from, or under {least} rows)"
        )
    return Reading(
        "drift", history.drift, trigger.psi, history.drift > trigger.psi, "importance-weighted PSI of the inputs"
    )


def _staleness(history: History, trigger: StalenessTrigger, _: Product) -> Reading:
    """Fires when what serves was trained longer ago than `days`, however many refreshes were refused since.

    What was asked for and refused is not asked for again before as many days are over; nothing else stops the age from asking daily.
    """
    bound, day = float(trigger.days), history.day
    if history.trained is None:
        return Reading("staleness", None, bound, False, "not enough evidence (nothing was trained yet)")
    age, asked = (day - history.trained).days, history.asked_by_age
    stale, evidence = age > trigger.days, f"days since the training as of {history.trained}"
    waits = stale and asked is not None and (day - asked).days <= trigger.days
    if waits:
        evidence += f"; asked for a retrain as of {asked}, asks again {trigger.days} days after it"
    return Reading("staleness", float(age), bound, stale and not waits, evidence)


def held_back(day: date, decided: list[date], product: Product) -> str | None:
    """Which of cooldown and budget keeps a trigger from asking as of a day; None where neither does. `decided` are the as-of days of
    retrains, in order."""
    policy, word = product.retraining, product.time.word
    cooldown, per = product.count(policy.cooldown), product.count(policy.budget.per)
    ages = [Periods.of(product.time).steps(before, day) for before in decided]
    if ages and ages[-1] <= cooldown:
        return f"cooldown ({cooldown} {word}s after {decided[-1]})"
    spent = sum(age < per for age in ages)
    if spent >= policy.budget.retrains:
        return f"budget ({spent} of {policy.budget.retrains} retrains in {per} {word}s)"
    return None


def first_day_of_history(day: date, periods: Periods) -> date:
    """How far back a decision looks: 365 judged periods, or 90 days of hours."""
    return periods.before(day, 90 * 24 if periods.cadence == "hourly" else 365)
