"""The product file as a whole."""

import re
from typing import Any, Literal

from pydantic import Field, model_validator

from evergreen.config.data import Features, Label, SourceConfig, Time, Validation
from evergreen.config.decision import Decision, Heuristic, ServiceLevels
from evergreen.config.learning import Evaluation, Gates, Shadow, Training
from evergreen.config.retraining import Retraining, RollbackPolicy
from evergreen.config.section import Name, Section
from evergreen.config.upkeep import Alerts, Retention
from evergreen.digests import digest_json
from evergreen.expressions import names_in


class Product(Section):
    """A machine-learning product, from the question that it answers to when it retrains."""

    version: Literal[2]
    name: Name
    question: str
    owner: str = Field(pattern=r"^(team:\S+|\S+@\S+\.\S+)$", description="team:NAME or an e-mail address")
    task: Literal["binary"]
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
        outcome_columns = {self.label.known_at, *re.findall(r"[A-Za-z_]\w*", self.label.when)}
        leaked = outcome_columns & set(self.features.names)
        if leaked:
            raise ValueError(f"{', '.join(sorted(leaked))}: known only with the outcome, so it cannot be a feature")
        for rule in self.heuristic.rules:
            unknown = names_in(rule.when) - set(self.features.names)
            if unknown:
                raise ValueError(
                    f"heuristic.rules speak of features; in {rule.when!r} these are none: {', '.join(sorted(unknown))}"
                )
        strangers = set(self.evaluation.slices) - set(self.features.categorical)
        if strangers:
            raise ValueError(
                f"evaluation.slices must be categorical features; these are not: {', '.join(sorted(strangers))}"
            )
        return self

    @property
    def digest(self) -> str:
        """Digest of the whole configuration."""
        return digest_json(self.model_dump(mode="json"))

    @property
    def recipe(self) -> str:
        """Digest of what makes a model: two versions with one recipe differ in their data alone."""
        parts: dict[str, Any] = {
            "task": True,
            "features": True,
            "label": {"when", "known_at", "matures_after", "matures_at"},
            "training": {"window": True, "seed": True, "model": True},
        }
        content = self.model_dump(mode="json", include=parts)
        content["training"]["model"].pop("threads", None)
        return digest_json(content)
