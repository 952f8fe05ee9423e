"""The health report: one self-contained HTML page a day that a product manager can read, offline, and a page that lists them all."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from evergreen import charts
from evergreen import plain_words as words
from evergreen.cadence import parse_period
from evergreen.config import Product
from evergreen.drift import PREDICTION, weighted_psi
from evergreen.evaluation import ALL_ROWS
from evergreen.health import Health, serves_today
from evergreen.ledger import Entry
from evergreen.monitoring import SCORER_NAMES
from evergreen.numbers import draw
from evergreen.periods import Periods
from evergreen.plain_words import span
from evergreen.product_page import facts
from evergreen.promotion import AWAITING, IN_SHADOW, REFUSED, ROLLED_BACK, SUPERSEDED, decisions, sentence
from evergreen.seasons import SEASONS, short, titled
from evergreen.tasks import task_of

SIGNS = {
    "promoted": "▲",
    "kept": "○",
    "held": "◇",
    IN_SHADOW: "◐",
    AWAITING: "△",
    SUPERSEDED: "◌",
    REFUSED: "✕",
    ROLLED_BACK: "▼",
}
MOST_SHOWN = 8


def render(health: Health, product: Product) -> str:
    """The day's page as HTML; its one link leads to the list of all days, beside it."""
    return _page("health_report.html.j2").render(
        product=product,
        health=health,
        title=titled(health.day, product.time.cadence),
        shown=SEASONS[product.time.cadence].shown,
        verdict=words.judge(health, product),
        beside=words.beside_yardsticks(health, product),
        constant=words.without_a_model(health, product),
        before_labels=words.before_labels(health, product),
        natural=words.natural_measure(health, product),
        task=task_of(product),
        digits=words.decimals(product),
        changes=words.changes(health, product),
        chart=charts.in_page(chart) if (chart := _chart(health, product)) else None,
        costs=_costs(health),
        decisions=[_decision(entry) for entry in _shown_entries(health)[::-1]],
        last=next(iter(decisions(health.entries)[::-1]), None),
        drift=_drift(health),
        signs=SIGNS,
        slices=_slices(health, product),
        labels=_labels(health, product),
        features=_features(health),
        page=facts(product),
    )


def summarize(health: Health, product: Product) -> dict[str, Any]:
    """What the list of all days says about this one."""
    verdict, who = words.judge(health, product), serves_today(health.scored, health.day)
    return {"state": verdict.state, "sentence": verdict.sentence, "served_by": who or "nobody"}


