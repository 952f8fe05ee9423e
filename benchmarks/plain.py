"""What the loop's live figures are next to: the same rows and models, test-then-train by week, without orchestration or gates.

    python benchmarks/plain.py

Lives of 2013, each scored on the days that a first model trained on 21 days and judged on 7 could serve, and on those that the loop's
champions served: never retrained; weekly on every label that is due, as the loop ships; weekly with the last 8 days held out, as without
its refit (7 that judge, 1 until labels are due); weekly with the weather report of the departure hour, which nobody has two hours ahead.
"""

from collections.abc import Callable

import pandas as pd
from sklearn.metrics import log_loss, roc_auc_score
from trials import flights, shipped

from evergreen import models
from evergreen.config import Product
from evergreen.tasks import task_of

FIRST_SCORED = pd.Timestamp("2013-01-30")
FIRST_CHAMPION = pd.Timestamp("2013-03-18")
DUE, HELD_OUT = pd.Timedelta(days=1), pd.Timedelta(days=8)


def live(
    rows: pd.DataFrame, product: Product, retrains: Callable[[pd.Timestamp], bool], held_out: pd.Timedelta
) -> pd.DataFrame:
    """`day`, `label` and `score` of a life in which a model is fitted on the days that `retrains` names, without the newest
    `held_out`, and scores until the next."""
    pipeline, parts = None, []
    for day, today in rows[rows.day >= FIRST_SCORED].groupby("day"):
        if pipeline is None or retrains(day):
            known = rows[rows.day < day - held_out]
            pipeline = models.fit(product.training.model, product.features, product.training.seed, known)
        parts.append(today[["day", "label"]].assign(score=models.predict(pipeline, today)))
    return pd.concat(parts, ignore_index=True)


def never(day: pd.Timestamp) -> bool:
    return False


def mondays(day: pd.Timestamp) -> bool:
    return day.day_of_week == 0


def measures(scored: pd.DataFrame, product: Product) -> str:
    """Pooled over all rows."""
    label, score = scored.label.to_numpy(), scored.score.to_numpy()
    cost = task_of(product).measure_rows(label, score).expected_cost.mean()
    return f"AUC {roc_auc_score(label, score):.4f}  log-loss {log_loss(label, score):.4f}  cost {cost:.3f}"


if __name__ == "__main__":
    flights_product = shipped()
    known_then, hindsight = flights(pd.Timedelta(hours=2)), flights(pd.Timedelta(hours=0))
    lives = {
        "never retrained": (known_then, never, HELD_OUT),
        "weekly": (known_then, mondays, DUE),
        "weekly, the last 8 days held out": (known_then, mondays, HELD_OUT),
        "weekly, weather of the departure hour": (hindsight, mondays, DUE),
    }
    for name, (table, policy, held_out) in lives.items():
        scored = live(table, flights_product, policy, held_out)
        for since in (FIRST_SCORED, FIRST_CHAMPION):
            measured = measures(scored[scored.day >= since], flights_product)
            print(f"{name:40s} from {since.date()}  {measured}", flush=True)
