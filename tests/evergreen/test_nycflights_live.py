"""The departures of 2013 on the days of today."""

from datetime import date, timedelta

import pytest

from evergreen.periods import Periods, days_between
from evergreen.samples import nycflights_live
from evergreen.samples.nycflights_live import TIMEZONE, read, replayed_day

NEW_YORK = Periods(date(2013, 1, 1), None, TIMEZONE)


@pytest.mark.parametrize(
    ("day", "original"),
    [
        (date(2025, 12, 30), date(2013, 1, 1)),
        (date(2026, 11, 21), date(2013, 11, 23)),
        (date(2026, 12, 28), date(2013, 12, 30)),
        (date(2026, 12, 29), date(2013, 1, 1)),
        (date(2030, 3, 8), date(2013, 3, 15)),
    ],
)
def test_a_day_repeats_the_same_weekday_of_2013(day, original):
    assert replayed_day(day) == original
    assert day.weekday() == original.weekday()


@pytest.mark.parametrize(
    "day", [date(2026, 3, 8), date(2026, 11, 1), date(2026, 12, 29)], ids=["spring", "autumn", "turn"]
)
def test_every_flight_departs_on_its_day_and_its_outcome_is_delivered_once(day):
    events, _ = read(day)
    following = [read(later)[1] for later in days_between(day, day + timedelta(days=3))]
    told = [flight for outcomes in following for flight in outcomes.flight_id if flight.startswith(str(day))]

    assert set(NEW_YORK.holding(events.scheduled_departure).dt.date) == {day}
    assert (events.weekday == f"{day:%A}").all()
    assert events.flight_id.str.startswith(str(day)).all()
    assert sorted(told) == sorted(events.flight_id)


def test_outcomes_become_known_on_the_day_of_their_delivery():
    day = date(2026, 11, 20)
    _, outcomes = read(day)

    assert set(NEW_YORK.holding(outcomes.outcome_at).dt.date) == {day}
    assert list(outcomes.columns) == nycflights_live.OUTCOME_COLUMNS
