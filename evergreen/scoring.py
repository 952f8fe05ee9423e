"""Scoring by the ladder champion → previous → baseline → heuristic: every row is answered, and says by whom."""

import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pandas as pd

from evergreen import wide
from evergreen.config import Product
from evergreen.errors import ModelError
from evergreen.heuristics import answer_by_rules
from evergreen.labeling import due_times
from evergreen.ladder import HEURISTIC, NO_VERSION, standing
from evergreen.promotion import ROLES
from evergreen.recipes import recorded_recipe, with_features_of
from evergreen.storage import Store
from evergreen.tasks import Floats, task_of

Table = pd.DataFrame | wide.Parts
Predict = Callable[[dict[str, Any], Any], Floats]
"""A record's scores for a table, which is a frame or comes in parts."""
Answer = tuple[Floats | None, str | None]
"""Sound scores, or None with what went wrong."""


@dataclass(frozen=True)
class Scored:
    """A batch's scores, one a row, who gave them, and what failed on the way down the ladder.

    `rules` names what of the heuristic answered each row; None where a model answered.
    """

    scores: Floats
    served_by: str
    record: dict[str, Any] | None
    failures: list[str] = field(default_factory=list)
    rules: list[str] | None = None


def predictor(store: Store, load: Callable[[dict[str, Any]], Any], day: date) -> Predict:
    """How a recorded version answers the rows of a day: the model that `load` gives, on the features of the recipe that it was
    trained by."""

    def predict(record: dict[str, Any], rows_in_parts: wide.Parts) -> Floats:
        from evergreen import models

        recipe, model = recorded_recipe(store, record), load(record)
        return np.concatenate(
            [models.predict(model, with_features_of(recipe, rows, store, [day])) for rows in rows_in_parts]
        )

    return predict


def ask_models(rows: Table, serving: dict[str, Any], predict: Predict, product: Product) -> dict[int, Answer]:
    """What each version of a serving state says of the rows, asked once whatever its roles.

    `serving` is empty before the first decision; `predict(record, rows)` may raise anything, or not come back.
    """
    records = {serving[role]["version"]: serving[role] for role in ROLES if serving.get(role)}
    return {version: try_model(record, rows, predict, product) for version, record in records.items()}


def score_by_ladder(rows: Table, serving: dict[str, Any], answers: Mapping[int, Answer], product: Product) -> Scored:
    """The answer of the first rung whose model gave sound scores; the heuristic's where none did."""
    failures: list[str] = []
    for rung, record in standing(serving).items():
        scores, failure = answers[record["version"]]
        if scores is not None:
            return Scored(scores, rung, record, failures)
        failures.append(f"{rung} (version {record['version']}): {failure}")
    parts: Iterable[pd.DataFrame] = [rows] if isinstance(rows, pd.DataFrame) else rows
    said = [answer_by_rules(part, serving.get("base_rate"), product) for part in parts]
    failures += dict.fromkeys(failure for part in said for failure in part.failures)
    scores = np.concatenate([part.scores for part in said])
    return Scored(scores, HEURISTIC, None, failures, [rule for part in said for rule in part.rules])


def try_model(record: dict[str, Any], rows: Table, predict: Predict, product: Product) -> Answer:
    """Sound scores within the product's time limit, or None with what went wrong; of no rows none are asked for."""
    if not len(rows):
        task = task_of(product)
        return task.from_table(pd.DataFrame(columns=task.columns(), dtype="float64")), None
    try:
        scores = _within(product.service_levels.scoring_limit, lambda: predict(record, rows))
        task_of(product).check(scores, len(rows))
    except Exception as problem:  # whatever a model does wrong, the next rung answers
        return None, f"{type(problem).__name__}: {problem}"
    return scores, None


def _within(limit: timedelta, work: Callable[[], Floats]) -> Floats:
    """What `work` returns or raises; ModelError where that takes longer than the limit.

    The wait is bounded, not the work: Python cannot stop a thread, and a process for each model would cost every day seconds of
    imports. A thread that hangs is left behind and ends with its process, at the latest at the end of the run.
    """
    done: list[Floats] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(work())
        except BaseException as problem:  # it is raised again below, where someone can answer
            failed.append(problem)

    worker = threading.Thread(target=run, name="evergreen-model", daemon=True)
    worker.start()
    worker.join(limit.total_seconds())
    if failed:
        raise failed[0]
    if not done:
        raise ModelError(f"no answer within {limit.total_seconds():g} s (service_levels.scoring_limit)")
    return done[0]


def keep_answers(made: pd.DataFrame, answered: pd.DataFrame) -> pd.DataFrame:
    """The day's predictions when it is done again: what was answered stays answered, new rows are added, rows that are gone go."""
    kept = answered[wide.among(answered.id, made.id)]
    added = made[~wide.among(made.id, kept.id)]
    order = pd.Series(range(len(made)), index=made.id)
    return pd.concat([kept, added]).sort_values("id", key=lambda ids: ids.map(order)).reset_index(drop=True)


def predictions_in_parts(
    batch: wide.Parts, scored: Scored, yardsticks: dict[str, Floats | None], product: Product, head: str | None
) -> Iterator[pd.DataFrame]:
    """The table of a day as its batch comes in parts."""
    first = 0
    for rows in batch:
        part, first = slice(first, first + len(rows)), first + len(rows)
        beside = {name: None if values is None else values[part] for name, values in yardsticks.items()}
        rules = None if scored.rules is None else scored.rules[part]
        yield predictions(rows, replace(scored, scores=scored.scores[part], rules=rules), beside, product, head)


def predictions(
    rows: pd.DataFrame, scored: Scored, yardsticks: dict[str, Floats | None], product: Product, head: str | None
) -> pd.DataFrame:
    """The table of a day: who said what about each row, when, and on which state of the ledger.

    `head` is the digest of the ledger entry in effect, None before the first. A yardstick that could not score is missing.
    """
    due = due_times(rows, product)
    task, threshold = task_of(product), threshold_of(scored.record, product)
    table = pd.DataFrame(
        {
            "id": due.id,
            "event_time": due.event_time,
            "predict_at": due.event_time - product.time.predict_before,
            **task.to_table(scored.scores, rows.index),
            "action": task.decide(scored.scores, threshold),
            "served_by": pd.Series(scored.served_by, index=rows.index, dtype="str"),
            "version": scored.record["version"] if scored.record else NO_VERSION,
            "threshold": np.nan if threshold is None else threshold,
            "ledger_head": pd.Series(head or "", index=rows.index, dtype="str"),
            "rule": pd.Series("" if scored.rules is None else scored.rules, index=rows.index, dtype="str"),
        }
    )
    beside = [task.to_table(values, rows.index, f"score_{name}") for name, values in yardsticks.items()]
    return pd.concat([table, *beside], axis="columns").astype({"version": "int64"})


def threshold_of(record: dict[str, Any] | None, product: Product) -> float | None:
    """A version acts from the threshold that it was promoted with; the heuristic, and a record that has none, from today's.

    None where the decision of the task is not a matter of a threshold.
    """
    threshold: float | None = (record or {}).get("threshold", task_of(product).threshold())
    return threshold
