"""Estimated performance: what the newest predictions may be worth, before a label of theirs is known.

Scores of recent mature days are calibrated against their labels, class by class; a fresh prediction is then measured under every
label that it may get, weighted by that label's chance. Whatever changes between scores and labels meanwhile, it cannot see: nothing
is decided on it. A predicted number does not say how sure it is, so nothing is estimated of a regression.
"""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from evergreen.as_of import AsOf
from evergreen.errors import PartitionCorrupt
from evergreen.evaluation import ALL_ROWS
from evergreen.labeling import due_columns
from evergreen.ladder import HEURISTIC
from evergreen.tasks import Floats, Task, task_of

MEASURES = ["expected_cost", "log_loss"]
CALIBRATED_ON, PERIODS = 5_000, 7
"""Rows that are enough to calibrate on, and how many of the newest periods are estimated."""


@dataclass(frozen=True)
class Estimate:
    """Expected means of `rows` predictions of the days from `first` to `last`; the scores were calibrated on `known` labelled rows."""

    first: date
    last: date
    rows: int
    known: int
    expected_cost: float
    log_loss: float


def estimate(task: Task, labels: Floats, scores: Floats, fresh: Floats, decided: Any = None) -> dict[str, float] | None:
    """The expected means of `fresh` scores, and of what was `decided` on them, calibrated by the labels of other `scores`.

    The measure of a row is the sum over labels of the calibrated chance of the label times the measure under it. None where the
    labels are all the same, or scores are no chances. Without decisions (None) they are those that today's costs ask for.
    """
    if not task.says_chances or len(np.unique(labels)) < 2:
        return None
    chances = _calibrated(labels, task.chances(scores), task.chances(fresh))
    under = [
        task.measure_rows(np.full(len(fresh), float(label)), fresh, decided)[MEASURES]
        for label in range(chances.shape[1])
    ]
    weighted = [chances[:, [label]] * measures.to_numpy() for label, measures in enumerate(under)]
    means = np.sum(weighted, axis=0).mean(axis=0)
    return dict(zip(MEASURES, means.tolist(), strict=True))


def _calibrated(labels: Floats, before: Floats, after: Floats) -> Floats:
    """The chances in `after` as labels bore out those in `before`: isotonic for each label, adding up to 1; shape (rows, labels)."""
    from sklearn.isotonic import IsotonicRegression

    curves = [
        IsotonicRegression(out_of_bounds="clip").fit(before[:, label], labels == label)
        for label in range(before.shape[1])
    ]
    chances = np.column_stack([curve.predict(after[:, label]) for label, curve in enumerate(curves)])
    total = chances.sum(axis=1, keepdims=True)
    return np.where(total > 0, chances / np.where(total > 0, total, 1), after)


def estimate_newest(view: AsOf, card: pd.DataFrame) -> Estimate | None:
    """The estimate of what a model has scored up to the view's day and whose labels are not due; None without enough evidence.

    `card` is the performance table: scores are calibrated on its newest days that a model served. Fewer rows than a slice needs to
    be judged are not enough.
    """
    product, task = view.product, task_of(view.product)
    served = card[(card["slice"] == ALL_ROWS) & (card.scorer == "served")].sort_values("day", ascending=False)
    judged = served[served.expected_cost.notna() & (served.served_by != HEURISTIC)]
    if not task.says_chances or judged.empty:
        return None
    enough = judged.day[judged.rows.cumsum() - judged.rows < CALIBRATED_ON]
    waiting = view.days(view.periods.after(view.periods.at(served.day.iloc[0])))[-PERIODS:]
    try:
        known = _known(view, sorted(view.periods.at(day) for day in enough))
        fresh = _by_models(view, waiting)
    except PartitionCorrupt:  # they were scored for other classes, or another task
        return None
    if len(known) < product.evaluation.slice_rows_at_least or fresh.empty:
        return None
    means = estimate(task, known.label.to_numpy(), task.from_table(known), task.from_table(fresh), fresh.action)
    return Estimate(waiting[0], waiting[-1], len(fresh), len(known), **means) if means else None


def _known(view: AsOf, days: list[date]) -> pd.DataFrame:
    """What models said of the labelled rows of these days, beside the label."""
    made = _by_models(view, days)
    parts = [
        part.rows.rename(columns={view.product.id: "id"}) for part in view.mature_parts(days, due_columns(view.product))
    ]
    return pd.concat([made.merge(part[["id", "label"]], on="id") for part in parts], ignore_index=True)


def _by_models(view: AsOf, days: list[date]) -> pd.DataFrame:
    scores = task_of(view.product).columns()
    wanted = ["id", *scores, "action", "served_by"]
    made = view.read("predictions", days, wanted) if days else pd.DataFrame(columns=["served_by"])
    return made[made.served_by != HEURISTIC]
