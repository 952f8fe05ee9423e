"""When a product retrains, and when it goes back."""

from typing import Annotated, Literal

from pydantic import Field, field_validator

from evergreen.config.section import Section, is_cron
from evergreen.durations import InBlocks, InPeriods, JudgedSpan, Span


class PerformanceTrigger(Section):
    """Fires when the champion's live loss left what it was when promoted, by more than history does by itself."""

    kind: Literal["performance"]
    over: InBlocks = Field(JudgedSpan(14), description="newest judged periods that the champion served, or fewer")
    false_alarms: Annotated[int, Field(ge=1)] = Field(30, description="one false alarm in that many quiet periods")


class DriftTrigger(Section):
    """Fires when the importance-weighted population stability index passes the bound."""

    kind: Literal["drift"]
    psi: float = Field(0.25, gt=0)


class StalenessTrigger(Section):
    """Fires when what serves was trained longer ago than this."""

    kind: Literal["staleness"]
    days: int = Field(30, ge=1, description="and so long until it asks again, where the retrain was refused")


Trigger = Annotated[PerformanceTrigger | DriftTrigger | StalenessTrigger, Field(discriminator="kind")]


class Budget(Section):
    retrains: int = Field(10, ge=1)
    per: InPeriods = Span(30)


class Retraining(Section):
    schedule: str = Field(
        "weekly", description="daily, weekly, monthly, or a cron line of five fields in the product's time zone"
    )
    triggers: list[Trigger] = Field([])
    cooldown: InPeriods = Field(Span(3), description="periods after a retrain in which no trigger fires")
    budget: Budget = Budget()

    @field_validator("schedule")
    @classmethod
    def schedule_is_known(cls, value: str) -> str:
        if value not in ("daily", "weekly", "monthly") and not is_cron(value):
            raise ValueError(
                f"{value!r} is neither daily, weekly, monthly nor a cron line of five fields such as '0 4 * * 1'"
            )
        return value


class RollbackPolicy(Section):
    """When the champion is replaced by the one before it without being asked: proven worse on mature periods that both scored."""

    automatic: bool = Field(True, description="false: it is judged and reported, and a person decides")
    at_least: InBlocks = Field(JudgedSpan(5), description="periods that both scored, at least 2")
    over: InBlocks = Field(JudgedSpan(14), description="newest such periods that are judged")
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.99
