"""Measuring models: one score card, used by the judge, by monitoring and by experiments alike."""

from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any

import numpy as np
import pandas as pd

from evergreen.config import Product
from evergreen.errors import OverlapError
from evergreen.periods import Periods
from evergreen.tasks import Floats, Task, task_of
from evergreen.wide import among

ALL_ROWS = "all"
MEANS = ["log_loss", "expected_cost", "squared_error", "label", "score"]


def score_card(
    rows: pd.DataFrame,
    scores: Mapping[str, Floats],
    product: Product,
    by_period: bool = False,
    decided: Mapping[str, Any] | None = None,
) -> pd.DataFrame:
    """Measures of each scorer by day and slice; a day is a block of the product, or with `by_period` a period: they differ for hours.

    `rows` has `day`, `label` and the slice columns; `scores` maps a scorer's name to its scores, one a row. The card has one line
    for each (day, slice, scorer): `rows`, the means of `log_loss`, `expected_cost`, `squared_error`, `label` (base rate) and
    `score`, and `calibration_gap`, the absolute difference of the last two in the task's unit. The slice `all` is the whole day.
    Rows that a scorer did not score (NaN) are not its: it has no line where it scored none. `decided` has the decisions that a
    scorer's scores were answered with, one a row; a scorer that is not in it decides by the product's costs.
    """
    slices, task = product.evaluation.slices, task_of(product)
    groups = rows[["day", *slices]] if by_period else rows[["day", *slices]].assign(day=_blocks(rows, product))
    measures = _measures_of_all(groups, rows.label.to_numpy(), scores, decided or {}, task)
    if measures.empty:
        return pd.DataFrame(columns=["day", "slice", "scorer", "rows", *MEANS, "calibration_gap"])
    card = pd.concat([_means(measures, name) for name in (ALL_ROWS, *slices)], ignore_index=True)
    card["calibration_gap"] = (card.score - card.label).abs() / task.unit
    return card.sort_values("scorer", key=lambda names: names.map(list(scores).index), kind="stable", ignore_index=True)


def _blocks(rows: pd.DataFrame, product: Product) -> pd.Series:
    return Periods.of(product.time).block_of(rows.day)


def _measures_of_all(
    groups: pd.DataFrame, labels: Floats, scores: Mapping[str, Floats], decided: Mapping[str, Any], task: Task
) -> pd.DataFrame:
    """The row measures of every scorer, one under the other, beside what rows are grouped by."""
    beside = groups.reset_index(drop=True)
    parts = [
        beside.join(task.measure_rows(labels, values, decided.get(name))).assign(scorer=name)
        for name, values in scores.items()
    ]
    return pd.concat(parts, ignore_index=True).dropna(subset=["score"], ignore_index=True) if parts else beside.iloc[:0]


def _means(measures: pd.DataFrame, slicing: str) -> pd.DataFrame:
    """Means by scorer, day and the values of a column; or of whole days."""
    labels = ALL_ROWS if slicing == ALL_ROWS else slice_names(slicing, measures[slicing])
    groups = measures.assign(slice=labels).groupby(["scorer", "day", "slice"], sort=True)
    return groups[MEANS].mean().assign(rows=groups.size()).reset_index()


def slice_names(column: str, values: Any) -> pd.Series:
    """The slice of each row: COLUMN=VALUE, with a fresh index. The only numbers among the values are booleans."""
    named = pd.Series(np.asarray(values))
    named = named.map({1.0: "true", 0.0: "false"}) if named.dtype.kind == "f" else named
    return column + "=" + named.astype("str").fillna("missing")


def by_slice(rows: pd.DataFrame, columns: Iterable[str]) -> dict[str, pd.DataFrame]:
    """The rows of each slice of some columns, by its name."""
    return {
        str(name): part
        for column in columns
        for name, part in rows.groupby(slice_names(column, rows[column]).to_numpy())
    }


def of_slice(rows: pd.DataFrame, name: str) -> pd.DataFrame:
    """The rows of one slice, by its name."""
    column = name.split("=", 1)[0]
    return rows[(slice_names(column, rows[column]) == name).to_numpy()]


def pooled(cards: list[pd.DataFrame], product: Product) -> pd.DataFrame:
    """One score card of the cards of parts: means over all their rows."""
    if len(cards) == 1:
        return cards[0]
    lines = pd.concat(cards, ignore_index=True)
    sums = lines[MEANS].mul(lines.rows, axis="index").assign(rows=lines.rows)
    scorer, sliced_by = _in_order(lines.scorer), _in_order(lines.slice.str.split("=").str[0])
    added = sums.groupby([scorer, sliced_by, lines.day, lines.slice], observed=True).sum()
    added = added.droplevel(1).reset_index(names=["scorer", "day", "slice"])
    means = added[MEANS].div(added.rows, axis="index")
    card = added[["day", "slice"]].join(means).assign(rows=added.rows, scorer=added.scorer.astype("str"))
    return card.assign(calibration_gap=(card.score - card.label).abs() / task_of(product).unit)


def _in_order(names: pd.Series) -> "pd.Categorical[Any]":
    """Names that sort as they first come."""
    return pd.Categorical(names, categories=names.unique())


