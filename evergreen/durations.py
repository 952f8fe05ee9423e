"""Time as people write it in YAML: durations (`90s`, `26h`, `7d`, `50ms`), and spans of so many periods (`14d`, `6mo`)."""

import re
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, InstanceOf, PlainSerializer

from evergreen.cadence import FIXED, WORDS, Cadence

UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
EXAMPLES: dict[Cadence, str] = {"hourly": "48h or 2d", "daily": "14d or 2w", "weekly": "8w", "monthly": "6mo"}


def parse_duration(value: object) -> timedelta:
    """Turn `7d` into a timedelta; a timedelta passes through.

    Raises ValueError for anything else, with the form that is expected.
    """
    if isinstance(value, timedelta):
        return value
    match = re.fullmatch(r"(\d+)(ms|s|m|h|d)", str(value))
    try:
        if match is not None:
            return timedelta(**{UNITS[match[2]]: int(match[1])})
    except OverflowError:
        pass  # more days than a timedelta holds
    raise ValueError(f"{value!r} is not a duration: write a whole number and a unit, such as 50ms, 90s, 26h or 7d")


def format_duration(value: timedelta) -> str:
    """The shortest way to write a duration that `parse_duration` reads back."""
    milliseconds = round(value.total_seconds() * 1000)
    for unit, size in (("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000)):
        if milliseconds % size == 0:
            return f"{milliseconds // size}{unit}"
    return f"{milliseconds}ms"


def _whole_days(value: timedelta) -> timedelta:
    if value % timedelta(days=1) or value < timedelta(days=1):
        raise ValueError(f"{format_duration(value)} is not a number of whole days: write 1d, 7d, 28d")
    return value


@dataclass(frozen=True)
class Span:
    """A number of periods as people write it: `48h`, `14d`, `8w`, `6mo`; `unit` None is a bare number of them.

    An hourly product counts its bare numbers in days.
    """

    number: int
    unit: Literal["h", "d", "mo"] | None = None

    def __str__(self) -> str:
        return f"{self.number}{self.unit or ''}"

    def count(self, cadence: Cadence) -> int:
        """How many periods of a cadence it is. Raises ValueError where it is no whole number of them."""
        if self.unit is None:
            return self.number * (24 if cadence == "hourly" else 1)
        if (self.unit == "mo") != (cadence == "monthly"):
            raise ValueError(self._not_whole(cadence))
        if self.unit == "mo":
            return self.number
        whole, rest = divmod(timedelta(**{UNITS[self.unit]: self.number}), FIXED[cadence])
        if rest:
            raise ValueError(self._not_whole(cadence))
        return whole

    def _not_whole(self, cadence: Cadence) -> str:
        return f"{self} is not a whole number of {WORDS[cadence]}s: write {EXAMPLES[cadence]}"


class JudgedSpan(Span):
    """A span of what judges, is judged or trained on, counted in blocks: periods, and whole days of an hourly product, because the
    hours of one day resemble each other."""

    def count(self, cadence: Cadence) -> int:
        """How many blocks it is. Raises ValueError where it is no whole number of them."""
        return super().count("daily" if cadence == "hourly" else cadence)


def parse_span(value: object) -> Span:
    """Turn `14d` into a Span; a Span passes through. Raises ValueError for anything else, with the form that is expected."""
    if isinstance(value, Span):
        return value
    match = re.fullmatch(r"(\d+)(h|d|w|mo)?", str(value))
    if match is None or not int(match[1]):
        raise ValueError(
            f"{value!r} is not a number of periods: write a whole number and a unit, such as 48h, 14d, 8w or 6mo"
        )
    number = int(match[1])
    if match[2] in ("w", "d"):
        return Span(number * (7 if match[2] == "w" else 1), "d")
    if match[2] == "h":
        return Span(number, "h") if number % 24 else Span(number // 24, "d")
    return Span(number, "mo" if match[2] else None)


def _judged(value: object) -> JudgedSpan:
    span = parse_span(value)
    return JudgedSpan(span.number, span.unit)


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration)]
WholeDays = Annotated[Duration, AfterValidator(_whole_days)]
InPeriods = Annotated[InstanceOf[Span], BeforeValidator(parse_span), PlainSerializer(str, when_used="json")]
InBlocks = Annotated[InstanceOf[JudgedSpan], BeforeValidator(_judged), PlainSerializer(str, when_used="json")]
