"""What is known of rows: when they happen, what they are labelled by, and what is valid."""

from datetime import date, datetime, timedelta
from typing import Annotated
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, InstanceOf, PlainSerializer, ValidationInfo, field_validator, model_validator

from evergreen.cadence import WORDS, Cadence, asked_for
from evergreen.config.own_code import OwnCode
from evergreen.config.section import ClassName, Section, Share, is_cron, is_empty
from evergreen.durations import Duration, WholeDays
from evergreen.expressions import names_in

RUNS_AT: dict[Cadence, str] = {
    "hourly": "10 * * * *",
    "daily": "30 2 * * *",
    "weekly": "30 2 * * 1",
    "monthly": "30 2 1 * *",
}
RESERVED = frozenset(
    {
        *("id", "day", "event_time", "matures_at", "label", "coverage", "reference", "rows", "slice", "scorer"),
        *("action", "version", "served_by", "threshold", "rule"),
        *("score", "score_baseline", "score_previous", "score_first"),
        *("log_loss", "expected_cost", "squared_error", "calibration_gap"),
    }
)
"""Columns that the loop puts beside a row's own: one of that name would be taken for the other."""
SCORES_OF_CLASSES = "score__", "score_baseline__", "score_previous__", "score_first__"
Period = Annotated[InstanceOf[date], PlainSerializer(str, when_used="json")]


class Time(Section):
    event: str = Field(description="column with the time of the event")
    predict_before: Duration = Field(description="a row is predicted this long before its event")
    known_at: list[str] = Field(
        [], description="columns that say when a feature was observed; later than the prediction is refused"
    )
    cadence: Cadence = Field("daily", description="how long a period of the product's life is")
    start: Period = Field(description="the first period is the one that this date, or hour, falls in")
    end: Period | None = Field(
        None, description="the same of the last period, included; none means that the product has no planned end"
    )
    timezone: str = Field(description="the time zone in which a period begins and ends")
    runs_at: str = Field(
        "",
        validate_default=True,
        description="cron line: when a period's job runs, in `timezone`; after the deliveries of the period that has ended",
    )

    @field_validator("start", "end", mode="before")
    @classmethod
    def falls_in_a_period(cls, value: object, known: ValidationInfo) -> date | None:
        if value is None and known.field_name == "end":
            return None
        return asked_for(value, known.data.get("cadence", "daily"), last=known.field_name == "end")

    @field_validator("runs_at")
    @classmethod
    def runs_at_is_a_cron_line(cls, value: str, known: ValidationInfo) -> str:
        value = value or RUNS_AT[known.data.get("cadence", "daily")]
        if not is_cron(value):
            raise ValueError(f"{value!r} is not a cron line of five fields such as '30 2 * * *'")
        return value

    @field_validator("timezone")
    @classmethod
    def timezone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value!r} is not an IANA time zone such as America/New_York or UTC") from None
        return value

    @model_validator(mode="after")
    def end_follows_start(self) -> "Time":
        if self.end is not None and self.end < self.start:
            raise ValueError(f"end {self.end} lies before start {self.start}")
        return self

    @model_validator(mode="after")
    def hours_follow_each_other(self) -> "Time":
        if self.cadence == "hourly" and _has_daylight_saving(self.timezone, self.start.year):
            raise ValueError(
                f"timezone {self.timezone} has daylight saving, where an hour is missing and another comes twice: "
                "an hourly product needs a zone without it, such as UTC"
            )
        return self

    @property
    def word(self) -> str:
        """What people call a period: hour, day, week or month."""
        return WORDS[self.cadence]

    @property
    def block(self) -> str:
        """What people call that in which models are judged: a period, or a day of an hourly product."""
        return "day" if self.cadence == "hourly" else self.word


def _has_daylight_saving(timezone: str, year: int) -> bool:
    offsets = {datetime(year, month, 1, tzinfo=ZoneInfo(timezone)).utcoffset() for month in range(1, 13)}
    return len(offsets) > 1


