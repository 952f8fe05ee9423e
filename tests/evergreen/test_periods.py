from datetime import UTC, date, datetime, timedelta, timezone

import pandas as pd
import pytest

from evergreen.cadence import Hour, parse_period
from evergreen.errors import EvergreenError
from evergreen.periods import Periods, days_between

NEW_YORK = Periods(date(2013, 1, 1), date(2013, 12, 31), "America/New_York")
HOURS = Periods(Hour(2024, 2, 28, 22), None, "Asia/Kolkata", "hourly")
WEEKS = Periods(date(2024, 1, 1), None, "America/New_York", "weekly")
MONTHS = Periods(date(2023, 11, 1), None, "America/New_York", "monthly")


@pytest.mark.parametrize(
    ("day", "begins", "hours"),
    [
        (date(2013, 1, 15), datetime(2013, 1, 15, 5, tzinfo=UTC), 24),
        (date(2013, 3, 10), datetime(2013, 3, 10, 5, tzinfo=UTC), 23),
        (date(2013, 3, 11), datetime(2013, 3, 11, 4, tzinfo=UTC), 24),
        (date(2013, 11, 3), datetime(2013, 11, 3, 4, tzinfo=UTC), 25),
        (date(2013, 11, 4), datetime(2013, 11, 4, 5, tzinfo=UTC), 24),
    ],
    ids=["winter", "clocks go forward", "summer", "clocks go back", "winter again"],
)
def test_a_day_lasts_from_local_midnight_to_local_midnight(day, begins, hours):
    assert NEW_YORK.begins(day) == begins
    assert NEW_YORK.ends(day) - NEW_YORK.begins(day) == timedelta(hours=hours)
    assert NEW_YORK.ends(day) == NEW_YORK.begins(day + timedelta(days=1))


@pytest.mark.parametrize(
    ("moment", "day"),
    [
        ("2013-03-10T04:59:59Z", "2013-03-09"),
        ("2013-03-10T05:00:00Z", "2013-03-10"),
        ("2013-03-11T03:59:59Z", "2013-03-10"),
        ("2013-03-11T04:00:00Z", "2013-03-11"),
        ("2013-11-03T04:00:00Z", "2013-11-03"),
        ("2013-11-04T04:59:59Z", "2013-11-03"),
        ("2013-11-04T05:00:00Z", "2013-11-04"),
        (None, None),
    ],
)
def test_a_moment_falls_in_its_local_day(moment, day):
    times = pd.Series(pd.to_datetime([moment, "2013-06-01T12:00:00Z"], utc=True))
    expected = pd.Series(pd.to_datetime([day, "2013-06-01"]))
    assert NEW_YORK.holding(times).equals(expected.astype(times.dt.tz_localize(None).dtype))


@pytest.mark.parametrize(
    ("moment", "last"),
    [
        (datetime(2013, 3, 11, 3, 59, tzinfo=UTC), date(2013, 3, 9)),
        (datetime(2013, 3, 11, 4, 0, tzinfo=UTC), date(2013, 3, 10)),
        (datetime(2013, 3, 11, 6, 0, tzinfo=timezone(timedelta(hours=2))), date(2013, 3, 10)),
    ],
)
def test_the_last_ended_day_ends_at_local_midnight(moment, last):
    assert NEW_YORK.last_ended(moment) == last


@pytest.mark.parametrize(
    ("day", "open_ended", "planned"),
    [
        (date(2012, 12, 31), False, False),
        (date(2013, 1, 1), True, True),
        (date(2013, 12, 31), True, True),
        (date(2014, 1, 1), True, False),
    ],
)
def test_a_product_knows_its_first_and_last_day(day, open_ended, planned):
    assert NEW_YORK.known(day) is planned
    assert Periods(NEW_YORK.start, None, "UTC").known(day) is open_ended


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (date(2024, 2, 28), date(2024, 3, 1), [date(2024, 2, 28), date(2024, 2, 29), date(2024, 3, 1)]),
        (date(2024, 1, 1), date(2024, 1, 1), [date(2024, 1, 1)]),
        (date(2024, 1, 2), date(2024, 1, 1), []),
    ],
)
def test_days_between_includes_both_ends(first, last, expected):
    assert days_between(first, last) == expected


@pytest.mark.parametrize(
    ("periods", "period", "following"),
    [
        (HOURS, Hour(2024, 2, 28, 22), Hour(2024, 2, 28, 23)),
        (HOURS, Hour(2024, 2, 28, 23), Hour(2024, 2, 29, 0)),
        (NEW_YORK, date(2024, 2, 28), date(2024, 2, 29)),
        (WEEKS, date(2024, 2, 26), date(2024, 3, 4)),
        (MONTHS, date(2023, 11, 1), date(2023, 12, 1)),
        (MONTHS, date(2023, 12, 1), date(2024, 1, 1)),
    ],
)
def test_periods_follow_each_other(periods, period, following):
    assert (periods.after(period), periods.before(following)) == (following, period)
    assert type(periods.after(period)) is type(period)
    assert periods.ends(period) == periods.begins(following)
    assert periods.between(period, following) == [period, following]
    assert periods.between(following, period) == []


@pytest.mark.parametrize(
    ("periods", "moment", "period", "ended"),
    [
        (HOURS, "2024-02-28T18:29:59Z", "2024-02-28T23", "2024-02-28T22"),
        (HOURS, "2024-02-28T18:30:00Z", "2024-02-29T00", "2024-02-28T23"),
        (WEEKS, "2024-03-11T03:59:59Z", "2024-03-04", "2024-02-26"),
        (WEEKS, "2024-03-11T04:00:00Z", "2024-03-11", "2024-03-04"),
        (MONTHS, "2024-04-01T03:59:59Z", "2024-03-01", "2024-02-01"),
        (MONTHS, "2024-04-01T04:00:00Z", "2024-04-01", "2024-03-01"),
    ],
)
def test_a_moment_falls_in_the_period_that_holds_it(periods, moment, period, ended):
    held = periods.holding(pd.Series(pd.to_datetime([moment, None], utc=True)))
    assert str(periods.at(held[0])) == period
    assert pd.isna(held[1])
    assert str(periods.last_ended(pd.Timestamp(moment).to_pydatetime())) == ended


@pytest.mark.parametrize("text", ["2024-02-29", "2024-02-29T07"])
def test_a_period_is_read_as_it_is_written(text):
    assert str(parse_period(text)) == text


@pytest.mark.parametrize(
    ("periods", "asked", "period"),
    [
        (HOURS, "2024-02-29", "2024-02-29T23"),
        (HOURS, "2024-02-29T07", "2024-02-29T07"),
        (WEEKS, "2024-02-29", "2024-02-26"),
        (MONTHS, "2024-02-29", "2024-02-01"),
    ],
)
def test_who_asks_for_a_day_means_the_period_that_holds_its_end(periods, asked, period):
    assert str(periods.asked_for(asked)) == period
    with pytest.raises(EvergreenError, match="'soon' is neither a date such as 2024-01-01 nor a local hour"):
        periods.asked_for("soon")


def test_hours_are_judged_in_whole_days_and_a_day_that_is_not_over_waits():
    hours = HOURS.between(Hour(2024, 2, 28, 22), Hour(2024, 3, 1, 22))
    assert [len(block) for block in HOURS.blocks(hours)] == [2, 24]
    assert [len(block) for block in HOURS.blocks([*hours, Hour(2024, 3, 1, 23)])] == [2, 24, 24]
    assert (HOURS.blocks([]), MONTHS.blocks([date(2024, 1, 1)])) == ([], [[date(2024, 1, 1)]])
