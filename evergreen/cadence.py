"""The rhythm of a product's life: hours, days, weeks or months, and how they follow each other.

A period is named by when it begins, in the product's time zone: a date, or an `Hour`. Weeks begin on Monday, months on the 1st.
"""

from datetime import date, datetime, timedelta
from typing import Literal

Cadence = Literal["hourly", "daily", "weekly", "monthly"]
WORDS: dict[Cadence, str] = {"hourly": "hour", "daily": "day", "weekly": "week", "monthly": "month"}
FIXED: dict[Cadence, timedelta] = {
    "hourly": timedelta(hours=1),
    "daily": timedelta(days=1),
    "weekly": timedelta(weeks=1),
}
SHORTEST_MONTH = timedelta(days=28)


class Hour(datetime):
    """An hour of an hourly product, written `2013-01-05T07`."""

    def __str__(self) -> str:
        return f"{self:%Y-%m-%dT%H}"


def parse_period(text: str) -> date:
    """The period that `str` wrote: a date, or an hour. Raises ValueError for anything else."""
    return Hour.fromisoformat(text) if "T" in text else date.fromisoformat(text)


def holding(moment: date, cadence: Cadence) -> date:
    """The period that a moment falls in: a naive datetime in the product's zone, or a date, which is its midnight."""
    if cadence == "hourly":
        return Hour(moment.year, moment.month, moment.day, moment.hour if isinstance(moment, datetime) else 0)
    day = date(moment.year, moment.month, moment.day)
    if cadence == "weekly":
        return day - timedelta(days=day.weekday())
    return day.replace(day=1) if cadence == "monthly" else day


def asked_for(text: object, cadence: Cadence, last: bool = False) -> date:
    """The period that a person means by a date or a local hour, as text or as YAML gives it: the one that holds it.

    With `last`, a date stands for the last hour of that day, not the first. Raises ValueError for anything else.
    """
    try:
        moment = text if isinstance(text, date) else parse_period(str(text))
    except ValueError:
        moment = None
    if moment is None or getattr(moment, "tzinfo", None):
        raise ValueError(f"{text!r} is neither a date such as 2024-01-01 nor a local hour such as 2024-01-01T07")
    if last and not isinstance(moment, datetime):
        moment = datetime(moment.year, moment.month, moment.day, 23)
    return holding(moment, cadence)


def step(period: date, cadence: Cadence, number: int) -> date:
    """The period so many later; earlier where the number is negative."""
    if cadence != "monthly":
        return period + number * FIXED[cadence]
    years, month = divmod(_months(period) + number, 12)
    return date(years, month + 1, 1)


def steps(first: date, last: date, cadence: Cadence) -> int:
    """How many periods lie from one to another: 0 to itself, negative where `last` lies before `first`."""
    return _months(last) - _months(first) if cadence == "monthly" else (last - first) // FIXED[cadence]


def just_before(period: date) -> date:
    """The hour, or the day, before a period begins: the last of the time that came to an end there."""
    return period - (FIXED["hourly"] if isinstance(period, Hour) else FIXED["daily"])


def shortest(cadence: Cadence) -> timedelta:
    """The least time that a period lasts, but for the hour that a day loses when clocks go forward."""
    return FIXED.get(cadence, SHORTEST_MONTH)


def _months(period: date) -> int:
    return 12 * period.year + period.month - 1
