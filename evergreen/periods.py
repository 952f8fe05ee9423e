"""The periods of a product's life: days that begin and end in its own time zone.

A period is named by its date. Times are timezone-aware UTC everywhere else.
"""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from evergreen.config import Time

if TYPE_CHECKING:
    import pandas as pd

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Periods:
    """Daily periods from `start` to `end`, both included; no end is None."""

    start: date
    end: date | None
    timezone: str

    @classmethod
    def of(cls, time: Time) -> "Periods":
        return cls(time.start, time.end, time.timezone)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def begins(self, day: date) -> datetime:
        """The moment at which a period begins, aware, in UTC."""
        return datetime(day.year, day.month, day.day, tzinfo=self.zone).astimezone(ZoneInfo("UTC"))

    def ends(self, day: date) -> datetime:
        """The first moment that no longer belongs to the period: what is known before it is known as of `day`."""
        return self.begins(day + ONE_DAY)

    def holding(self, times: "pd.Series") -> "pd.Series":
        """For aware times, the period that each falls in, as naive midnights (missing stays missing)."""
        return times.dt.tz_convert(self.timezone).dt.tz_localize(None).dt.normalize()

    def last_ended(self, moment: datetime) -> date:
        """The newest period that is over at an aware moment."""
        return moment.astimezone(self.zone).date() - ONE_DAY

    def known(self, day: date) -> bool:
        """Whether the product has such a period."""
        return self.start <= day and (self.end is None or day <= self.end)


def days_between(first: date, last: date) -> list[date]:
    """Every day from first to last, both included; empty where last lies before first."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
