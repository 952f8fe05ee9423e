"""The model card: what a version is for, what it learnt from, how it was judged, and where its limits are; Markdown.

Everything in it was recorded when the version was decided on. After Mitchell et al., Model Cards for Model Reporting, 2019.
"""

from collections.abc import Iterable, Sequence
from typing import Any

import pandas as pd

from evergreen.config import Product
from evergreen.durations import format_duration
from evergreen.evaluation import ALL_ROWS, by_day
from evergreen.ladder import unfit_baseline
from evergreen.ledger import Entry
from evergreen.product_page import page_of
from evergreen.promotion import sentence
from evergreen.scoring import threshold_of
from evergreen.statistics import mean_interval
from evergreen.tasks import task_of

NATURAL = {"accuracy": "accuracy", "mae": "mean absolute error", "rmse": "root mean squared error"}
"""Measures that some tasks have beside the generic ones."""


def render(entry: Entry, before: dict[str, Any] | None, report: dict[str, Any], product: Product) -> str:
    """The card of a decision's candidate; `before` is the champion's record that it was compared with, None without one."""
    candidate = entry["candidate"]
    sections = [
        f"# {product.name}, version {candidate['version']}",
        f"{sentence(entry)}",
        _purpose(product),
        _data(entry, product.time.word),
        _metrics(report, product),
        _slices(report, product),
        _table("Gates", ["gate", "role", "verdict", "what it found"], _gates(entry)) + _below(entry),
        _limits(entry, report, product),
        _changes(candidate, before),
    ]
    return "\n\n".join(sections) + "\n"


def _purpose(product: Product) -> str:
    before = product.time.predict_before
    when = f"A prediction is made {f'{format_duration(before)} before' if before else 'at the moment of'} the event."
    return f"## Purpose\n\n{page_of(product)}\n\n{when}"


def _data(entry: Entry, word: str) -> str:
    judged, twin = entry["evaluation"], entry["candidate"].get("twin")
    trained = f"Trained on {_rows(entry['training'])}."
    if twin:
        trained = (
            f"Trained on {_rows(entry['refit'])}.\nWhat was judged is its twin, version {twin['version']}: the same recipe, trained on "
            f"{_rows(entry['training'])}."
        )
    return (
        f"## Data\n\n{trained}\nJudged on {len(judged['days'])} later {word}s, {judged['days'][0]} to {judged['days'][-1]}: version "
        f"{judged['version']} of the evaluation set (digest {judged['digest']}).\nModel file: sha256 {entry['candidate']['digest']}."
    )


def _rows(training: dict[str, Any]) -> str:
    return (
        f"{training['rows']:,} rows of {training['first_day']} to {training['last_day']} (digest {training['digest']})"
    )


def _metrics(report: dict[str, Any], product: Product) -> str:
    """Pooled measures of each scorer, and the candidate's daily log-loss against each other's, with its interval."""
    days, words = by_day(pd.DataFrame(report["card"]), "log_loss"), task_of(product).words
    natural = [name for name in NATURAL if name in report["summary"]["candidate"]]
    lines = []
    for scorer, means in report["summary"].items():
        paired = (days.candidate - days[scorer]).dropna().to_list() if scorer != "candidate" else []
        interval = mean_interval(paired, product.gates.confidence)
        numbers = [
            _number(means[name]) for name in ("log_loss", "roc_auc", *natural, "expected_cost", "calibration_gap")
        ]
        lines.append([scorer, *numbers, str(interval) if interval else "–"])
    head = [
        "model",
        words.loss,
        words.ranking,
        *(NATURAL[name] for name in natural),
        f"cost a row ({product.decision.currency})",
        "calibration gap",
        f"candidate's {words.loss} against it",
    ]
    note = f"\n\nHere every row counts alike, in the gates every {product.time.block}."
    note += f" The calibration gap is {words.gap}. {words.note}".rstrip() if natural else ""
    return _table("Metrics on the judging days", head, lines) + note


def _slices(report: dict[str, Any], product: Product) -> str:
    """The candidate's means of days in each slice with enough rows."""
    card = pd.DataFrame(report["card"])
    card = card[(card.scorer == "candidate") & (card.slice != ALL_ROWS)]
    means = card.groupby("slice").agg(
        rows=("rows", "sum"), log_loss=("log_loss", "mean"), cost=("expected_cost", "mean")
    )
    enough = means[means.rows >= product.evaluation.slice_rows_at_least]
    lines = [
        [str(name), f"{line.rows:,.0f}", _number(line.log_loss), _number(line.cost)] for name, line in enough.iterrows()
    ]
    few = len(means) - len(enough)
    return (
        _table("Slices", ["slice", "rows", task_of(product).words.loss, "cost a row"], lines)
        + f"\n\n{few} slices have under {product.evaluation.slice_rows_at_least} rows: nothing is said of them."
    )


def _gates(entry: Entry) -> Iterable[list[str]]:
    return ([gate["name"], gate["role"], gate["verdict"], gate["sentence"]] for gate in entry["gates"])


def _below(entry: Entry) -> str:
    """What is to know of the ladder under this version; empty where the baseline has its rung."""
    unfit = unfit_baseline(entry["serving"])
    return f"\n\nUnder it on the ladder the heuristic answers, and not the baseline: {unfit}" if unfit else ""


def _limits(entry: Entry, report: dict[str, Any], product: Product) -> str:
    bounds = [f"{name} in {rule.between}" for name, rule in product.validation.columns.items() if rule.between]
    known = [
        f"{name} one of {', '.join(rule.one_of)}" for name, rule in product.validation.columns.items() if rule.one_of
    ]
    lines = [
        task_of(product).how_it_decides(threshold_of(entry["candidate"], product)),
        f"Judged on {report['summary']['candidate']['rows']:,} rows; {report['coverage']:.1%} of the mature rows had a label.",
        f"It knows {', '.join(product.features.names)}, and nothing else.",
        f"Rows outside these bounds are not scored: {'; '.join([*bounds, *known]) or 'none are declared'}.",
        "What changed after its last day of training it has not seen.",
    ]
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _changes(candidate: dict[str, Any], before: dict[str, Any] | None) -> str:
    if before is None:
        return "## What changed\n\nThere was no champion before it."
    recipe = "the same recipe" if candidate["recipe"] == before["recipe"] else "another recipe"
    code = (
        "the same code"
        if candidate["commit"] == before["commit"]
        else f"code {candidate['commit']}, was {before['commit']}"
    )
    return (
        f"## What changed\n\nAgainst version {before['version']}: {recipe}, {code}, trained through {candidate['trained_through']}, "
        f"was {before['trained_through']}."
    )


def _table(title: str, head: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    rows = [" | ".join(cell.replace("|", "\\|") for cell in line) for line in lines]
    body = "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {row} |" for row in rows)])
    return f"## {title}\n\n{body if rows else 'Nothing to show.'}"


def _number(value: float | None) -> str:
    return "–" if value is None or pd.isna(value) else f"{value:.4f}"
