"""A number: the score is the number that is expected, and errors are judged in spreads of the label."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from evergreen.config import Then, UnitCosts
from evergreen.tasks.task import Bools, Floats, Prior, Task, Words, refuse_unsound


@dataclass(frozen=True)
class Regression(Task):
    """The decision is the number itself, which costs by the unit over and under.

    `spread` is the standard deviation of the label: divided by it, errors of every product have one scale, and so have the bounds
    of the gates.
    """

    costs: UnitCosts
    spread: float
    words: ClassVar[Words] = Words(
        loss="squared loss",
        ranking="concordance",
        label="observed",
        score="predicted",
        gap="what lies between mean prediction and mean label, in spreads of the label",
        answer="With the answer",
        prior="mean label",
        served="the number that is expected",
        dearer="A slice whose numbers vary more",
        note="Squared loss is half the squared error, in spreads of the label: a half is what the mean label alone would give.",
    )
    action_column: ClassVar[tuple[str, str]] = ("float64", "the number that is acted on: the score")

    @property
    def unit(self) -> float:  # type: ignore[override]
        return self.spread

    def to_labels(self, values: pd.Series) -> pd.Series:
        numbers = pd.to_numeric(values, errors="coerce").astype("float64")
        return numbers.where(np.isfinite(numbers))

    def of_rule(self, then: Then) -> Prior:
        assert then.value is not None, "the product file was validated"
        return then.value

    def decide(self, scores: Floats, threshold: float | None) -> Any:
        return scores

    def check(self, scores: Floats, rows: int) -> None:
        refuse_unsound(scores, (rows,))

    def measure_rows(self, labels: Floats, scores: Floats, decided: Any = None) -> pd.DataFrame:
        """The loss is that of a normal distribution around the prediction, up to a constant. What is decided is the score itself."""
        over = scores - labels
        return pd.DataFrame(
            {
                "log_loss": (over / self.spread) ** 2 / 2,
                "expected_cost": np.where(over > 0, self.costs.over, -self.costs.under) * over,
                "squared_error": over**2,
                "label": labels,
                "score": scores,
            }
        )

    def decides_right(self, labels: Floats, scores: Floats) -> Bools:
        """Within a spread of the label."""
        return np.asarray(np.abs(scores - labels) <= self.spread)

    def ranking(self, labels: Floats, scores: Floats) -> float | None:
        """Concordance: of pairs with different labels the share in whose order the scores are too, ties of scores counting half.

        From Kendall's tau-b, which counts the same pairs; None where all labels are equal.
        """
        from scipy.stats import kendalltau

        pairs = len(labels) * (len(labels) - 1) / 2
        ordered, told_apart = pairs - _ties(labels), pairs - _ties(scores)
        if not ordered:
            return None
        if not told_apart:
            return 0.5
        tau = float(kendalltau(labels, scores, method="asymptotic").statistic)
        return 0.5 + tau * float(np.sqrt(told_apart / ordered)) / 2

    def called(self, measure: str) -> str:
        return self.words.loss if measure == "log_loss" else measure

    def natural(self, labels: Floats, scores: Floats) -> dict[str, float]:
        errors = scores - labels
        return {"mae": float(np.abs(errors).mean()), "rmse": float(np.sqrt((errors**2).mean()))}

    def natural_of_means(self, means: Any) -> str:
        return f"the typical error (RMSE) was {np.sqrt(means['squared_error']):.3g}"

    def show(self, mean: float) -> str:
        return f"{mean:,.4g}"

    def explain(self, made: Any, action: str) -> str:
        return f"{made['score']:,.5g}, {action}"


def _ties(values: Floats) -> float:
    """Pairs of equal values."""
    counts = np.unique(values, return_counts=True)[1]
    return float((counts * (counts - 1) / 2).sum())
