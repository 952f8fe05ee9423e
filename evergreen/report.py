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
    shown = [name for name in COLORS if name in costs and costs[name].notna().any()]
    common = costs[shown].dropna()
    bound = product.decision.good_enough
    limit = bound.at_most if bound.metric == "expected_cost" else None
    bottom, top = _scale(costs, limit)
    return environment.get_template("health_report.html.j2").render(
        product=product,
        health=health,
        verdict=verdict(health, product),
        scorers=[
            {
                "name": SCORER_NAMES[name],
                "color": COLORS[name],
                "cost": common[name].mean(),
                "line": _line(costs[name], bottom, top),
            }
            for name in shown
        ],
        common_days=len(common),
        limit=limit,
        limit_height=_height(limit, bottom, top) if limit is not None else None,
        top=top,
        bottom=bottom,
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


def _scale(days: pd.DataFrame, limit: float | None) -> tuple[float, float]:
    """The smallest and the largest value to draw, zero and the limit included."""
    if days.empty:
        return 0.0, 1.0
    limits = [0.0, limit] if limit is not None else [0.0]
    return min(*limits, float(days.min().min())), max(*limits, float(days.max().max()))


def _height(value: float, bottom: float, top: float) -> float:
    return HEIGHT * (1 - (value - bottom) / ((top - bottom) or 1.0))


def _line(values: pd.Series, bottom: float, top: float) -> str:
    """The points of an SVG polyline, one a day; a day without a value is left out."""
    step = WIDTH / max(1, len(values) - 1)
    points = [(number * step, _height(value, bottom, top)) for number, value in enumerate(values) if pd.notna(value)]
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _decision(entry: Entry) -> dict[str, str]:
    deciding = next(gate["sentence"] for gate in entry["gates"] if gate["name"] == entry["deciding_gate"])
    return {"day": entry["as_of"], "outcome": entry["decision"], "by": entry["requested_by"], "why": deciding}
