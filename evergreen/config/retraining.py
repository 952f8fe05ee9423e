"""When a product retrains, and when it goes back."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from evergreen.config.section import Section, is_cron
from evergreen.durations import WholeDays


class PerformanceTrigger(Section):
    """Fires when the champion's live loss left what it was when promoted, by more than history does by itself."""

    kind: Literal["performance"]
    over: WholeDays = timedelta(days=14)
    false_alarms: Annotated[int, Field(ge=1)] = Field(30, description="one false alarm in that many quiet days")


class DriftTrigger(Section):
    """Fires when the importance-weighted population stability index passes the bound."""

    kind: Literal["drift"]
    psi: float = Field(0.25, gt=0)


class StalenessTrigger(Section):
    """Fires when the last retrain decision is older than this."""

    kind: Literal["staleness"]
    days: int = Field(30, ge=1)


Trigger = Annotated[PerformanceTrigger | DriftTrigger | StalenessTrigger, Field(discriminator="kind")]


class Budget(Section):
    retrains: int = Field(10, ge=1)
    per: WholeDays = timedelta(days=30)


class Retraining(Section):
    schedule: str = Field(
        "weekly", description="daily, weekly, or a cron line of five fields in the product's time zone"
    )
    triggers: list[Trigger] = Field([])
    cooldown: WholeDays = Field(timedelta(days=3), description="days after a retrain in which no trigger fires")
    budget: Budget = Budget()

    @field_validator("schedule")
    @classmethod
    def schedule_is_known(cls, value: str) -> str:
        if value not in ("daily", "weekly") and not is_cron(value):
            raise ValueError(f"{value!r} is neither daily, weekly nor a cron line of five fields such as '0 4 * * 1'")
        return value


class RollbackPolicy(Section):
    """When the champion is replaced by the one before it without being asked: proven worse on mature days that both scored."""

    automatic: bool = Field(True, description="false: it is judged and reported, and a person decides")
    at_least: WholeDays = Field(timedelta(days=5), ge=timedelta(days=2), description="days that both scored")
    over: WholeDays = Field(timedelta(days=14), description="newest such days that are judged")
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.99

    @model_validator(mode="after")
    def window_holds_what_is_needed(self) -> "RollbackPolicy":
        if self.over < self.at_least:
            raise ValueError("over must not be shorter than at_least, or there are never enough days")
        return self
