"""What a task means: how a prediction becomes a decision, what it costs, and how it is measured.

Gates, monitoring and reports speak to a `Task`; nothing outside this module knows what a class is.
"""

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pandas as pd

from evergreen.config import Costs, Product
from evergreen.errors import ModelError

Floats = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]


class Task(Protocol):
    def threshold(self) -> float:
        """The score from which the action is taken."""
        ...

    def check(self, scores: Floats, rows: int) -> None:
        """Raise ModelError unless these are sound scores for so many rows."""
        ...

    def measure_rows(self, labels: Floats, scores: Floats) -> pd.DataFrame:
        """Per-row measures that can be averaged over any block: `log_loss`, `expected_cost`, `squared_error`, `label`, `score`."""
        ...

    def decides_right(self, labels: Floats, scores: Floats) -> Bools:
        """Whether each row's decision was the one that its label asked for."""
        ...

    def cost_curve(self, labels: Floats, scores: Floats) -> pd.DataFrame:
        """What a row costs on average for each `threshold` from which the action would be taken: `expected_cost`."""
        ...

    def constant_costs(self, base_rate: float) -> tuple[float, float]:
        """What a row costs on average where every row gets the action, and where none does."""
        ...

    def ranking(self, labels: Floats, scores: Floats) -> float | None:
        """A measure of order over a block; None where it is not defined."""
        ...


@dataclass(frozen=True)
class Binary:
    """One label, 0 or 1, and its probability."""

    costs: Costs

    def threshold(self) -> float:
        """The probability at which acting and not acting cost the same, for calibrated scores.

        (c_fp - c_tn) / (c_fp - c_tn + c_fn - c_tp), Elkan, The foundations of cost-sensitive learning, IJCAI 2001. It follows
        from the costs alone: no row is looked at.
        """
        waste = self.costs.false_positive - self.costs.true_negative
        return waste / (waste + self.costs.false_negative - self.costs.true_positive)

    def check(self, scores: Floats, rows: int) -> None:
        if scores.shape != (rows,):
            raise ModelError(f"the model answered with shape {scores.shape} for {rows} rows")
        if not np.isfinite(scores).all():
            raise ModelError(f"the model answered {int((~np.isfinite(scores)).sum())} scores that are not finite")
        if ((scores < 0) | (scores > 1)).any():
            raise ModelError("the model answered probabilities outside 0 to 1")

    def measure_rows(self, labels: Floats, scores: Floats) -> pd.DataFrame:
        chance = np.clip(scores, 1e-7, 1 - 1e-7)
        positive, act = labels == 1, scores >= self.threshold()
        acted, left = self._costs_of_acting(labels)
        return pd.DataFrame(
            {
                "log_loss": -np.log(np.where(positive, chance, 1 - chance)),
                "expected_cost": np.where(act, acted, left),
                "squared_error": (scores - labels) ** 2,
                "label": labels,
                "score": scores,
            }
        )

    def decides_right(self, labels: Floats, scores: Floats) -> Bools:
        return np.asarray((scores >= self.threshold()) == (labels == 1))

    def cost_curve(self, labels: Floats, scores: Floats) -> pd.DataFrame:
        thresholds = np.linspace(0, 1, 101)
        acted, left = self._costs_of_acting(labels)
        costs = [np.where(scores >= threshold, acted, left).mean() for threshold in thresholds]
        return pd.DataFrame({"threshold": thresholds, "expected_cost": costs})

    def _costs_of_acting(self, labels: Floats) -> tuple[Floats, Floats]:
        """What each row costs with the action and without it."""
        positive, costs = labels == 1, self.costs
        acted = np.where(positive, costs.true_positive, costs.false_positive)
        return acted, np.where(positive, costs.false_negative, costs.true_negative)

    def constant_costs(self, base_rate: float) -> tuple[float, float]:
        costs, rest = self.costs, 1 - base_rate
        return (
            base_rate * costs.true_positive + rest * costs.false_positive,
            base_rate * costs.false_negative + rest * costs.true_negative,
        )

    def ranking(self, labels: Floats, scores: Floats) -> float | None:
        """Area under the ROC curve; None where a class is missing."""
        if len(np.unique(labels)) < 2:
            return None
        from sklearn.metrics import roc_auc_score

        return float(roc_auc_score(labels, scores))


def task_of(product: Product) -> Task:
    """The task that a product declares."""
    return {"binary": Binary}[product.task](product.decision.costs)
