"""Experiments: an overlay on a product, with a stated hypothesis and a foretold effect, validated like any product.

What an overlay changes decides which question it asks; one that nothing could answer is refused, with the reason.
"""

from collections.abc import Iterator, Mapping
from itertools import product as combinations
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, model_validator

from evergreen.config import Name, Product, Section
from evergreen.errors import ConfigError
from evergreen.product_files import near_miss, overlay, parse, read_config
from evergreen.statistics import Interval

Question = Literal["scores", "costs", "deliveries", "gates", "triggers", "rollbacks"]
Metric = Literal[
    "log_loss",
    "expected_cost",
    "squared_error",
    "calibration_gap",
    "accepted_rows",
    "promotions",
    "retrains",
    "rollbacks",
]
MEASURED: Mapping[Question, tuple[Metric, ...]] = {
    "scores": ("log_loss", "expected_cost", "squared_error", "calibration_gap"),
    "costs": ("log_loss", "expected_cost", "squared_error", "calibration_gap"),
    "deliveries": ("accepted_rows",),
    "gates": ("promotions",),
    "triggers": ("retrains",),
    "rollbacks": ("rollbacks",),
}
"""What an answer to each question measures."""

Point = dict[str, Any]
Trial = tuple[Point, Product]
MOST_POINTS = 24
ANOTHER_TRUTH = (
    "decides which rows there are, or what is true of them: losses against different truths say nothing of each other; make it a "
    "product of its own (`evergreen new`) and compare the two in their decisions"
)
LIVED = (
    "changes what later days are made of, so only living them tells: change a copy of configs/ (EVERGREEN_CONFIGS) and replay it "
    "into a home of its own (EVERGREEN_HOME)"
)
TOLD = "moves no score, cost or decision, so there is nothing to compare: change the product file"
ASKED: Mapping[str, Question] = {
    "features": "scores",
    "training.window": "scores",
    "training.model": "scores",
    "training.seed": "scores",
    "decision.costs": "costs",
    "validation": "deliveries",
    "gates": "gates",
    "decision.good_enough": "gates",
    "service_levels.scoring_latency_p99": "gates",
    "service_levels.model_size": "gates",
    "evaluation.slice_rows_at_least": "gates",
    "retraining.triggers": "triggers",
    "retraining.cooldown": "triggers",
    "retraining.budget": "triggers",
    "rollback": "rollbacks",
}
REFUSED: Mapping[str, str] = {
    **dict.fromkeys(("task", "source", "time", "id", "label"), ANOTHER_TRUTH),
    **dict.fromkeys(("training", "evaluation", "shadow", "retraining", "heuristic"), LIVED),
    **dict.fromkeys(
        ("question", "owner", "stakeholders", "risks", "decision", "service_levels", "alerts", "retention"), TOLD
    ),
    "time.runs_at": TOLD,
    "name": "is what the experiment is about",
    "version": "is the schema's",
}
"""Keys by the question that they ask or the reason why they ask none; the longest that begins a changed key counts."""


class Expected(Section):
    """The effect that is foretold, changed minus current; written down, and logged, before the run."""

    metric: Metric
    change: float | None = Field(None, description="so large a difference, in its direction")
    at_most: float | None = Field(None, description="no larger difference than this: the change costs less")

    @model_validator(mode="after")
    def one_effect(self) -> "Expected":
        if (self.change is None) == (self.at_most is None):
            raise ValueError("give exactly one of change (so large a difference, not 0) and at_most (no larger one)")
        if self.change == 0:
            raise ValueError(
                "change: 0 has no direction: write at_most with the largest difference that would not matter"
            )
        return self

    def __str__(self) -> str:
        return f"{self.metric} " + (f"{self.change:+g}" if self.change is not None else f"at most {self.at_most:+g}")

    def judge(self, found: Interval | None) -> str:
        """`met`, `not met` or `cannot tell`. A change is met where its direction is proven and its size not excluded, and not met
        where so large a one is excluded; None is too little to tell."""
        if found is None:
            return "cannot tell"
        if self.at_most is not None:
            met, failed = found.high <= self.at_most, found.low > self.at_most
        else:
            assert self.change is not None, "one of the two is given"
            sign = 1 if self.change > 0 else -1
            near, far = sorted((sign * found.low, sign * found.high))
            failed = far < abs(self.change)
            met = near > 0 and not failed
        return "met" if met else "not met" if failed else "cannot tell"


