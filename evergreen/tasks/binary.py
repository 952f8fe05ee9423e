"""A yes or no: one label, 0 or 1, and its probability."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from evergreen.config import Costs, Then
from evergreen.errors import ModelError
from evergreen.tasks.task import Bools, Floats, Prior, Task, Words, refuse_unsound


@dataclass(frozen=True)
class Binary(Task):
    """The action is taken from a probability on."""

    costs: Costs
    words: ClassVar[Words] = Words(
        loss="log-loss",
        ranking="AUC",
        label="happened",
        score="predicted",
        gap="what lies between mean score and base rate",
        answer="If so",
        prior="base rate",
        served="the probability of the label",
        dearer="A slice where the event happens more often",
    )
    action_column: ClassVar[tuple[str, str]] = ("bool", "whether the score reaches the threshold")

    says_chances: ClassVar[bool] = True

    def threshold(self) -> float:
        """The probability at which acting and not acting cost the same, for calibrated scores.

        (c_fp - c_tn) / (c_fp - c_tn + c_fn - c_tp), Elkan, The foundations of cost-sensitive learning, IJCAI 2001. It follows
        from the costs alone: no row is looked at.
        """
        waste = self.costs.false_positive - self.costs.true_negative
        return waste / (waste + self.costs.false_negative - self.costs.true_positive)

    def of_rule(self, then: Then) -> Prior:
        assert then.probability is not None, "the product file was validated"
        return then.probability

    def decide(self, scores: Floats, threshold: float | None) -> Any:
        return scores >= (self.threshold() if threshold is None else threshold)

    def check(self, scores: Floats, rows: int) -> None:
        refuse_unsound(scores, (rows,))
        if ((scores < 0) | (scores > 1)).any():
            raise ModelError("the model answered probabilities outside 0 to 1")

    def measure_rows(self, labels: Floats, scores: Floats, decided: Any = None) -> pd.DataFrame:
        chance = np.clip(scores, 1e-7, 1 - 1e-7)
        positive, act = labels == 1, self.decide(scores, None) if decided is None else np.asarray(decided, dtype="bool")
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

    def chances(self, scores: Floats) -> Floats:
        return np.column_stack([1 - scores, scores])

    def decides_right(self, labels: Floats, scores: Floats) -> Bools:
        return np.asarray((scores >= self.threshold()) == (labels == 1))

    def cost_curve(self, labels: Floats, scores: Floats) -> pd.DataFrame:
        """What a row costs on average for each `threshold` from which the action would be taken: `expected_cost`."""
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
        """What a row costs on average where every row gets the action, and where none does."""
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

    def of_day(self, made: pd.DataFrame) -> dict[str, float | int | str | None]:
        return {**super().of_day(made), "actions": int(made.action.sum())}

    def show(self, mean: float) -> str:
        return f"{mean:.0%}"

    def without_a_model(self, label: float, currency: str) -> str | None:
        always, never = self.constant_costs(label)
        return f"Always acting would have cost {always:.2f} {currency} a prediction, never acting {never:.2f}."

    def explain(self, made: Any, action: str) -> str:
        return f"{made['score']:.4f}, threshold {made['threshold']:.4f}, {action if made['action'] else 'leave'}"

    def how_it_decides(self, threshold: float | None) -> str:
        return f"The action is taken from a score of {self.threshold() if threshold is None else threshold:.4f} on."
