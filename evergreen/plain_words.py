"""A day's health in plain words: good enough or not, what changed, how bad. Where evidence is missing, that is said."""

from collections.abc import Hashable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pandas as pd

from evergreen.as_of import first_served_day
from evergreen.cadence import Cadence, parse_period
from evergreen.config import Product
from evergreen.health import Health, serves_today
from evergreen.ladder import unfit_baseline
from evergreen.ledger import Entry
from evergreen.periods import Periods
from evergreen.promotion import sentence
from evergreen.seasons import SEASONS, short
from evergreen.statistics import mean_interval
from evergreen.tasks import task_of

YARDSTICKS = {"baseline": "the simple baseline", "first": "never retraining"}
RECENT = 7
ON: dict[Cadence, str] = {"hourly": "on", "daily": "on", "weekly": "in", "monthly": "in"}
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
        shown, judged = SEASONS[product.time.cadence].shown, _judged(len(served), product)
        return Verdict("not enough evidence", f"The last {shown} have {judged}, 2 are needed.{until}")
    good = served.mean() <= target.at_most
    costs = target.metric == "expected_cost"
    what, unit = (
        ("a prediction cost", f" {product.decision.currency}")
        if costs
        else (f"the {task_of(product).words.loss} was", "")
    )
    said = (
        f"Over {_judged(len(served), product)}, {what} {served.mean():.3f}{unit} on average, {'within' if good else 'over'} the bound "
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
    return f"{ON[product.time.cadence].capitalize()} these {product.time.word}s {said}." if said else None


def before_labels(health: Health, product: Product) -> str:
    """What the newest predictions may cost, before a label of theirs is known."""
    found = health.estimated
    if not task_of(product).says_chances:
        return "Before labels come nothing is estimated: a predicted number does not say how sure it is."
    if found is None:
        return "Before labels come: not enough evidence to estimate what the newest predictions cost."
    begin, end = (short(period, product.time.cadence) for period in (found.first, found.last))
    when = begin if begin == end else f"{begin} to {end}"
    return (
        f"Before labels come: the {found.rows:,} predictions of {when} may cost about "
        f"{_money(found.expected_cost, product)} each (log-loss about {found.log_loss:.2f}), estimated from how the "
        f"scores of {found.known:,} labelled rows came true. It cannot see a changed concept: only labels can."
    )


def beside_yardsticks(health: Health, product: Product) -> str:
    """What was served against its yardsticks, on the days on which all were measured."""
    costs = health.daily["expected_cost"].dropna()
    others = [name for name in ("baseline", "first") if name in costs]
    if "served" not in costs or not others or len(costs) < 2:
        return "Not enough evidence yet to compare with the simple baseline and with never retraining."
    if others == ["baseline"] and (health.scored.served_by.reindex(costs.index) == "baseline").all():
        return f"Over the {_judged(len(costs), product)}, it was the simple baseline that answered."
    parts = [_against(costs.served.mean() - costs[name].mean(), YARDSTICKS[name], product) for name in others]
    said = f"On the {_judged(len(costs), product)} that all were measured on, a prediction cost {' and '.join(parts)}."
    unfit = unfit_baseline(health.entries[-1]["serving"]) if health.entries else None
    return f"{said} The simple baseline itself would not serve: {unfit}" if unfit else said


def changes(health: Health, product: Product) -> list[str]:
    """What changed since yesterday and since last week, a sentence each."""
    return [
        _newest_day(health, product),
        *_seasons(health, product),
        _who_serves(health, product),
        _volume(health, product),
        *_decisions_in_words(health, product),
    ]


def decimals(product: Product) -> int:
    """Of a cost: to the cent where whole units are at stake, finer where good enough is less than one."""
    target = product.decision.good_enough
    return 3 if target.metric == "expected_cost" and target.at_most < 1 else 2


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


def _newest_day(health: Health, product: Product) -> str:
    costs, word, cadence = _served_costs(health), product.time.word, product.time.cadence
    if len(costs) < 2:
        return f"Cost: not enough evidence ({_judged(len(costs), product)}) to compare with the {word} before."
    newest, before = costs.index[-1], costs.index[-2]
    against = _against(costs.iloc[-1] - costs.iloc[-2], f"{ON[cadence]} {short(before, cadence)}", product)
    return (
        f"Cost, newest judged {word}: {_money(costs.iloc[-1], product)} a prediction {ON[cadence]} "
        f"{short(newest, cadence)}, {against}. Single {word}s vary by chance."
    )


def _seasons(health: Health, product: Product) -> list[str]:
    """Each period of a season against the same one of the season before. Hours of one day resemble each other too much for that."""
    word, season = product.time.word, SEASONS[product.time.cadence]
    if product.time.cadence == "hourly":
        return []
    costs, length = _served_costs(health), season.periods
    if len(costs):
        periods = Periods.of(product.time)
        shown = periods.between(periods.at(costs.index[0]), periods.at(costs.index[-1]))
        costs = costs.reindex(pd.DatetimeIndex(shown))
    differences = costs.diff(length).iloc[-length:].dropna()
    interval = mean_interval(differences.to_list(), product.gates.confidence) if len(differences) == length else None
    if interval is None:
        needed = f"two whole judged {season.name}s are needed"
        return [f"Cost, {season.name} against {season.name}: not enough evidence ({needed})."]
    chance = f"{word}-to-{word} chance"
    proven = f"more than {chance} explains" if interval.low > 0 or interval.high < 0 else f"within {chance}"
    return [
        f"Cost, last {length} judged {word}s: {_money(costs.iloc[-length:].mean(), product)} a prediction, "
        f"{_against(interval.mean, f'in the {length} {word}s before', product)}, {proven}."
    ]


def _served_costs(health: Health) -> pd.Series:
    costs = health.daily["expected_cost"]
    return costs.served.dropna() if "served" in costs else _NO_DAYS


def _who_serves(health: Health, product: Product) -> str:
    """Who answers, since when within the days shown, and who did before."""
    who = [_who(line) for line in health.scored.to_dict("records")]
    if serves_today(health.scored, health.day) is None:
        return f"Nobody served: the {product.time.word} has no prediction."
    same = next((number for number, name in enumerate(reversed(who)) if name != who[-1]), len(who))
    if same == len(who):
        return f"Served by {who[-1]}, on all {len(who)} {product.time.word}s shown."
    since = health.scored.index[-same]
    newest = "today" if product.time.cadence == "daily" else f"this {product.time.word}"
    begin = newest if same == 1 else short(since, product.time.cadence)
    return f"Served by {who[-1]}, since {begin}; before, by {who[-same - 1]}."


def _who(line: dict[Hashable, Any]) -> str:
    return f"the {line['served_by']}" + (f", version {line['version']}" if line["version"] else "")


def _volume(health: Health, product: Product) -> str:
    rows, season = health.scored.rows, SEASONS[product.time.cadence]
    earlier = Periods.of(product.time).before(health.day, season.periods)
    today, before = (int(rows.get(pd.Timestamp(day), 0)) for day in (health.day, earlier))
    against = f", {today - before:+,} against {season.same}" if before else ""
    return f"{today:,} prediction{'' if today == 1 else 's'}{against}, and {health.quarantined:,} rows in quarantine."


def _decisions_in_words(health: Health, product: Product) -> list[str]:
    periods = Periods.of(product.time)
    since = periods.before(health.day, RECENT)
    recent = [entry for entry in health.entries if parse_period(entry["effective_from"]) > since]
    if not recent:
        return [f"No retrain was decided in the last {RECENT} {product.time.word}s."]
    return [
        f"{_kind(entry)} of {short(parse_period(entry['as_of']), product.time.cadence)}. {sentence(entry)}"
        for entry in recent
    ]


def _kind(entry: Entry) -> str:
    return str(entry.get("kind", "retrain")).capitalize()


def _against(difference: float, other: str, product: Product) -> str:
    """A difference of costs in words."""
    if abs(difference) < 0.5 * 10 ** -decimals(product):
        return f"as much as {other}"
    return f"{_money(abs(difference), product)} {'less' if difference < 0 else 'more'} than {other}"


def _money(cost: float, product: Product) -> str:
    return f"{cost:.{decimals(product)}f} {product.decision.currency}"


def _judged(count: int, product: Product) -> str:
    return f"{count or 'no'} judged {product.time.word}{'' if count == 1 else 's'}"
