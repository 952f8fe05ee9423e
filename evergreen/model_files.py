"""What a model's file must prove before it serves: whoever reads it gets the same sound scores; it is small, and quick.

This module imports `evergreen.models`; import it inside the function that needs it.
"""

import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evergreen import models
from evergreen.config import Product
from evergreen.errors import ModelError
from evergreen.smoke import scores_in_new_process
from evergreen.tasks import Floats, task_of

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

LATENCY_ROWS = 30
SMOKE_ROWS = 1000


def examine(
    path: Path, pipeline: "Pipeline", reload: Callable[[], "Pipeline"], rows: pd.DataFrame, product: Product
) -> dict[str, Any]:
    """What the gates ask of the file behind a pipeline; it is named by its digest. The rows are scored, no label is looked at.

    `reload` fetches the model back from the registry: `reload_error` is what differs, None where nothing does. `latency_p99` is in
    seconds; so is `new_process`, or it is what went wrong, None where the product does not ask.
    """
    expected = models.predict(pipeline, rows)
    return {
        "reload_error": _difference(lambda: models.predict(reload(), rows), expected, product),
        "latency_p99": _latency(pipeline, rows, product.service_levels.scoring_latency_p99),
        "model_bytes": path.stat().st_size,
        "new_process": None if "new_process" in product.gates.disabled else _new_process(path, rows, expected, product),
    }


def _difference(score: Callable[[], Floats], expected: Floats, product: Product) -> str | None:
    try:
        scores = score()
        task_of(product).check(scores, len(expected))
    except ModelError as problem:
        return str(problem)
    return None if np.array_equal(scores, expected) else "its scores differ"


def _new_process(path: Path, rows: pd.DataFrame, expected: Floats, product: Product) -> float | str:
    """What a new process finds with the file that scoring would read: seconds, or what went wrong."""
    began, some = time.perf_counter(), rows[product.features.names].head(SMOKE_ROWS)
    problem = _difference(lambda: scores_in_new_process(path, path.stem, some), expected[: len(some)], product)
    return problem or time.perf_counter() - began


def _latency(pipeline: "Pipeline", rows: pd.DataFrame, bound: timedelta) -> float | None:
    """Seconds for one row, 99th percentile over rows: of the clock or of the processor, whichever is less, since pauses are the
    machine's; a row over the bound gets two more tries, and the fastest counts.

    None without a row.
    """

    def seconds(row: pd.DataFrame) -> float:
        began, worked = time.perf_counter(), time.process_time()
        models.predict(pipeline, row)
        return min(time.perf_counter() - began, time.process_time() - worked)

    def fastest(row: pd.DataFrame) -> float:
        first = seconds(row)
        return first if first <= bound.total_seconds() else min(first, seconds(row), seconds(row))

    singles = [rows.iloc[[position]] for position in range(min(LATENCY_ROWS, len(rows)))]
    return float(np.quantile([fastest(row) for row in singles], 0.99)) if singles else None
