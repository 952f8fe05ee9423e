"""The health report: one self-contained HTML page a day that a product manager can read, offline, and a page that lists them all."""

from collections.abc import Mapping
from datetime import date
from functools import cache
from typing import Any

import pandas as pd
from jinja2 import Environment, PackageLoader, StrictUndefined

from evergreen import charts
from evergreen import plain_words as words
from evergreen.config import Product
from evergreen.drift import PREDICTION, weighted_psi
from evergreen.evaluation import ALL_ROWS
from evergreen.health import Health
from evergreen.ledger import Entry
from evergreen.plain_words import SCORER_NAMES, short, span

LINES = {"served": "first", "baseline": "second", "first": "third"}
SIGNS = {"promoted": "▲", "kept": "○", "held": "◇"}
MOST_SHOWN = 8


def render(health: Health, product: Product) -> str:
    """The day's page as HTML; its one link leads to the list of all days, beside it."""
    return _page("health_report.html.j2").render(
        product=product,
        health=health,
        verdict=words.judge(health, product),
        beside=words.beside_yardsticks(health, product),
        constant=words.without_a_model(health, product),
        changes=words.changes(health, product),
        chart=_chart(health, product),
        costs=_costs(health),
        decisions=[_decision(entry) for entry in _shown_entries(health)[::-1]],
        last=health.entries[-1] if health.entries else None,
        drift=_drift(health),
        slices=_slices(health, product),
        labels=_labels(health),
        features=_features(health),
    )


def summarize(health: Health, product: Product) -> dict[str, Any]:
    """What the list of all days says about this one."""
    verdict, who = words.judge(health, product), words.serves_today(health.scored, health.day)
    return {
        "state": verdict.state,
        "sentence": verdict.sentence,
        "served_by": who or "nobody",
        "decision": health.decision["sentence"],
    }


def render_index(days: Mapping[date, Mapping[str, Any]], product: Product) -> str:
    """The list of all days, newest first, each with its verdict and a link; `days` maps a day to its `summarize`."""
    return _page("health_index.html.j2").render(product=product, days=sorted(days.items(), reverse=True))


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


def _chart(health: Health, product: Product) -> str | None:
    """Cost by day, who served and what was decided, over the same days; None without a judged day."""
    costs, bound = health.daily["expected_cost"], product.decision.good_enough
    lines = [charts.Line(SCORER_NAMES[name], kind, costs[name]) for name, kind in LINES.items() if name in costs]
    if not lines:
        return None
    return charts.time_plot(
        f"Cost of a prediction by day, in {product.decision.currency}; who served; retrains",
        health.days,
        lines,
        bound.at_most if bound.metric == "expected_cost" else None,
        _bands(health),
        [
            charts.Mark(_day(entry["as_of"]), SIGNS[entry["decision"]], entry["decision"])
            for entry in _shown_entries(health)
        ],
    )


def _bands(health: Health) -> list[charts.Band]:
    """Stretches of days with the same model; two that follow each other differ in shade."""
    who = health.scored.served_by + health.scored.version.map(lambda version: f" v{version}" if version else "")
    stretches = who.groupby((who != who.shift()).cumsum())
    return [
        charts.Band(days.index[0].date(), days.index[-1].date(), days.iloc[0], "odd" if number % 2 else "")
        for number, (_, days) in enumerate(stretches)
    ]


def _costs(health: Health) -> dict[str, Any]:
    """Mean daily cost of each scorer over the `days` that all were measured on; a mean over no day is None."""
    common = health.daily["expected_cost"].dropna()
    means = {SCORER_NAMES[name]: common[name].mean() if len(common) else None for name in LINES if name in common}
    return {"days": len(common), "means": means}


def _shown_entries(health: Health) -> list[Entry]:
    return [entry for entry in health.entries if _day(entry["as_of"]) >= health.days[0]]


def _decision(entry: Entry) -> dict[str, Any]:
    return {
        "day": _day(entry["as_of"]),
        "sign": SIGNS[entry["decision"]],
        "outcome": entry["decision"],
        "version": entry["candidate"]["version"],
        "from": _day(entry["effective_from"]),
        "sentence": words.sentence(entry),
    }


def _drift(health: Health) -> dict[str, Any]:
    """How far the inputs and the predictions moved, the farthest first; `weighted` is None without a champion."""
    ordered = health.drift.sort_values("psi", ascending=False)
    lines = [
        {
            "name": "the predictions" if line.feature == PREDICTION else line.feature,
            "psi": float(line.psi),
            "words": words.how_far(line.psi),
            "weight": None if pd.isna(line.importance) else float(line.importance),
        }
        for line in ordered.itertuples()
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
    """The dearest slices with enough rows over the judged days shown, beside the average of all rows."""
    card = health.card.dropna(subset=["expected_cost"])
    pooled = {scorer: _pooled(card[card.scorer == scorer]) for scorer in ("served", "baseline")}
    served = pooled["served"]
    if ALL_ROWS not in served.index:
        return {"lines": [], "average": None, "small": 0, "least": product.evaluation.slice_rows_at_least}
    watched = served.drop(ALL_ROWS)
    enough = watched[watched.rows >= product.evaluation.slice_rows_at_least].sort_values(
        "expected_cost", ascending=False
    )
    average = served.loc[ALL_ROWS]
    lines = [
        {
            "name": line.Index.replace("=", " "),
            "rows": int(line.rows),
            "cost": line.expected_cost,
            "over": line.expected_cost - average.expected_cost,
            "baseline": _same_rows(pooled["baseline"], line),
            "happened": line.label,
            "predicted": line.score,
        }
        for line in enough.head(MOST_SHOWN).itertuples()
    ]
    return {
        "lines": lines,
        "average": average,
        "small": len(watched) - len(enough),
        "least": product.evaluation.slice_rows_at_least,
    }


def _same_rows(baseline: pd.DataFrame, slice_served: Any) -> float | None:
    """The baseline's cost on a slice; None where it was not measured on every row of it."""
    if slice_served.Index not in baseline.index or baseline.rows[slice_served.Index] != slice_served.rows:
        return None
    return float(baseline.expected_cost[slice_served.Index])


def _pooled(card: pd.DataFrame) -> pd.DataFrame:
    """Each slice's means over all its rows."""
    names = ["expected_cost", "label", "score"]
    sums = card[names].mul(card.rows, axis="index").assign(rows=card.rows).groupby(card["slice"]).sum()
    return sums[names].div(sums.rows, axis="index").assign(rows=sums.rows)


def _labels(health: Health) -> dict[str, Any]:
    """Labelled share of the days that fell due, what is pending, and how long labels took."""
    days = health.card[(health.card["slice"] == ALL_ROWS) & (health.card.scorer == "served")]
    delays = health.delays
    quantiles = [span(delays.quantile(share)) for share in (0.5, 0.9)] if len(delays) else []
    lowest = days.loc[days.coverage.idxmin()] if len(days) else None
    return {
        "days": len(days),
        "mean": float(days.coverage.mean()) if len(days) else None,
        "lowest": None if lowest is None else {"share": float(lowest.coverage), "day": short(lowest.day)},
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
    return date.fromisoformat(text)
