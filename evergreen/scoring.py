"""Scoring by the ladder champion → previous → baseline → heuristic: every row is answered, and says by whom."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from evergreen.config import Product
from evergreen.labeling import due_times
from evergreen.tasks import Floats, task_of

RUNGS = ("champion", "previous", "baseline")
HEURISTIC = "heuristic"
NO_VERSION = 0

Predict = Callable[[dict[str, Any], pd.DataFrame], Floats]


@dataclass(frozen=True)
class Scored:
    """A batch's scores, one a row, who gave them, and what failed on the way down the ladder."""

    scores: Floats
    served_by: str
    record: dict[str, Any] | None
    failures: list[str] = field(default_factory=list)


def score_by_ladder(rows: pd.DataFrame, serving: dict[str, Any], predict: Predict, product: Product) -> Scored:
    """The answer of the first rung that gives sound scores.

    `serving` is a serving state (empty before the first decision); `predict(record, rows)` may raise anything. The heuristic
    never raises: the training base rate, or before any training what the product declares.
    """
    failures: list[str] = []
    for rung in RUNGS:
        record = serving.get(rung)
        if record is None:
            continue
        scores, failure = try_model(record, rows, predict, product)
        if scores is not None:
            return Scored(scores, rung, record, failures)
        failures.append(f"{rung} (version {record['version']}): {failure}")
    return Scored(np.full(len(rows), heuristic(serving, product)), HEURISTIC, None, failures)


def try_model(
    record: dict[str, Any] | None, rows: pd.DataFrame, predict: Predict, product: Product
) -> tuple[Floats | None, str | None]:
    """Sound scores, or None with what went wrong; (None, None) where there is no model."""
    if record is None:
        return None, None
    try:
        scores = predict(record, rows)
        task_of(product).check(scores, len(rows))
    except Exception as problem:  # whatever a model does wrong, the next rung answers
        return None, f"{type(problem).__name__}: {problem}"
    return scores, None


def heuristic(serving: dict[str, Any], product: Product) -> float:
    return float(serving.get("base_rate", product.heuristic.before_training))


def keep_answers(made: pd.DataFrame, answered: pd.DataFrame) -> pd.DataFrame:
    """The day's predictions when it is done again: what was answered stays answered, new rows are added, rows that are gone go."""
    kept = answered[answered.id.isin(made.id)]
    added = made[~made.id.isin(kept.id)]
    order = pd.Series(range(len(made)), index=made.id)
    return pd.concat([kept, added]).sort_values("id", key=lambda ids: ids.map(order)).reset_index(drop=True)


def predictions(
    rows: pd.DataFrame, scored: Scored, yardsticks: dict[str, Floats | None], product: Product, head: str | None
) -> pd.DataFrame:
    """The table of a day: who said what about each row, when, and on which state of the ledger.

    `head` is the digest of the ledger entry in effect, None before the first. A yardstick that could not score is missing.
    """
    due = due_times(rows, product)
    threshold = _threshold(scored.record, product)
    table = pd.DataFrame(
        {
            "id": due.id,
            "event_time": due.event_time,
            "predict_at": due.event_time - product.time.predict_before,
            "score": scored.scores,
            "action": scored.scores >= threshold,
            "served_by": pd.Series(scored.served_by, index=rows.index, dtype="str"),
            "version": scored.record["version"] if scored.record else NO_VERSION,
            "threshold": threshold,
            "ledger_head": pd.Series(head or "", index=rows.index, dtype="str"),
        }
    )
    for name, values in yardsticks.items():
        table[f"score_{name}"] = np.nan if values is None else values
    return table.astype({"version": "int64"})


def _threshold(record: dict[str, Any] | None, product: Product) -> float:
    """A version acts from the threshold that it was promoted with; the heuristic, and a record that has none, from today's."""
    return float((record or {}).get("threshold", task_of(product).threshold()))
