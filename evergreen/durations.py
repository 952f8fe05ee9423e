"""Durations as people write them in YAML: `90s`, `26h`, `7d`, `50ms`."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator, PlainSerializer

UNITS = {"ms": "milliseconds", "s": "seconds", "m": "minutes", "h": "hours", "d": "days"}


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


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration)]
WholeDays = Annotated[Duration, AfterValidator(_whole_days)]
