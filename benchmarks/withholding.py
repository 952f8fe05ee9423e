"""What rows withheld from training cost: golden days reserved at the start, and confident errors kept as failure cases.

    python benchmarks/withholding.py

Plain lives (`benchmarks/plain.py`, but retrained every second week, to the end of September), each with another rule of what is left
out; all are scored on the same days.
"""

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parent))

from plain import FIRST_CHAMPION, FIRST_SCORED, HELD_OUT, flights, measures

from evergreen import models
from evergreen.config import Product
from evergreen.product_files import load_product
from evergreen.tasks import task_of
from pipelines import places

START, LAST, MATURING = pd.Timestamp("2013-01-01"), pd.Timestamp("2013-09-30"), pd.Timedelta(days=2)
# of the rows to train on, given those that were scored: which are left out
Withhold = Callable[[pd.DataFrame, pd.DataFrame], "pd.Series[bool]"]


def golden(days: int) -> Withhold:
    """The first `days` days."""
    return lambda known, _: known.day < START + pd.Timedelta(days=days)


def failures(product: Product, at_most: int, log_loss_over: float) -> Withhold:
    """The newest `at_most` confident errors of what was served."""
    task = task_of(product)

    def withheld(known: pd.DataFrame, scored: pd.DataFrame) -> "pd.Series[bool]":
        loss = task.measure_rows(scored.label.to_numpy(), scored.score.to_numpy()).log_loss.to_numpy()
        wrong = scored[loss > log_loss_over].tail(at_most)
        return known.flight_id.isin(wrong.flight_id)

    return withheld


def live(rows: pd.DataFrame, product: Product, withhold: Withhold) -> tuple[pd.DataFrame, int]:
    """What a life served, and how many rows its last training went without."""
    pipeline, scored, missed = None, rows.iloc[:0].assign(score=0.0), 0
    for day, today in rows[rows.day >= FIRST_SCORED].groupby("day"):
        if pipeline is None or (day - FIRST_SCORED).days % 14 == 5:
            known = rows[rows.day < day - HELD_OUT]
            out = withhold(known, scored[scored.day <= day - MATURING])
            missed = int(out.sum())
            pipeline = models.fit(product.training.model, product.features, product.training.seed, known[~out])
        made = today[["day", "label", "flight_id"]].assign(score=models.predict(pipeline, today))
        scored = pd.concat([scored[["day", "label", "flight_id", "score"]], made], ignore_index=True)
    return scored, missed


if __name__ == "__main__":
    flights_product = load_product(places.REPOSITORY / "configs" / "products" / "flights.yaml")
    table = flights(pd.Timedelta(hours=2)).sort_values(["day", "flight_id"]).reset_index(drop=True)
    table = table[table.day <= LAST].drop_duplicates("flight_id")
    rules: dict[str, Withhold] = {
        "nothing withheld": lambda known, _: pd.Series(False, index=known.index),
        "golden: the first 7 days": golden(7),
        "failures: the newest 50": failures(flights_product, 50, 3.0),
        "failures: the newest 200": failures(flights_product, 200, 3.0),
        "failures: every one": failures(flights_product, 10**9, 3.0),
    }
    for name, rule in rules.items():
        served, missed = live(table, flights_product, rule)
        loss = task_of(flights_product).measure_rows(served.label.to_numpy(), served.score.to_numpy()).log_loss
        weeks = [served[served.day >= since] for since in (FIRST_SCORED, FIRST_CHAMPION)]
        print(
            f"{name:34s} {missed:6,d} rows  {measures(weeks[0], flights_product)}  |  {measures(weeks[1], flights_product)}"
            f"  |  {int(np.sum(loss > 3.0)):,d} confident errors",
            flush=True,
        )