class Label(Section):
    when: str | None = Field(
        None, description="binary: a condition over delivered outcomes; a missing operand makes a missing label"
    )
    value: str | None = Field(
        None, description="multiclass: an expression over delivered outcomes that gives a class; regression: a number"
    )
    classes: list[ClassName] = Field([], description="multiclass: every class, in an order that never changes")
    spread: float | None = Field(
        None, gt=0, description="regression: the standard deviation of the label, the unit in which errors are judged"
    )
    known_at: str = Field(description="column of the outcomes with the time when the outcome was known")
    matures_after: Duration | None = Field(None, description="fixed delay after the event until the label is due")
    matures_at: str | None = Field(
        None, description="event column, known at prediction time, with the moment when the label is due"
    )
    matched_for: WholeDays = Field(
        timedelta(days=8),
        description="how long after the event's period an outcome is still matched to it, and a row may be due at most; one that comes "
        "before its event waits as long",
    )
    coverage_at_least: Share = Field(
        0.95, description="share of mature rows with a label under which a day is not judged"
    )

    @property
    def expression(self) -> str:
        """What the label is computed by."""
        return self.when or self.value or ""

    @field_validator("when", "value")
    @classmethod
    def it_can_be_read(cls, value: str | None) -> str | None:
        if value is not None:
            names_in(value)
        return value

    @model_validator(mode="after")
    def one_expression(self) -> "Label":
        if (self.when is None) == (self.value is None):
            raise ValueError(
                "give exactly one of when (binary: a condition) and value (multiclass: a class; regression: a number)"
            )
        return self

    @model_validator(mode="after")
    def one_maturity(self) -> "Label":
        if (self.matures_after is None) == (self.matures_at is None):
            raise ValueError("give exactly one of matures_after (a fixed delay) and matures_at (an event column)")
        if self.matures_after is not None and self.matched_for <= self.matures_after:
            raise ValueError(
                "matched_for must be longer than matures_after, or no outcome would be matched when it is due"
            )
        return self


class Features(Section):
    """Columns of the events by kind. The newer kinds are no part of a file, nor of a recipe, that does not use them."""

    numeric: list[str] = Field([])
    categorical: list[str] = Field([])
    boolean: list[str] = Field([], exclude_if=is_empty, description="true or false, yes or no, 1 or 0")
    date: list[str] = Field([], exclude_if=is_empty, description="expanded to year, month, day, weekday and hour")
    text: list[str] = Field([], exclude_if=is_empty, description="words by TF-IDF, for models that take them")
    module: OwnCode | None = Field(
        None, exclude_if=is_empty, description="module:function that adds columns to rows; none adds none"
    )

    @property
    def names(self) -> list[str]:
        return [*self.categorical, *self.numeric, *self.boolean, *self.date, *self.text]

    @property
    def marks(self) -> list[str]:
        """The column of a batch that says which code of the clone made features; none where no code did."""
        return [f"made_by_{self.module.digest}"] if self.module else []

    @model_validator(mode="after")
    def some_and_once(self) -> "Features":
        if not self.names:
            raise ValueError("a product needs at least one feature: numeric, categorical, boolean, date or text")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}")
        return self


def is_reserved(column: str) -> bool:
    """Whether a row may have no column of its own by that name."""
    return column in RESERVED or column.startswith(SCORES_OF_CLASSES)


class Bounds(Section):
    at_least: int = Field(0, ge=0)
    at_most: int | None = Field(None, ge=0, description="none means no upper bound")

    @model_validator(mode="after")
    def at_most_is_not_below_at_least(self) -> "Bounds":
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError(f"at_most {self.at_most} lies below at_least {self.at_least}")
        return self


class ColumnRule(Section):
    between: tuple[float, float] | None = Field(None, description="closed range of a numeric column")
    one_of: list[str] | None = Field(None, description="the categories that are allowed")
    required: bool = Field(False, description="a missing value sends the row to quarantine")

    @field_validator("between")
    @classmethod
    def between_is_ordered(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not value[0] <= value[1]:
            raise ValueError(f"between {list(value)} has no values: write the smaller bound first")
        return value


class Validation(Section):
    rows_per_period: Bounds = Bounds(at_least=1)
    quarantine_at_most: Share = Field(0.05, description="share of bad rows above which the whole day is refused")
    columns: dict[str, ColumnRule] = Field({})
