"""What a prediction is for: the decision, what it costs, what is good enough, how fast, and what answers without a model."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ByteSize, ConfigDict, Discriminator, Field, Tag, model_validator

from evergreen.config.section import ClassName, Section, Share
from evergreen.digests import digest_json
from evergreen.durations import Duration


class Costs(Section):
    """What each outcome of the decision costs, in the product's currency a row; a gain is negative."""

    true_positive: float
    false_positive: float
    false_negative: float
    true_negative: float

    @model_validator(mode="after")
    def acting_must_help_someone(self) -> "Costs":
        if self.false_negative <= self.true_positive or self.false_positive <= self.true_negative:
            raise ValueError(
                "costs must make the action worth it on positives (false_negative > true_positive) and a waste on "
                "negatives (false_positive > true_negative): otherwise one answer is always right and no model is needed"
            )
        return self


class UnitCosts(Section):
    """What each unit costs by which a prediction is off, in the product's currency."""

    over: float = Field(gt=0, description="a unit predicted too much")
    under: float = Field(gt=0, description="a unit predicted too little")


class ClassCosts(Section):
    """What deciding for a class costs where another one is true, in the product's currency a row."""

    wrong: float = Field(1.0, gt=0, description="any wrong class; what `matrix` does not name costs so much")
    matrix: dict[ClassName, dict[ClassName, float]] = Field(
        {}, description="cost by true class and decided class; a right decision costs nothing where it is not named"
    )


def _costs_meant(written: Any) -> str:
    """The costs whose keys are used."""
    if isinstance(written, BaseModel):
        return type(written).__name__
    keys = set(written) if isinstance(written, Mapping) else set()
    return next((kind.__name__ for kind in (UnitCosts, ClassCosts) if keys & set(kind.model_fields)), Costs.__name__)


AnyCosts = Annotated[
    Annotated[Costs, Tag("Costs")] | Annotated[UnitCosts, Tag("UnitCosts")] | Annotated[ClassCosts, Tag("ClassCosts")],
    Discriminator(_costs_meant),
]


class GoodEnough(Section):
    metric: Literal["expected_cost", "log_loss"] = Field(description="what is bounded, a mean a row")
    at_most: float = Field(description="the bound, in the metric's unit")


class Decision(Section):
    """What is done with a prediction, what that costs, and when it is good enough to ship."""

    action: str
    costs: AnyCosts
    currency: str = Field(
        "dollars", min_length=1, description="the unit of the costs, as people write it after a number"
    )
    good_enough: GoodEnough


class ServiceLevels(Section):
    freshness: Duration = Field(
        description="longest time between two scored days; then the asset shows as stale and people are told"
    )
    scoring_latency_p99: Duration = Field(description="bound for one row through the model, 99th percentile")
    model_size: ByteSize = Field(ByteSize(100_000_000), gt=0, description="bound for the model file, such as 100MB")
    scoring_limit: Duration = Field(
        timedelta(minutes=5),
        gt=timedelta(0),
        description="a batch through one model; after that the next rung of the ladder answers",
    )


class Then(Section):
    """What a rule answers: a probability (binary), a value (regression) or a class (multiclass)."""

    model_config = ConfigDict(populate_by_name=True, serialize_by_alias=True)

    probability: Share | None = None
    value: float | None = None
    class_: ClassName | None = Field(None, alias="class")

    @model_validator(mode="after")
    def one_answer(self) -> "Then":
        if len(self.model_dump(exclude_none=True)) != 1:
            raise ValueError("give exactly one of probability (binary), value (regression) and class (multiclass)")
        return self


class Rule(Section):
    """What is known without a model of the rows for which `when` is true."""

    when: str = Field(description="an expression over features; a missing operand that matters makes it no match")
    then: Then


class Heuristic(Section):
    """The last rung: the first rule that matches, else what was learnt in training (the base rate, the shares of the classes, the
    mean label); before the first training, what is declared here."""

    before_training: float | dict[ClassName, Share] = Field(
        description="binary: a share; regression: a number; multiclass: the share of each class"
    )
    rules: list[Rule] = Field([])

    @property
    def digest(self) -> str:
        """The version of the rules."""
        return digest_json(self.model_dump(mode="json", exclude_none=True))
