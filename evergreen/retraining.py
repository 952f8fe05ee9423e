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
from evergreen.monitoring import daily_excess
from evergreen.periods import Periods
from evergreen.promotion import decisions
from evergreen.statistics import mean_interval


@dataclass(frozen=True)
class History:
    """What is known at the end of a day.

    `excess`: by day (block), the served log-loss over its reference at promotion (`monitoring.daily_excess`). `drift`: the
    importance-weighted PSI, None without a champion. `decisions`: as-of days of earlier retrain decisions, in order.
    """

    day: date
    excess: pd.Series
    drift: float | None
    decisions: list[date]


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
    return History(
        day=view.day,
        excess=daily_excess(card, view.periods),
        drift=weighted_psi(view.store.read("drift", view.day)),
        decisions=[parse_period(entry["as_of"]) for entry in decisions(entries)],
    )


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
    correlated, but takes too few windows for the whole of their spread; the prediction bound knows how little few days say, but
    takes them to be independent. Only windows that end before the current one begins are used: the window that is judged has no
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

    The usual prediction bound for independent normal days; missing where there is one day only.
    """
    from scipy.stats import t

    days = len(earlier)
    reach = float(t.ppf(1 - 1 / one_in, days - 1)) * float(earlier.std())
    return float(earlier.mean()) + reach * float(np.sqrt(1 / over + 1 / days))


def _performance(history: History, trigger: PerformanceTrigger, product: Product) -> Reading:
    """Fires when the window's mean excess is proven above zero and lies over the calibrated threshold."""
    over = product.count(trigger.over)
    window = history.excess.iloc[-over:]
    threshold, quiet = alarm_threshold(history.excess, over, trigger.false_alarms)
    interval = mean_interval(window.to_list(), 0.95, unit=product.time.block) if len(window) == over else None
    if interval is None or threshold is None:
        judged = f"n={len(window)} of {over} {product.time.block}s judged"
        evidence = f"not enough evidence ({judged}, {quiet} of {trigger.false_alarms} earlier windows)"
        return Reading("performance", interval.mean if interval else None, threshold, False, evidence)
    fired = interval.low > 0 and interval.mean > threshold
    return Reading(
        "performance",
        interval.mean,
        threshold,
        fired,
        f"loss over its value at promotion: {interval}; bound from {quiet} windows",
    )


def _drift(history: History, trigger: DriftTrigger, _: Product) -> Reading:
    if history.drift is None:
        return Reading("drift", None, trigger.psi, False, "not enough evidence (no champion to drift from)")
    return Reading(
        "drift", history.drift, trigger.psi, history.drift > trigger.psi, "importance-weighted PSI of the inputs"
    )


def _staleness(history: History, trigger: StalenessTrigger, _: Product) -> Reading:
    if not history.decisions:
        return Reading("staleness", None, float(trigger.days), False, "not enough evidence (nothing was trained yet)")
    age = (history.day - history.decisions[-1]).days
    return Reading(
        "staleness",
        float(age),
        float(trigger.days),
        age > trigger.days,
        f"days since the retrain of {history.decisions[-1]}",
    )


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
