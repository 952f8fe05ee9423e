"""A product's life so far in numbers: what `replay` ends with and `status` shows."""

from collections import Counter
from dataclasses import dataclass
from datetime import date
from typing import Any

from evergreen.as_of import AsOf
from evergreen.evaluation import summarize
from evergreen.ledger import Entry
from evergreen.monitoring import SCORER_NAMES, SCORERS, live_rows
from evergreen.promotion import ROLLED_BACK, asked_for_by, decisions
from evergreen.tasks import task_of


@dataclass(frozen=True)
class Summary:
    """`live` compares what was served with its yardsticks, pooled over the same rows: mature, served by a champion. It is empty
    where no champion has served a day whose labels are due; `live_days` are those days."""

    days: int
    rows_in: int
    quarantined: int
    pending: int
    retrains: Counter[str]
    outcomes: Counter[str]
    live: dict[str, dict[str, Any]]
    live_days: list[date]
    served: Counter[str]


def summarize_life(view: AsOf, entries: list[Entry]) -> Summary:
    """Count and measure everything up to the view's day."""
    days = view.days(view.product.time.start)
    accepted = view.events(days[0], [view.product.id])
    rows_in = view.store.rows("raw_events", days)  # quarantine may be gone after a while, deliveries never
    served = view.read("predictions", days, ["served_by"])
    coverage = view.coverage(days)
    live_days = _champion_days(view)
    return Summary(
        days=len(days),
        rows_in=rows_in,
        quarantined=rows_in - len(accepted),
        pending=int(coverage.mature.sum() - coverage.labelled.sum()),
        retrains=Counter(entry["requested_by"] for entry in decisions(entries)),
        outcomes=Counter(_outcome(entry) for entry in entries),
        live=_compare(view, live_days),
        live_days=live_days,
        served=Counter(served.served_by),
    )


def _outcome(entry: Entry) -> str:
    if entry["decision"] == ROLLED_BACK:
        return f"{ROLLED_BACK} by {asked_for_by(entry)}"
    if "kind" in entry:
        return f"{entry['decision']} after {entry['kind']}"
    return (
        f"{entry['decision']} by {entry['deciding_gate']}"
        if entry["decision"] in ("kept", "held")
        else entry["decision"]
    )


def _champion_days(view: AsOf) -> list[date]:
    """Whole mature days that a champion served."""
    table = view.read("performance", view.days(view.product.time.start), ["day", "scorer", "served_by"])
    days = table.day[(table.scorer == "first") & (table.served_by == "champion")]
    return sorted({view.periods.at(day) for day in days})


def _compare(view: AsOf, days: list[date]) -> dict[str, dict[str, Any]]:
    if not days:
        return {}
    rows, task = live_rows(view, days).rows, task_of(view.product)
    compared = {scorer: SCORERS[scorer] for scorer in SCORER_NAMES}
    rows = rows.dropna(subset=[column for name in compared.values() for column in task.columns(name)])
    return {scorer: summarize(rows, task.from_table(rows, name), view.product) for scorer, name in compared.items()}