class Experiment(Section):
    """One experiment file: what is changed, and what is expected of it, written down before it is run."""

    version: Literal[2] = 2
    name: Name
    product: Name
    hypothesis: str = Field(min_length=10, description="what the change will do, and why")
    expected: Expected | None = Field(None, description="none: the hypothesis foretells no size")
    changes: dict[str, Any] = Field({}, description="laid over the product file")
    sweep: dict[str, list[Any]] = Field(
        {}, description="dotted keys, each with the values to try; every combination is a point, laid over the changes"
    )

    @model_validator(mode="after")
    def changes_something(self) -> "Experiment":
        if not self.changes and not self.sweep:
            raise ValueError("nothing is changed: give changes, or a sweep")
        for key, values in self.sweep.items():
            if len(values) != len({repr(value) for value in values}) or not values:
                raise ValueError(f"sweep.{key} needs values that differ, at least one")
        if (count := len(list(points(self)))) > MOST_POINTS:
            raise ValueError(
                f"the sweep has {count} points, {MOST_POINTS} are allowed: each is another look at the same days, and the best of "
                "many looks better than it is (docs/guides/experiments.md)"
            )
        return self


def load_experiment(folder: Path, name: str) -> Experiment:
    """An experiment by name. Raises ConfigError with the names that exist."""
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise ConfigError(
            f"{folder}: no experiment {name!r}{near_miss(name, known)} (known: {', '.join(known) or 'none'})"
        )
    path = folder / f"{name}.yaml"
    return parse(Experiment, read_config(path), str(path))


def points(experiment: Experiment) -> Iterator[Point]:
    """Every combination of a sweep's values, by dotted key; one empty point without a sweep."""
    for values in combinations(*experiment.sweep.values()):
        yield dict(zip(experiment.sweep, values, strict=True))


def changes_at(experiment: Experiment, point: Mapping[str, Any]) -> dict[str, Any]:
    """An experiment's changes with a point of its sweep laid over them."""
    changes = experiment.changes
    for key, value in point.items():
        nested = value
        for part in reversed(key.split(".")):
            nested = {part: nested}
        changes = overlay(changes, nested)
    return changes


def changed_product(product: Product, changes: Mapping[str, Any], origin: str) -> Product:
    """The product with changes laid over it, validated like any product.

    Raises ConfigError where a change asks a question that cannot be answered, or none.
    """
    changed = parse(Product, overlay(product.model_dump(mode="json"), dict(changes)), f"{origin}: with its changes")
    asked(product, changed, origin)
    return changed


def asked(current: Product, changed: Product, origin: str) -> set[Question]:
    """The questions that the difference of two products asks; none where nothing differs. Raises ConfigError where one has no
    answer."""
    questions = set()
    for key in sorted(_differing(current.model_dump(mode="json"), changed.model_dump(mode="json"))):
        meaning = max((known for known in (*ASKED, *REFUSED) if f"{key}.".startswith(f"{known}.")), key=len)
        if meaning in REFUSED:
            raise ConfigError(f"{origin}: changes.{key} {REFUSED[meaning]}")
        questions.add(ASKED[meaning])
    return questions


def trials(experiment: Experiment, product: Product, origin: str) -> list[Trial]:
    """Every point of an experiment with its product; one at which the product stands already is left out.

    Raises ConfigError where a point breaks a rule, or where what is expected is nothing that its changes measure.
    """
    made = []
    for point in points(experiment):
        changed = changed_product(product, changes_at(experiment, point), origin)
        if questions := asked(product, changed, origin):
            _refuse_unanswered(experiment, questions, origin)
            made.append((point, changed))
    return made


def _refuse_unanswered(experiment: Experiment, questions: set[Question], origin: str) -> None:
    changes = " and ".join(sorted(questions))
    measured = {metric for question in questions for metric in MEASURED[question]}
    if experiment.expected and experiment.expected.metric not in measured:
        raise ConfigError(
            f"{origin}: expected.metric: {experiment.expected.metric} is not measured by a change of {changes} "
            f"(measured: {', '.join(sorted(measured))})"
        )
    if experiment.sweep and not questions & {"scores", "costs"}:
        raise ConfigError(f"{origin}: sweep: compares scores and costs; a change of {changes} is tried one at a time")


def _differing(one: Any, other: Any, key: str = "") -> Iterator[str]:
    """The dotted keys at which two contents differ; a list is one value."""
    if isinstance(one, dict) and isinstance(other, dict):
        for name in {*one, *other}:
            yield from _differing(one.get(name), other.get(name), f"{key}.{name}" if key else name)
    elif one != other:
        yield key
