"""One of several classes: the label is the position of the class in the product file, the score a probability for each class."""

from dataclasses import dataclass
from functools import cached_property
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from evergreen.config import ClassCosts, Then
from evergreen.errors import ModelError
from evergreen.tasks.task import Bools, Floats, Prior, Task, Words, refuse_unsound

Positions = np.ndarray[Any, np.dtype[np.int64]]


@dataclass(frozen=True)
class Multiclass(Task):
    """The decision is the class of least expected cost."""

    costs: ClassCosts
    classes: tuple[str, ...]
    words: ClassVar[Words] = Words(
        loss="log-loss",
        ranking="AUC over pairs of classes",
        label="right",
        score="confidence",
        gap="what lies between the confidence in the decided class and how often that is right",
        answer="With the answer",
        prior="shares of the classes",
        served="the probability of the class",
        dearer="A slice whose classes are harder to tell apart",
    )
    action_column: ClassVar[tuple[str, str]] = ("str", "the class of least expected cost")

    says_chances: ClassVar[bool] = True

    @cached_property
    def matrix(self) -> Floats:
        """What each decision costs, shape (true class, decided class)."""
        costs = self.costs.wrong * (1 - np.eye(len(self.classes)))
        for truth, line in self.costs.matrix.items():
            for decided, cost in line.items():
                costs[self.classes.index(truth), self.classes.index(decided)] = cost
        return np.asarray(costs)

    def columns(self, name: str = "score") -> list[str]:
        return [f"{name}__{known}" for known in self.classes]

    def from_table(self, rows: pd.DataFrame, name: str = "score") -> Floats:
        return rows[self.columns(name)].to_numpy(dtype="float64")

    def to_labels(self, values: pd.Series) -> pd.Series:
        """A class that the product file does not name is none."""
        from evergreen.validation import to_text

        return to_text(values).map({name: float(place) for place, name in enumerate(self.classes)}).astype("float64")

    def show_label(self, label: float) -> str:
        return self.classes[int(label)]

    def prior(self, labels: pd.Series) -> Prior:
        return {name: float((labels == place).mean()) for place, name in enumerate(self.classes)}

    def constant(self, prior: Prior, rows: int) -> Floats:
        assert isinstance(prior, dict), "the prior of classes is a share for each"
        return np.tile([prior.get(name, 0.0) for name in self.classes], (rows, 1))

    def of_rule(self, then: Then) -> Prior:
        return {name: float(name == then.class_) for name in self.classes}

    def decided(self, scores: Floats) -> Positions:
        """The position of each row's class of least expected cost."""
        return np.asarray((scores @ self.matrix).argmin(axis=1))

    def decide(self, scores: Floats, threshold: float | None) -> Any:
        return pd.array(np.array(self.classes, dtype=object)[self.decided(scores)], dtype="str")

    def check(self, scores: Floats, rows: int) -> None:
        refuse_unsound(scores, (rows, len(self.classes)))
        if ((scores < 0) | (scores > 1)).any():
            raise ModelError("the model answered probabilities outside 0 to 1")
        if (np.abs(scores.sum(axis=1) - 1) > 1e-3).any():
            raise ModelError("the model answered probabilities of classes that do not add up to 1")

    def measure_rows(self, labels: Floats, scores: Floats, decided: Any = None) -> pd.DataFrame:
        rows, truth = np.arange(len(labels)), labels.astype(int)
        decided = self.decided(scores) if decided is None else pd.Index(self.classes).get_indexer(decided)
        happened = np.eye(len(self.classes))[truth]
        return pd.DataFrame(
            {
                "log_loss": -np.log(np.clip(scores[rows, truth], 1e-7, 1)),
                "expected_cost": self.matrix[truth, decided],
                "squared_error": ((scores - happened) ** 2).sum(axis=1),
                "label": (decided == truth).astype(float),
                "score": scores[rows, decided],
            }
        )

    def chances(self, scores: Floats) -> Floats:
        return scores

    def decides_right(self, labels: Floats, scores: Floats) -> Bools:
        return np.asarray(self.decided(scores) == labels)

    def confusion(self, labels: Floats, scores: Floats) -> pd.DataFrame:
        """How many rows of each true class (a line) were decided for each class (a column)."""
        counts = np.zeros((len(self.classes), len(self.classes)), dtype=int)
        np.add.at(counts, (labels.astype(int), self.decided(scores)), 1)
        return pd.DataFrame(counts, index=list(self.classes), columns=list(self.classes))

    def ranking(self, labels: Floats, scores: Floats) -> float | None:
        """The mean over pairs of classes of how well each one's probability orders the two; None with fewer than two classes.

        Hand & Till, A simple generalisation of the area under the ROC curve for multiple class classification problems, 2001.
        """
        pairs = list(combinations(np.unique(labels).astype(int), 2))
        if not pairs:
            return None
        areas = [
            (_area(scores[labels == one, one], scores[labels == other, one])
             + _area(scores[labels == other, other], scores[labels == one, other])) / 2
            for one, other in pairs
        ]  # fmt: skip
        return float(np.mean(areas))

    def natural(self, labels: Floats, scores: Floats) -> dict[str, float]:
        return {"accuracy": float(self.decides_right(labels, scores).mean())}

    def natural_of_means(self, means: Any) -> str:
        return f"{means['label']:.0%} of the decisions were right"

    def watched(self, scores: Floats) -> pd.Series:
        """The class that was decided for."""
        return pd.Series(self.decide(scores, None))

    def of_day(self, made: pd.DataFrame) -> dict[str, float | int | str | None]:
        counts = made.action.value_counts().reindex(list(self.classes), fill_value=0)
        return {"decided": ", ".join(f"{name}: {count:,}" for name, count in counts.items())}

    def show(self, mean: float) -> str:
        return f"{mean:.0%}"

    def explain(self, made: Any, action: str) -> str:
        chances = ", ".join(
            f"{name} {made[column]:.3f}" for name, column in zip(self.classes, self.columns(), strict=True)
        )
        return f"{made['action']} ({chances}), {action}"

    def how_it_decides(self, threshold: float | None) -> str:
        return f"The decision is the class of least expected cost, of {', '.join(self.classes)}."


def _area(above: Floats, below: Floats) -> float:
    """The chance that a score of `above` is the greater of two, by ranks; ties count half."""
    from scipy.stats import rankdata

    ranks, size = rankdata(np.concatenate([above, below])), len(above)
    return float((ranks[:size].sum() - size * (size + 1) / 2) / (size * len(below)))