def summarize(rows: pd.DataFrame, scores: Floats, product: Product) -> dict[str, Any]:
    """One scorer over one block of rows: the means of the score card, pooled, the ranking measure `roc_auc` (None if undefined), and
    the measures that people know of the task."""
    task = task_of(product)
    labels = rows.label.to_numpy()
    if not len(labels):
        return {"rows": 0, "roc_auc": None, **dict.fromkeys(MEANS), "calibration_gap": None}
    means = {str(name): float(value) for name, value in task.measure_rows(labels, scores).mean().items()}
    return {
        "rows": len(labels),
        "roc_auc": task.ranking(labels, scores),
        **means,
        "calibration_gap": abs(means["score"] - means["label"]) / task.unit,
        **task.natural(labels, scores),
    }


def judged_metrics(report: Mapping[str, Any], scorer: str) -> dict[str, float]:
    """What an evaluation report says of a scorer in numbers, as a tracking server keeps them: on the judging rows, and on golden ones."""
    parts = {"judged": report["summary"], "golden": (report["golden"] or {"summary": {}})["summary"]}
    return {
        f"{part}_{measure}": value
        for part, summaries in parts.items()
        for measure, value in summaries.get(scorer, {}).items()
        if value is not None
    }


def judged_tags(report: Mapping[str, Any]) -> dict[str, str]:
    """Which version of the evaluation set a report is of."""
    return {
        "evergreen.evaluation_digest": report["evaluation_digest"],
        "evergreen.evaluation_version": str(report["evaluation_version"]),
    }


def by_day(card: pd.DataFrame, measure: str) -> pd.DataFrame:
    """A score card's whole days, as one column a scorer and one line a day."""
    return card[card.slice == ALL_ROWS].pivot(index="day", columns="scorer", values=measure).sort_index()


def by_slice_and_day(card: pd.DataFrame, measure: str) -> dict[str, pd.DataFrame]:
    """What `by_day` gives of whole days, of every slice by its name."""
    days = card.pivot(index=["slice", "day"], columns="scorer", values=measure)
    return {str(name): part.droplevel("slice") for name, part in days.groupby(level="slice")}


def by_block(values: pd.Series, rows: pd.Series, periods: Periods) -> pd.Series:
    """A measure by period as one by block, in order: the mean of its periods, each with the weight of its rows; missing ones are left
    out, and so is a newest day of hours that is not over."""
    known = values.dropna().sort_index()
    if periods.of_a_block == 1:
        return known
    blocks = periods.blocks([periods.at(moment) for moment in known.index])
    known = known[known.index.isin(pd.DatetimeIndex(list(chain(*blocks))))]
    weights, block = rows.reindex(known.index), periods.block_of(known.index.to_series())
    return known.mul(weights).groupby(block).sum() / weights.groupby(block).sum()


def daily_ranking(rows: pd.DataFrame, scores: Mapping[str, Floats], product: Product) -> pd.DataFrame:
    """The ranking measure of each scorer within each day: one line a day, a column a scorer; days on which it is undefined are left out."""
    task, labels = task_of(product), rows.label.to_numpy()
    found = {
        day: {name: task.ranking(labels[of_day], values[of_day]) for name, values in scores.items()}
        for day, of_day in _blocks(rows, product).reset_index(drop=True).to_frame().groupby("day").indices.items()
    }
    return (
        pd.DataFrame.from_dict(found, orient="index", columns=list(scores), dtype="float64").dropna().rename_axis("day")
    )


def refuse_overlap(judging_ids: pd.Series, training_ids: Mapping[str, pd.Series]) -> int:
    """The clean-judge law: no judging row was trained on by any model in the comparison.

    `training_ids` maps a model's name to the ids it was trained on. Returns how many distinct training ids were compared; raises
    OverlapError, naming the model and a row.
    """
    for name, ids in training_ids.items():
        shared = ids[among(ids, judging_ids)]
        if len(shared):
            raise OverlapError(
                f"{len(shared)} judging rows were trained on by the {name}, for example {shared.iloc[0]}: nothing is promoted on such "
                "a comparison; see whether ids repeat across days or the training manifest was edited"
            )
    return len(pd.concat(list(training_ids.values())).unique()) if training_ids else 0


def precision_recall_curve(labels: Floats, scores: Floats, points: int = 100) -> pd.DataFrame:
    """Of the rows with the highest scores: `precision`, the share with label 1, and `recall`, the share of all labels 1 that are
    among them. At most `points` lines, from few rows to all; rows without a single label 1 give an empty table."""
    ordered = labels[np.argsort(-scores, kind="stable")]
    found, ranks = np.cumsum(ordered), np.unique(np.linspace(1, max(1, len(ordered)), points).astype(int))
    if not len(ordered) or not found[-1]:
        return pd.DataFrame({"recall": [], "precision": []})
    return pd.DataFrame({"recall": found[ranks - 1] / found[-1], "precision": found[ranks - 1] / ranks})


def calibration_curve(labels: Floats, scores: Floats, bins: int = 10) -> pd.DataFrame:
    """Mean score against observed rate in `bins` groups of equal size: `score`, `observed`, `rows`."""
    group = pd.Series(scores).rank(method="first").sub(1).floordiv(max(1, len(scores) / bins)).astype(int)
    table = pd.DataFrame({"group": group, "score": scores, "observed": labels})
    return table.groupby("group").agg(score=("score", "mean"), observed=("observed", "mean"), rows=("score", "size"))
