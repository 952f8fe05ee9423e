"""A day's health in plain words: good enough or not, what changed, how bad. Where evidence is missing, that is said."""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

from evergreen.as_of import first_served_day
from evergreen.cadence import parse_period
from evergreen.config import Product
from evergreen.health import Health, serves_today
from evergreen.ledger import Entry
from evergreen.promotion import sentence
from evergreen.statistics import mean_interval
from evergreen.tasks import task_of

YARDSTICKS = {"baseline": "the simple baseline", "first": "never retraining"}
WEEK = 7
WORTH_A_LOOK, LARGE = 0.1, 0.25
_NO_DAYS = pd.Series(dtype="float64", index=pd.DatetimeIndex([]))


@dataclass(frozen=True)
class Verdict:
    """`good enough`, `not good enough` or `not enough evidence`, and why in a sentence."""

    state: str
    sentence: str


def judge(health: Health, product: Product) -> Verdict:
    """Whether the product was good enough over the judged days, in its own terms."""
    target = product.decision.good_enough
    days = health.daily[target.metric]
    served = days.served.dropna() if "served" in days else _NO_DAYS
    start = first_served_day(product)
    until = f" Until {start} at the earliest the heuristic answers." if start > health.day else ""
    if len(served) < 2:
        return Verdict(
            "not enough evidence", f"The last four weeks have {_judged_days(len(served))}, 2 are needed.{until}"
        )
    good = served.mean() <= target.at_most
    costs = target.metric == "expected_cost"
    what, unit = (
        ("a prediction cost", f" {product.decision.currency}")
        if costs
        else (f"the {task_of(product).words.loss} was", "")
    )
    said = (
        f"Over {_judged_days(len(served))}, {what} {served.mean():.3f}{unit} on average, {'within' if good else 'over'} the bound "
        f"of {target.at_most:g}{unit}.{until}"
    )
    return Verdict("good enough" if good else "not good enough", said)


def without_a_model(health: Health, product: Product) -> str | None:
    """What the same days would have cost with one answer for every row; None without a judged day, or where that cannot be said."""
    days = health.daily["label"]
    if "served" not in days or days.served.dropna().empty:
        return None
    return task_of(product).without_a_model(float(days.served.mean()), product.decision.currency)


def natural_measure(health: Health, product: Product) -> str | None:
    """What was served over the judged days in a measure that people know; None where the task has none beside its cost."""
    days = {name: daily.served.dropna() for name, daily in health.daily.items() if "served" in daily}
    if "label" not in days or days["label"].empty:
        return None
    said = task_of(product).natural_of_means({name: float(values.mean()) for name, values in days.items()})
    return f"On these days {said}." if said else None


def beside_yardsticks(health: Health, product: Product) -> str:
    """What was served against its yardsticks, on the days on which all were measured."""
    costs = health.daily["expected_cost"].dropna()
    others = [name for name in ("baseline", "first") if name in costs]
    if "served" not in costs or not others or len(costs) < 2:
        return "Not enough evidence yet to compare with the simple baseline and with never retraining."
    parts = [_against(costs.served.mean() - costs[name].mean(), YARDSTICKS[name], product) for name in others]
    return f"On the {_judged_days(len(costs))} that all were measured on, a prediction cost {' and '.join(parts)}."


def changes(health: Health, product: Product) -> list[str]:
    """What changed since yesterday and since last week, a sentence each."""
    return [
        _newest_day(health, product),
        _weeks(health, product),
        _who_serves(health),
        _volume(health),
        *_decisions_in_words(health),
    ]


def how_far(psi: float) -> str:
    """A population stability index in words, by the usual bounds."""
    if psi < WORTH_A_LOOK:
        return "hardly moved"
    return "moved" if psi < LARGE else "moved far"


def span(duration: timedelta) -> str:
    """A duration as people say it."""
    hours = duration / timedelta(hours=1)
    if abs(hours) < 1.5:
        return f"{hours * 60:.0f} minutes"
    return f"{hours:.1f} hours" if abs(hours) < 48 else f"{hours / 24:.1f} days"


def short(day: date) -> str:
    return f"{day.day} {day:%B}"


def _newest_day(health: Health, product: Product) -> str:
    costs = _served_costs(health)
    if len(costs) < 2:
        return f"Cost: not enough evidence ({_judged_days(len(costs))}) to compare with the day before."
    newest, before = costs.index[-1], costs.index[-2]
    against = _against(costs.iloc[-1] - costs.iloc[-2], f"on {short(before)}", product)
    return (
        f"Cost, newest judged day: {costs.iloc[-1]:.2f} {product.decision.currency} a prediction on {short(newest)}, {against}. "
        "Single days vary by chance."
    )


def _weeks(health: Health, product: Product) -> str:
    """Each day of the week against the same one of the week before."""
    costs = _served_costs(health).asfreq("D")
    differences = costs.diff(WEEK).iloc[-WEEK:].dropna() if len(costs) else costs
    interval = mean_interval(differences.to_list(), product.gates.confidence) if len(differences) == WEEK else None
    if interval is None:
        return "Cost, week against week: not enough evidence (two whole judged weeks are needed)."
    proven = (
        "more than day-to-day chance explains" if interval.low > 0 or interval.high < 0 else "within day-to-day chance"
    )
    return (
        f"Cost, last 7 judged days: {costs.iloc[-WEEK:].mean():.2f} {product.decision.currency} a prediction, "
        f"{_against(interval.mean, 'in the 7 days before', product)}, {proven}."
    )


def _served_costs(health: Health) -> pd.Series:
    costs = health.daily["expected_cost"]
    return costs.served.dropna() if "served" in costs else _NO_DAYS


def _who_serves(health: Health) -> str:
    """Who answers, since when within the days shown, and who did before."""
    who = [_who(line) for line in health.scored.to_dict("records")]
    if serves_today(health.scored, health.day) is None:
        return "Nobody served: the day has no prediction."
    same = next((number for number, name in enumerate(reversed(who)) if name != who[-1]), len(who))
    if same == len(who):
        return f"Served by {who[-1]}, on all {len(who)} days shown."
    since = health.scored.index[-same]
    return f"Served by {who[-1]}, since {'today' if same == 1 else short(since)}; before, by {who[-same - 1]}."


def _who(line: dict[Hashable, Any]) -> str:
    return f"the {line['served_by']}" + (f", version {line['version']}" if line["version"] else "")


def _volume(health: Health) -> str:
    rows = health.scored.rows
    today, before = (int(rows.get(pd.Timestamp(day), 0)) for day in (health.day, health.day - timedelta(days=WEEK)))
    against = f", {today - before:+,} against the same weekday last week" if before else ""
    return f"{today:,} predictions{against}, and {health.quarantined:,} rows in quarantine."


def _decisions_in_words(health: Health) -> list[str]:
    recent = [
        entry for entry in health.entries if health.day - parse_period(entry["effective_from"]) < timedelta(days=WEEK)
    ]
    if not recent:
        return ["No retrain was decided in the last 7 days."]
    return [f"{_kind(entry)} of {short(parse_period(entry['as_of']))}. {sentence(entry)}" for entry in recent]


def _kind(entry: Entry) -> str:
    return str(entry.get("kind", "retrain")).capitalize()


def _against(difference: float, other: str, product: Product) -> str:
    """A difference of costs in words, to the cent."""
    if abs(difference) < 0.005:
        return f"as much as {other}"
    return f"{abs(difference):.2f} {product.decision.currency} {'less' if difference < 0 else 'more'} than {other}"


def _judged_days(count: int) -> str:
    return f"{count or 'no'} judged day{'' if count == 1 else 's'}"
