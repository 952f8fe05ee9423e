"""The periods of a product's life on the clock: they begin and end in its own time zone.

How a period is named says `evergreen.cadence`. Times are timezone-aware UTC everywhere else.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import groupby
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from evergreen import cadence as rhythm
from evergreen.cadence import Cadence
from evergreen.config import Time
from evergreen.errors import EvergreenError

if TYPE_CHECKING:
    import pandas as pd

ONE_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Periods:
    """The periods from `start` to `end`, both included; no end is None."""

    start: date
    end: date | None
    timezone: str
    cadence: Cadence = "daily"

    @classmethod
    def of(cls, time: Time) -> "Periods":
        return cls(time.start, time.end, time.timezone, time.cadence)

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.timezone)

    def begins(self, period: date) -> datetime:
        """The moment at which a period begins, aware, in UTC."""
        hour = period.hour if isinstance(period, datetime) else 0
        return datetime(period.year, period.month, period.day, hour, tzinfo=self.zone).astimezone(ZoneInfo("UTC"))

    def ends(self, period: date) -> datetime:
        """The first moment that no longer belongs to the period: what is known before it is known as of `period`."""
        return self.begins(self.after(period))

    def after(self, period: date, number: int = 1) -> date:
        """The next period, or the one so many later."""
        return rhythm.step(period, self.cadence, number)

    def before(self, period: date, number: int = 1) -> date:
        """The period before, or the one so many earlier."""
        return rhythm.step(period, self.cadence, -number)

    def between(self, first: date, last: date) -> list[date]:
        """Every period from first to last, both included; empty where last lies before first."""
        return [self.after(first, number) for number in range(self.steps(first, last) + 1)]

    def steps(self, first: date, last: date) -> int:
        """How many periods lie from one to another: 0 to itself."""
        return rhythm.steps(first, last, self.cadence)

    def holding(self, times: "pd.Series") -> "pd.Series":
        """For aware times, the period that each falls in, as the naive moment of its beginning (missing stays missing)."""
        import pandas as pd

        local = times.dt.tz_convert(self.timezone).dt.tz_localize(None)
        if self.cadence == "hourly":
            return local.dt.floor("h")
        day = local.dt.normalize()
        if self.cadence == "daily":
            return day
        passed = day.dt.day_of_week if self.cadence == "weekly" else day.dt.day - 1
        return (day - pd.to_timedelta(passed, unit="D")).astype(day.dtype)

    def at(self, moment: date) -> date:
        """The period that a naive moment in the product's zone falls in, such as one of `holding`."""
        return rhythm.holding(moment, self.cadence)

    def asked_for(self, text: str, last: bool = True) -> date:
        """The period that a person means by a date or a local hour; of a day's hours the last or the first. Raises EvergreenError
        where it is neither."""
        try:
            return rhythm.asked_for(text, self.cadence, last=last)
        except ValueError as problem:
            raise EvergreenError(str(problem)) from None

    def last_ended(self, moment: datetime) -> date:
        """The newest period that is over at an aware moment."""
        return self.before(self.at(moment.astimezone(self.zone)))

    def covering(self, duration: timedelta) -> int:
        """The fewest periods that last as long, however short they are."""
        return -(-duration // rhythm.shortest(self.cadence))

    @property
    def of_a_block(self) -> int:
        """How many periods a block has: models are judged in whole periods, and in whole days of hours."""
        return 24 if self.cadence == "hourly" else 1

    def blocks(self, periods: Sequence[date]) -> list[list[date]]:
        """These periods, in order, by the block that they belong to; hours of a newest day that is not over are left out."""
        if self.cadence != "hourly":
            return [[period] for period in periods]
        days = [list(hours) for _, hours in groupby(periods, lambda hour: (hour.year, hour.month, hour.day))]
        return days if not days or self.after(days[-1][-1]).day != days[-1][-1].day else days[:-1]

    def block_of(self, periods: "pd.Series") -> "pd.Series":
        """For the naive beginnings of periods, the beginning of the block that each belongs to."""
        return periods.dt.normalize() if self.cadence == "hourly" else periods

    def known(self, period: date) -> bool:
        """Whether the product has such a period."""
        return self.start <= period and (self.end is None or period <= self.end)


def days_between(first: date, last: date) -> list[date]:
    """Every day from first to last, both included; empty where last lies before first."""
    return [first + timedelta(days=n) for n in range((last - first).days + 1)]
