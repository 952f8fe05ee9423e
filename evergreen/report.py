"""The health report: one self-contained HTML page a day that a product manager can read, offline."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from evergreen.as_of import first_decidable_day
from evergreen.config import Product
from evergreen.evaluation import ALL_ROWS
from evergreen.ledger import Entry
from evergreen.periods import ONE_DAY

SCORER_NAMES = {"served": "what we served", "baseline": "simple baseline", "first": "never retraining"}
COLORS = {"served": "#14532d", "baseline": "#b45309", "first": "#9ca3af"}
WIDTH, HEIGHT = 640, 180


@dataclass(frozen=True)
class Health:
    """What a day's report is made of. `card` is the performance table of the last weeks, `decision` the day's retrain decision,
    `served_by` and `rows` the day's scoring, `coverage` the labelled share of the days that fell due (None without any)."""

    day: date
    card: pd.DataFrame
    entries: list[Entry]
    drift: pd.DataFrame
    decision: dict[str, Any]
    served_by: str
    rows: int
    quarantined: int
    coverage: float | None


def verdict(health: Health, product: Product) -> str:
    """Whether the product is good enough over the days shown, in its own terms; says so where that cannot be judged."""
    target = product.decision.good_enough
    days = _daily(health.card, target.metric)
    if "served" not in days or days.served.dropna().empty:
        return f"Not enough evidence: no day has been judged yet. Models start on {first_decidable_day(product) + ONE_DAY} at the earliest."
    mean = days.served.mean()
    state = "Good enough" if mean <= target.at_most else "Not good enough"
    measure, judged = target.metric.replace("_", " "), days.served.count()
    return f"{state}: {measure} {mean:.3f} a row over {judged} judged days, the bound is {target.at_most:g}."


def render(health: Health, product: Product) -> str:
    """The page as HTML, without a link to anything outside it."""
    environment = Environment(
        loader=PackageLoader("evergreen", "templates"), autoescape=True, undefined=StrictUndefined
    )
    costs = _daily(health.card, "expected_cost")
    return environment.get_template("health_report.html.j2").render(
        product=product,
        health=health,
        verdict=verdict(health, product),
        scorers=[
            {"name": SCORER_NAMES[name], "color": COLORS[name], "cost": costs[name].mean(), "line": _line(costs, name)}
            for name in COLORS
            if name in costs and costs[name].notna().any()
        ],
        width=WIDTH,
        height=HEIGHT,
        span=[f"{day:%d %b}" for day in (costs.index[0], costs.index[-1])] if len(costs) else [],
        decisions=[_decision(entry) for entry in health.entries[:-7:-1]],
        drift=health.drift.sort_values("psi", ascending=False).head(5).to_dict("records"),
    )


def _daily(card: pd.DataFrame, measure: str) -> pd.DataFrame:
    if card.empty:
        return pd.DataFrame()
    return card[card.slice == ALL_ROWS].pivot_table(index="day", columns="scorer", values=measure).sort_index()


def _line(days: pd.DataFrame, scorer: str) -> str:
    """The points of an SVG polyline, the vertical scale from the smallest value of any scorer to the largest, zero included."""
    bottom, top = min(0.0, float(days.min().min())), max(0.0, float(days.max().max()))
    reach, step = (top - bottom) or 1.0, WIDTH / max(1, len(days) - 1)
    return " ".join(
        f"{number * step:.1f},{HEIGHT * (1 - (value - bottom) / reach):.1f}"
        for number, value in enumerate(days[scorer])
        if pd.notna(value)
    )


def _decision(entry: Entry) -> dict[str, str]:
    deciding = next(gate["sentence"] for gate in entry["gates"] if gate["name"] == entry["deciding_gate"])
    return {"day": entry["as_of"], "outcome": entry["decision"], "by": entry["requested_by"], "why": deciding}
