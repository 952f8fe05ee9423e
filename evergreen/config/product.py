"""The product file as a whole."""

from collections.abc import Iterator
from typing import Any, Literal

from pydantic import Field, model_validator

from evergreen.config.data import Features, Label, Time, Validation, is_reserved
from evergreen.config.decision import Decision, Heuristic, ServiceLevels
from evergreen.config.learning import (
    Baseline,
    Evaluation,
    Gates,
    LinearModel,
    LogisticModel,
    ModuleModel,
    Shadow,
    Training,
)
from evergreen.config.own_code import OwnCode
from evergreen.config.retraining import Retraining, RollbackPolicy
from evergreen.config.section import Name, Section
from evergreen.config.source import SourceConfig, TableSource
from evergreen.config.task import Target, TaskName, contradictions
from evergreen.config.upkeep import Alerts, Retention
from evergreen.digests import digest_json
from evergreen.durations import Span, format_duration
from evergreen.expressions import columns_in, names_in

NEWER = ("value", "classes")
"""Keys of a label that are no part of a recipe where they are not used, so that older recipes keep their digest."""


class Product(Section):
    """A machine-learning product, from the question that it answers to when it retrains."""

    version: Literal[2]
    name: Name
    question: str
    owner: str = Field(pattern=r"^(team:\S+|\S+@\S+\.\S+)$", description="team:NAME or an e-mail address")
    stakeholders: list[str] = Field([], description="who is affected by the decision, or answers for it")
    risks: list[str] = Field([], description="known risks of harm: whom a wrong or unfair prediction hurts, and how")
    task: TaskName
    decision: Decision
    service_levels: ServiceLevels
    source: SourceConfig
    time: Time
    id: str
    label: Label
    features: Features
    validation: Validation = Validation()
    training: Training
    evaluation: Evaluation = Evaluation()
    gates: Gates = Gates()
    shadow: Shadow = Shadow()
    retraining: Retraining = Retraining()
    rollback: RollbackPolicy = RollbackPolicy()
    alerts: Alerts = Alerts()
    retention: Retention = Retention()
    heuristic: Heuristic

    @model_validator(mode="after")
    def columns_are_declared(self) -> "Product":
        outcome_columns = {self.label.known_at, *columns_in(self.label.expression, self.features.names)}
        leaked = outcome_columns & set(self.features.names)
        if leaked:
            raise ValueError(f"{', '.join(sorted(leaked))}: known only with the outcome, so it cannot be a feature")
        for rule in self.heuristic.rules:
            unknown = names_in(rule.when) - set(self.features.names)
            if unknown:
                raise ValueError(
                    f"heuristic.rules speak of features; in {rule.when!r} these are none: {', '.join(sorted(unknown))}"
                )
        strangers = set(self.evaluation.slices) - {*self.features.categorical, *self.features.boolean}
        if strangers:
            raise ValueError(
                f"evaluation.slices must be categorical or boolean features; these are not: {', '.join(sorted(strangers))}"
            )
        if self.features.text and self.training.model.kind == "xgboost":
            raise ValueError(
                "training.model: kind xgboost takes no text: use kind logistic or linear, or kind sklearn with an estimator that "
                "takes a sparse matrix, such as sklearn.linear_model.SGDClassifier; or leave features.text out"
            )
        return self

    @model_validator(mode="after")
    def columns_are_told_from_the_loops_own(self) -> "Product":
        """The three that are what the loop calls by their name may be called so."""
        alike = {"id": self.id, "event_time": self.time.event, "matures_at": self.label.matures_at or ""}
        columns = {*alike.values(), *self.time.known_at, *self.features.names, *self.validation.columns}
        columns -= {name for name, column in alike.items() if name == column}
        if taken := sorted(filter(is_reserved, columns)):
            raise ValueError(
                f"{', '.join(taken)}: the loop has a column of that name itself, and would take one for the other: give it another "
                "name in the table, the query, or the source's function"
            )
        return self

    @model_validator(mode="after")
    def a_table_keeps_its_outcomes_apart(self) -> "Product":
        """What validation and features ask of events is no outcome, which a table would never deliver with them."""
        if not isinstance(self.source, TableSource):
            return self
        maturity = [self.label.matures_at] if self.label.matures_at else []
        asked = [
            self.id,
            self.time.event,
            *self.time.known_at,
            *maturity,
            *self.features.names,
            *self.validation.columns,
        ]
        later = {self.label.known_at, *self.source.outcomes, *columns_in(self.label.expression, asked)}
        leaked = sorted(later & set(asked))
        if leaked:
            raise ValueError(
                f"{', '.join(leaked)}: an outcome of the table (source.outcomes, label), so events have no such column: "
                "id, time, features and validation.columns speak of what is known before"
            )
        due, known = self.label.matures_after, self.source.known_after
        if due is not None and known is not None and due < known:
            raise ValueError(
                f"label.matures_after {format_duration(due)} is shorter than source.known_after {format_duration(known)}: "
                "no label would be known when it is due"
            )
        return self

    @model_validator(mode="after")
    def parts_fit_the_task(self) -> "Product":
        if found := list(contradictions(self)):
            raise ValueError("; ".join(found))
        return self

    @model_validator(mode="after")
    def spans_are_whole_periods(self) -> "Product":
        for where, span in _spans(self, ""):
            try:
                self.count(span)
            except ValueError as problem:
                raise ValueError(f"{where}: {problem}") from None
        return self

    @model_validator(mode="after")
    def intervals_can_be_had(self) -> "Product":
        judged = {
            "gates.change.days": self.gates.change.days,
            "rollback.at_least": self.rollback.at_least,
        }
        for trigger in self.retraining.triggers:
            if trigger.kind == "performance":
                judged["retraining.triggers: performance: over"] = trigger.over
        for where, span in judged.items():
            if self.count(span) < 2:
                raise ValueError(f"{where}: a comparison needs at least 2 {self.time.block}s")
        return self

    @model_validator(mode="after")
    def rollback_can_be_judged(self) -> "Product":
        least, over = self.count(self.rollback.at_least), self.count(self.rollback.over)
        if over < least:
            raise ValueError(
                f"rollback: over must not be shorter than at_least, or there are never enough {self.time.block}s"
            )
        return self

    @property
    def baseline(self) -> Baseline:
        """The simple model that is always trained and always judged."""
        simple = LinearModel(kind="linear") if self.task == "regression" else LogisticModel(kind="logistic")
        return self.training.baseline or simple

    @property
    def target(self) -> Target:
        """What an estimator of this product learns."""
        return Target(self.task, 2 if self.task == "binary" else len(self.label.classes))

    def count(self, span: Span) -> int:
        """How many of the product's periods a span is; of a span that judges, how many blocks."""
        return span.count(self.time.cadence)

    @property
    def digest(self) -> str:
        """Digest of the whole configuration."""
        return digest_json(self.model_dump(mode="json"))

    @property
    def own_code(self) -> list[OwnCode]:
        """The clone's own functions that make its models."""
        model = self.training.model
        return [
            *([self.features.module] if self.features.module else []),
            *([model.function] if isinstance(model, ModuleModel) else []),
        ]

    @property
    def recipe(self) -> str:
        """Digest of what makes a model: two versions with one recipe differ in their data alone."""
        parts: dict[str, Any] = {
            "task": True,
            "features": True,
            "label": {"when", "value", "classes", "known_at", "matures_after", "matures_at"},
            "training": {"window": True, "seed": True, "model": True},
        }
        content = self.model_dump(mode="json", include=parts)
        content["training"]["model"].pop("threads", None)
        content["label"] = {name: part for name, part in content["label"].items() if name not in NEWER or part}
        return digest_json(content)


def _spans(section: Section, where: str) -> Iterator[tuple[str, Span]]:
    """Every span of a section and of the sections in it, with its dotted key."""
    for name, value in section:
        for part in value if isinstance(value, list) else [value]:
            if isinstance(part, Span):
                yield f"{where}{name}", part
            elif isinstance(part, Section):
                yield from _spans(part, f"{where}{name}.")
