"""What periods are called in what people read, and which of them are compared."""

from dataclasses import dataclass
from datetime import date

from evergreen.cadence import Cadence


@dataclass(frozen=True)
class Season:
    """So many `periods` belong together and are called `name`; `same` is the period so many earlier, `shown` what a report covers."""

    periods: int
    name: str
    same: str
    shown: str


SEASONS: dict[Cadence, Season] = {
    "hourly": Season(24, "day", "the same hour of the day before", "28 hours"),
    "daily": Season(7, "week", "the same weekday last week", "four weeks"),
    "weekly": Season(13, "quarter", "the week 13 weeks before", "28 weeks"),
    "monthly": Season(12, "year", "the same month of the year before", "28 months"),
}


def short(period: date, cadence: Cadence) -> str:
    """A period inside a sentence; also one that is given as the naive moment of its beginning."""
    if cadence == "monthly":
        return f"{period:%B %Y}"
    day = f"{period.day} {period:%B}"
    return f"{day}, {period:%H:%M}" if cadence == "hourly" else f"the week of {day}" if cadence == "weekly" else day


def titled(period: date, cadence: Cadence) -> str:
    """A period at the head of a page."""
    day = f"{period:%A} {period.day} {period:%B %Y}"
    titles: dict[Cadence, str] = {
        "hourly": f"{day}, {period:%H:%M}",
        "daily": day,
        "weekly": f"week of {day}",
        "monthly": f"{period:%B %Y}",
    }
    return titles[cadence]
