"""The departures of 2013 as if they happened now: a python source for a product that lives on the wall clock.

Each day repeats the day of 2013 that lies a whole number of weeks before it, so that weekdays agree; after 52 weeks the year begins
again (31 December 2013 never comes). Local times of day stay as they were.
"""

from datetime import date, timedelta
from functools import cache

import pandas as pd

from evergreen.samples.nycflights import EVENT_COLUMNS, OUTCOME_COLUMNS, TIMEZONE, load, package_folder

FIRST = date(2013, 1, 1)
BEGINS = FIRST + timedelta(weeks=678)  # 30 December 2025: as near to the calendar as whole weeks come
CYCLE = timedelta(weeks=52)
OUTCOMES_WITHIN = 3  # days after its own on which a flight's outcome may become known


def read(day: date, begins: date = BEGINS) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The events of a day, and the outcomes that became known on it; `begins` repeats 1 January 2013."""
    recent = pd.concat([_departures(day - timedelta(days=back), begins) for back in range(OUTCOMES_WITHIN + 1)])
    known_on = recent.outcome_at.dt.tz_convert(TIMEZONE).dt.date
    outcomes = recent.loc[known_on == day, OUTCOME_COLUMNS]
    return _departures(day, begins)[EVENT_COLUMNS].reset_index(drop=True), outcomes.reset_index(drop=True)


def replayed_day(day: date, begins: date = BEGINS) -> date:
    """The day of 2013 that a day repeats."""
    return FIRST + (day - begins) % CYCLE


def _departures(day: date, begins: date) -> pd.DataFrame:
    """A day's flights with their outcomes, every time shifted to the day."""
    original = replayed_day(day, begins)
    flights = _year()[original].copy()
    departure = flights.scheduled_departure
    shifted = _local(departure) + (day - original)
    flights["scheduled_departure"] = shifted.dt.tz_localize(
        TIMEZONE, ambiguous=True, nonexistent="shift_forward"
    ).dt.tz_convert("UTC")
    for name in ("weather_at", "outcome_at"):
        flights[name] = flights.scheduled_departure + (flights[name] - departure)
    flights["flight_id"] = f"{day}" + flights.flight_id.str.removeprefix(str(original))
    return flights


@cache
def _year() -> dict[date, pd.DataFrame]:
    flights = load(package_folder())
    return dict(iter(flights.groupby(_local(flights.scheduled_departure).dt.date)))


def _local(times: pd.Series) -> pd.Series:
    return times.dt.tz_convert(TIMEZONE).dt.tz_localize(None)
