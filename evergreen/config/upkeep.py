"""Who is told, and what is removed in time."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from evergreen.config.section import Address, EnvironmentName, Section
from evergreen.durations import Duration, WholeDays


class LogChannel(Section):
    """The log of the alert sensor, in the Dagster UI and on its console."""

    kind: Literal["log"]

    @property
    def name(self) -> str:
        return "log"


class WebhookChannel(Section):
    """A POST of JSON with a `text`, as chat services take it, and the incidents as fields."""

    kind: Literal["webhook"]
    url_from: EnvironmentName

    @property
    def name(self) -> str:
        return f"webhook {self.url_from}"


class EmailChannel(Section):
    """A mail over SMTP."""

    kind: Literal["email"]
    to: list[Address] = Field(min_length=1)
    sender: Address
    host: str = Field(description="of the SMTP server")
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "ssl", "none"] = "starttls"
    user: str | None = Field(None, description="none: the server asks for no login")
    password_from: EnvironmentName | None = None

    @property
    def name(self) -> str:
        return f"email {', '.join(self.to)}"

    @model_validator(mode="after")
    def login_is_whole_and_hidden(self) -> "EmailChannel":
        if (self.user is None) != (self.password_from is None):
            raise ValueError("give both user and password_from (the variable that holds the password), or neither")
        if self.user is not None and self.security == "none":
            raise ValueError("security none would send the password in clear: write starttls or ssl")
        return self


Channel = Annotated[LogChannel | WebhookChannel | EmailChannel, Field(discriminator="kind")]


class MessageRate(Section):
    messages: int = Field(10, ge=1)
    per: Duration = Field(timedelta(hours=1), gt=timedelta(0))


class Alerts(Section):
    """Who is told what asks for a person, and how often."""

    channels: list[Channel] = Field([LogChannel(kind="log")], min_length=1)
    remind_after: Duration = Field(
        timedelta(hours=24),
        gt=timedelta(0),
        description="until an open incident is told again; after that, twice as long each time",
    )
    at_most: MessageRate = Field(MessageRate(), description="a channel; what exceeds it waits, and comes in one digest")

    @field_validator("channels")
    @classmethod
    def channels_differ(cls, value: list[Channel]) -> list[Channel]:
        names = [channel.name for channel in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"told twice: {'; '.join(twice)}")
        return value


class Retention(Section):
    """How long what can be spared is kept; none means for ever. Deliveries, tables, documents and ledgers always stay.

    Ages of data count in days of the product's life, up to its newest day; the age of an event log by the clock.
    """

    quarantine: WholeDays | None = Field(None, description="refused rows with their reasons; the delivery itself stays")
    event_logs: WholeDays | None = Field(
        None, description="what a Dagster run logged, and its output; the run and its materializations stay"
    )
    refused_models: WholeDays | None = Field(
        None, description="model files of candidates that never served, counted from their decision"
    )
    superseded_models: WholeDays | None = Field(
        None,
        description="model files of versions that served, counted from the day on which the ledger last named them; a day that "
        "such a version served can then no longer be scored again as it was",
    )

    @property
    def spares(self) -> bool:
        """Whether anything is ever removed."""
        return any(age is not None for age in dict(self).values())

    @property
    def spares_models(self) -> bool:
        """Whether model files are ever removed."""
        return self.refused_models is not None or self.superseded_models is not None
