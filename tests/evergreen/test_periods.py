from datetime import UTC, date, datetime, timedelta, timezone

import pandas as pd
import pytest

from evergreen.periods import Periods, days_between

NEW_YORK = Periods(date(2013, 1, 1), date(2013, 12, 31), "America/New_York")


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