def render_index(days: Mapping[date, Mapping[str, Any]], product: Product) -> str:
    """The list of all days, newest first, each with its verdict and a link, under their numbers by day; `days` maps a day to its
    `summarize`, with its `numbers`."""
    drawn = [{"title": chart.title, "drawn": charts.in_page(chart)} for chart in draw(days, product)]
    return _page("health_index.html.j2").render(product=product, days=sorted(days.items(), reverse=True), charts=drawn)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("evergreen", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": "{:.0%}".format, "thousands": "{:,}".format, "money": "{:.2f}".format}
    return environment


def _page(template: str) -> Any:
    return _environment().get_template(template)


def _chart(health: Health, product: Product) -> charts.Chart | None:
    """Cost by day, who served and what was decided, over the same days; None without a judged day."""
    costs, bound = health.daily["expected_cost"], product.decision.good_enough
    lines = charts.live_lines(costs)
    if not lines:
        return None
    return charts.time_plot(
        f"Cost of a prediction by {product.time.word}, in {product.decision.currency}; who served; retrains",
        health.days,
        lines,
        bound.at_most if bound.metric == "expected_cost" else None,
        _bands(health, Periods.of(product.time)),
        [
            charts.Mark(_day(entry["as_of"]), SIGNS[entry["decision"]], entry["decision"])
            for entry in _shown_entries(health)
        ],
    )


def _bands(health: Health, periods: Periods) -> list[charts.Band]:
    """Stretches of days with the same model; two that follow each other differ in shade."""
    who = health.scored.served_by + health.scored.version.map(lambda version: f" v{version}" if version else "")
    stretches = who.groupby((who != who.shift()).cumsum())
    return [
        charts.Band(periods.at(days.index[0]), periods.at(days.index[-1]), days.iloc[0], number % 2 == 1)
        for number, (_, days) in enumerate(stretches)
    ]


def _costs(health: Health) -> dict[str, Any]:
    """Mean daily cost of each scorer over the `days` that all were measured on; a mean over no day is None."""
    common = health.daily["expected_cost"].dropna()
    means = {
        SCORER_NAMES[name]: common[name].mean() if len(common) else None for name in SCORER_NAMES if name in common
    }
    return {"days": len(common), "means": means}


def _shown_entries(health: Health) -> list[Entry]:
    return [entry for entry in health.entries if _day(entry["as_of"]) >= health.days[0]]


def _decision(entry: Entry) -> dict[str, Any]:
    return {
        "day": _day(entry["as_of"]),
        "sign": SIGNS[entry["decision"]],
        "from": _day(entry["effective_from"]),
        "sentence": sentence(entry),
    }


def _drift(health: Health) -> dict[str, Any]:
    """How far the inputs and the predictions moved, the farthest first; `weighted` is None without a champion."""
    ordered = health.drift.sort_values("psi", ascending=False).to_dict("records")
    lines = [
        {
            "name": "the predictions" if line["feature"] == PREDICTION else line["feature"],
            "psi": line["psi"],
            "words": words.how_far(line["psi"]),
            "weight": None if pd.isna(line["importance"]) else line["importance"],
        }
        for line in ordered
    ]
    far = [line["name"] for line in lines if line["psi"] >= words.LARGE]
    weighted, reading = weighted_psi(health.drift), _reading(health, "drift")
    return {
        "lines": lines[:MOST_SHOWN],
        "rest": len(lines[MOST_SHOWN:]),
        "far": far,
        "weighted": weighted,
        "words": None if weighted is None else words.how_far(weighted),
        "threshold": reading["threshold"] if reading else None,
    }


def _reading(health: Health, trigger: str) -> dict[str, Any] | None:
    return next((reading for reading in health.decision["readings"] if reading["trigger"] == trigger), None)


def _slices(health: Health, product: Product) -> dict[str, Any]:
    """The dearest slices with enough rows over the judged days shown, beside the average of all rows (None without any)."""
    card, least = health.card.dropna(subset=["expected_cost"]), product.evaluation.slice_rows_at_least
    served, baseline = (_pooled(card[card.scorer == scorer]) for scorer in ("served", "baseline"))
    watched = served.drop(ALL_ROWS, errors="ignore")
    enough = watched[watched.rows >= least].sort_values("expected_cost", ascending=False).head(MOST_SHOWN)
    # where the baseline did not score every row of a slice, its cost there is of other rows
    beside = baseline.expected_cost.where(baseline.rows == served.rows.reindex(baseline.index)).reindex(enough.index)
    return {
        "lines": enough.assign(baseline=beside).reset_index(names="name").to_dict("records"),
        "average": served.loc[ALL_ROWS].to_dict() if len(served) else None,
        "small": int((watched.rows < least).sum()),
        "least": least,
    }


def _pooled(card: pd.DataFrame) -> pd.DataFrame:
    """Each slice's means over all its rows."""
    names = ["expected_cost", "label", "score"]
    sums = card[names].mul(card.rows, axis="index").assign(rows=card.rows).groupby(card["slice"]).sum()
    return sums[names].div(sums.rows, axis="index").assign(rows=sums.rows)


def _labels(health: Health, product: Product) -> dict[str, Any]:
    """Labelled share of the days that fell due, what is pending, and how long labels took."""
    days = health.card[(health.card["slice"] == ALL_ROWS) & (health.card.scorer == "served")]
    delays = health.delays
    quantiles = (
        [span(known) for known in pd.TimedeltaIndex(delays.quantile([0.5, 0.9])).to_pytimedelta()]
        if len(delays)
        else []
    )
    lowest = days.nsmallest(1, "coverage").to_dict("records")
    return {
        "days": len(days),
        "mean": float(days.coverage.mean()) if len(days) else None,
        "lowest": {"share": lowest[0]["coverage"], "day": short(lowest[0]["day"], product.time.cadence)}
        if lowest
        else None,
        "arrived": len(delays),
        "median": quantiles[0] if quantiles else None,
        "p90": quantiles[1] if quantiles else None,
    }


def _features(health: Health) -> dict[str, Any] | None:
    if health.weights is None:
        return None
    ordered = sorted(health.weights.shares.items(), key=lambda item: -item[1])
    return {
        "lines": ordered[:MOST_SHOWN],
        "rest": len(ordered[MOST_SHOWN:]),
        "rest_share": sum(share for _, share in ordered[MOST_SHOWN:]),
        "meaning": health.weights.meaning,
        "half": _half(ordered),
    }


def _half(ordered: list[tuple[str, float]]) -> list[str]:
    """The fewest features that carry half of the weight."""
    carried, names = 0.0, []
    for name, share in ordered:
        if carried >= 0.5:
            break
        carried += share
        names.append(name)
    return names


def _day(text: str) -> date:
    return parse_period(text)
