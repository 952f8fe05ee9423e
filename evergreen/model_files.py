"""What a model's file must prove before it serves: whoever reads it gets the same sound scores; it is small, and quick.

This module imports `evergreen.models`; import it inside the function that needs it.
"""

import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from evergreen import models
from evergreen.config import Product
from evergreen.errors import ModelError
from evergreen.latency import one_row_p99
from evergreen.tasks import Floats, task_of

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

SMOKE_ROWS = 1000
Ask = Callable[[pd.DataFrame], AbstractContextManager[Callable[[], Floats]]]
"""Starts a process of its own that scores rows, and gives what waits for it (see `evergreen.smoke`)."""


def examine(
    path: Path, pipeline: "Pipeline", reload: Callable[[], "Pipeline"], ask: Ask, rows: pd.DataFrame, product: Product
) -> dict[str, Any]:
    """What the gates ask of the file behind a pipeline; it is named by its digest. The rows are scored, no label is looked at.

    `reload` fetches the model back from the registry: `reload_error` is what differs, None where nothing does. `latency_p99` is in
    seconds, timed when the new process has ended. `new_process` is the seconds that it was waited for, or what went wrong, None
    where the product does not ask.
    """
    expected = models.predict(pipeline, rows)
    with ExitStack() as stack:
        some = rows[product.features.names].head(SMOKE_ROWS)
        asked = None if "new_process" in product.gates.disabled else stack.enter_context(ask(some))
        reload_error = _difference(lambda: models.predict(reload(), rows), expected, product)
        new_process = None if asked is None else _answer(asked, expected[: len(some)], product)
    return {
        "reload_error": reload_error,
        "new_process": new_process,
        "latency_p99": one_row_p99(pipeline, rows, product.service_levels.scoring_latency_p99),
        "model_bytes": path.stat().st_size,
    }


def _difference(score: Callable[[], Floats], expected: Floats, product: Product) -> str | None:
    try:
        scores = score()
        task_of(product).check(scores, len(expected))
    except ModelError as problem:
        return str(problem)
    return None if np.array_equal(scores, expected) else "its scores differ"


def _answer(asked: Callable[[], Floats], expected: Floats, product: Product) -> float | str:
    began = time.perf_counter()
    return _difference(asked, expected, product) or time.perf_counter() - began
