"""Whether the champion harms: on mature days that both scored, it is compared with the champion before it.

A pure decision from a day's record, taken by the daily run, carried out by a sensor, and called by any backtest alike.
"""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

import pandas as pd

from evergreen.config import Product
from evergreen.evaluation import by_block, by_day
from evergreen.ledger import Entry
from evergreen.periods import Periods
from evergreen.promotion import serving_as_of, serving_now
from evergreen.statistics import mean_interval
from evergreen.tasks import task_of


@dataclass(frozen=True)
class RollbackDecision:
    """Whether to roll back, and why in a sentence; the numbers are None where there is not enough evidence.

    `mean`, `low`, `high`: log-loss of the champion over the previous version's, a row, over `days` days.
    """

    roll_back: bool
    sentence: str
    champion: int | None = None
    previous: int | None = None
    mean: float | None = None
    low: float | None = None
    high: float | None = None
    days: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def decide(card: pd.DataFrame, entries: list[Entry], product: Product) -> RollbackDecision:
    """`card` is the performance table as it is known today, `entries` are those in effect."""
    serving = serving_now(entries)
    champion, previous = (serving.get(role) for role in ("champion", "previous"))
    if champion is None or previous is None:
        return RollbackDecision(False, "There is no champion with one before it to compare with.")
    versions = champion["version"], previous["version"]
    policy, unit = product.rollback, product.time.block
    least, over = product.count(policy.at_least), product.count(policy.over)
    excess = excess_over_previous(card, entries, Periods.of(product.time)).iloc[-over:]
    interval = mean_interval(excess.to_list(), policy.confidence, unit=unit) if len(excess) >= least else None
    if interval is None:
        needed = f"not enough evidence (n={len(excess)} {unit}s that both scored, {least} are needed)"
        return RollbackDecision(
            False, f"Version {versions[0]} against {versions[1]}: {needed}.", *versions, days=len(excess)
        )
    worse = interval.low > 0
    loss = task_of(product).words.loss
    sentence = (
        f"Version {versions[0]} is {'' if worse else 'not '}proven worse than version {versions[1]}: {loss} differs by {interval}, "
        f"{policy.confidence:.0%} confidence."
    )
    return RollbackDecision(
        worse and policy.automatic, sentence, *versions, interval.mean, interval.low, interval.high, interval.days
    )


def excess_over_previous(card: pd.DataFrame, entries: list[Entry], periods: Periods) -> pd.Series:
    """The champion's log-loss over the previous version's, on the days on which these two were what they are now; by block."""
    today = _pair(serving_now(entries))
    answered = card[(card.scorer != "served") | (card.served_by == "champion")]
    days = by_day(answered, "log_loss").reindex(columns=["served", "previous"])
    same = [_pair_on(periods.at(day), entries) == today for day in days.index]
    rows = by_day(answered, "rows").reindex(columns=["served"]).served
    return by_block((days.served - days.previous)[same], rows, periods)


def _pair_on(day: date, entries: list[Entry]) -> tuple[int | None, int | None]:
    entry = serving_as_of(entries, day)
    return _pair(entry["serving"] if entry else {})


def _pair(serving: dict[str, Any]) -> tuple[int | None, int | None]:
    champion, previous = ((serving.get(role) or {}).get("version") for role in ("champion", "previous"))
    return champion, previous
