"""What every task answers, and what is the same for those whose prediction is one number."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from evergreen.config import Then
from evergreen.errors import ModelError

Floats = np.ndarray[Any, np.dtype[np.float64]]
Bools = np.ndarray[Any, np.dtype[np.bool_]]
Prior = float | dict[str, float]
"""What is known of labels without looking at a row: a rate, a mean, or the share of each class; JSON-ready."""


@dataclass(frozen=True)
class Words:
    """A task's own words, in sentences that people read.

    `loss` and `ranking` are what `log_loss` and `roc_auc` are called; `label` and `score` what the means of these two say of a group
    of rows; `gap` what their difference is; `answer` leads from the question to the action; `prior` is the heuristic's answer;
    `served` is what a score is; `dearer` says which slices cost more under any model; `note` what is to know of the loss.
    """

    loss: str
    ranking: str
    label: str
    score: str
    gap: str
    answer: str
    prior: str
    served: str
    dearer: str
    note: str = ""


class Task(ABC):
    """Labels are floats, one a row; scores have one number a row, or one for each class."""

    words: ClassVar[Words]
    action_column: ClassVar[tuple[str, str]]
    """Type and meaning of the decision in the table of predictions."""
    says_chances: ClassVar[bool] = False
    """Whether a prediction says how likely each label is."""
    unit: float = 1.0
    """In what the gap between mean score and mean label is measured."""

    def columns(self, name: str = "score") -> list[str]:
        """The columns of a table that hold a scorer's scores."""
        return [name]

    def to_table(self, scores: Floats | None, index: pd.Index, name: str = "score") -> pd.DataFrame:
        """Scores as the columns of a table; None where nobody scored."""
        columns = self.columns(name)
        shape = len(index), len(columns)
        values = np.full(shape, np.nan) if scores is None else scores.reshape(shape)
        return pd.DataFrame(values, index=index, columns=columns)

    def from_table(self, rows: pd.DataFrame, name: str = "score") -> Floats:
        """The scores that stand in a table; missing ones are NaN."""
        return rows[name].to_numpy(dtype="float64")

    def to_labels(self, values: pd.Series) -> pd.Series:
        """What the label's expression gave, as stored labels (float64); what is none becomes missing."""
        return values.astype("float64")

    def show_label(self, label: float) -> str:
        """A stored label as people read it."""
        return f"{label:g}"

    def prior(self, labels: pd.Series) -> Prior:
        """What labels say without a model."""
        return float(labels.mean())

    def constant(self, prior: Prior, rows: int) -> Floats:
        """The scores of rows that all get the same answer."""
        return np.full(rows, float(prior))  # type: ignore[arg-type]

    @abstractmethod
    def of_rule(self, then: Then) -> Prior:
        """The answer of a rule of the heuristic."""

    def threshold(self) -> float | None:
        """The score from which the action is taken; None where it is not a matter of one."""
        return None

    @abstractmethod
    def decide(self, scores: Floats, threshold: float | None) -> Any:
        """The decision for each row, as the table of predictions keeps it."""

    @abstractmethod
    def check(self, scores: Floats, rows: int) -> None:
        """Raise ModelError unless these are sound scores for so many rows."""

    @abstractmethod
    def measure_rows(self, labels: Floats, scores: Floats, decided: Any = None) -> pd.DataFrame:
        """Per-row measures that can be averaged over any block: `log_loss`, `expected_cost`, `squared_error`, `label`, `score`.

        The means of the last two are what calibration compares. `score` is missing where the row was not scored. `decided` are
        decisions that were taken, as `decide` gives them or a table kept them; None means those that today's costs ask for. Either
        way today's costs are their prices.
        """

    @abstractmethod
    def decides_right(self, labels: Floats, scores: Floats) -> Bools:
        """Whether each row's decision was the one that its label asked for."""

    @abstractmethod
    def ranking(self, labels: Floats, scores: Floats) -> float | None:
        """The chance that of two rows the order is right; None where it is not defined."""

    def chances(self, scores: Floats) -> Floats:
        """The chance of each label, by its stored value, shape (rows, labels). Raises TypeError where scores do not say it."""
        raise TypeError("scores of this task are no chances: ask `says_chances` first")

    def called(self, measure: str) -> str:
        """What people call one of the generic measures."""
        return measure

    def natural(self, labels: Floats, scores: Floats) -> dict[str, float]:
        """Measures that people know beside the generic ones; none for binary, which are all generic."""
        return {}

    def natural_of_means(self, means: Any) -> str:
        """The same in words, of a line of a score card; empty where the card has none."""
        return ""

    def watched(self, scores: Floats) -> pd.Series:
        """One value a row by whose distribution drift of the prediction is judged."""
        return pd.Series(scores)

    def of_day(self, made: pd.DataFrame) -> dict[str, float | int | str | None]:
        """A day's predictions in a few numbers; None for a mean over no row."""
        return {"mean_score": float(made.score.mean()) if len(made) else None}

    @abstractmethod
    def show(self, mean: float) -> str:
        """A mean of `label` or `score` as people read it."""

    def without_a_model(self, label: float, currency: str) -> str | None:
        """What one answer for every row would have cost, in a sentence; None where the mean label does not say it."""
        return None

    def explain(self, made: Any, action: str) -> str:
        """A prediction, a line of the table, in words."""
        return f"{made['score']:.4f}"

    def how_it_decides(self, threshold: float | None) -> str:
        """The rule that turns a score into a decision, in a sentence."""
        return "The decision is the prediction itself."


def refuse_unsound(scores: Floats, shape: tuple[int, ...]) -> None:
    """Raise ModelError unless scores have this shape and are finite."""
    if scores.shape != shape:
        raise ModelError(f"the model answered with shape {scores.shape} for {shape[0]} rows")
    if not np.isfinite(scores).all():
        raise ModelError(f"the model answered {int((~np.isfinite(scores)).sum())} scores that are not finite")
