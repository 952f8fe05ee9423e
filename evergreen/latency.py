"""How long one row takes through a model."""

import time
from datetime import timedelta
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

TIMED_ROWS = 30


def one_row_p99(pipeline: "Pipeline", rows: pd.DataFrame, bound: timedelta) -> float | None:
    """Seconds for one row, 99th percentile over rows: of the clock or of the processor, whichever is less, since pauses are the
    machine's; a row over the bound gets two more tries, and the fastest counts.

    In one thread: a row is too little work to share, and on a busy machine threads cost it more in waiting for each other than
    it takes. None without a row.
    """
    from threadpoolctl import threadpool_limits

    from evergreen import models

    def seconds(row: pd.DataFrame) -> float:
        began, worked = time.perf_counter(), time.process_time()
        models.predict(pipeline, row)
        return min(time.perf_counter() - began, time.process_time() - worked)

    def fastest(row: pd.DataFrame) -> float:
        first = seconds(row)
        return first if first <= bound.total_seconds() else min(first, seconds(row), seconds(row))

    singles = [rows.iloc[[position]] for position in range(min(TIMED_ROWS, len(rows)))]
    with threadpool_limits(1):
        return float(np.quantile([fastest(row) for row in singles], 0.99)) if singles else None
