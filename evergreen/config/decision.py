"""What a prediction is for: the decision, what it costs, what is good enough, how fast, and what answers without a model."""

from datetime import timedelta
from typing import Literal

from pydantic import ByteSize, Field, model_validator

from evergreen.config.section import Section, Share
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


class GoodEnough(Section):
    metric: Literal["expected_cost", "log_loss"] = Field(description="what is bounded, a mean a row")
    at_most: float = Field(description="the bound, in the metric's unit")


class Decision(Section):
    """What is done with a prediction, what that costs, and when it is good enough to ship."""

    action: str
    costs: Costs
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
    probability: Share


class Rule(Section):
    """What is known without a model of the rows for which `when` is true."""

    when: str = Field(description="an expression over features; a missing operand that matters makes it no match")
    then: Then


class Heuristic(Section):
    """The last rung: the first rule that matches, else the training base rate; before the first training, what is declared here."""

    before_training: Share
    rules: list[Rule] = Field([])

    @property
    def digest(self) -> str:
        """The version of the rules."""
        return digest_json(self.model_dump(mode="json"))
