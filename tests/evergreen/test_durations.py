from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from evergreen.durations import JudgedSpan, Span, WholeDays, format_duration, parse_duration, parse_span


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("50ms", timedelta(milliseconds=50)),
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("26h", timedelta(hours=26)),
        ("7d", timedelta(days=7)),
        ("0d", timedelta(0)),
        (timedelta(hours=3), timedelta(hours=3)),
    ],
)
def test_a_duration_is_a_whole_number_and_a_unit(written, meant):
    assert parse_duration(written) == meant


@pytest.mark.parametrize(
    "written", ["7", 7, "7 d", "-7d", "1.5h", "7w", "d", "", None, "7d\n", "1d12h", "999999999999d"]
)
def test_anything_else_is_refused_with_the_expected_form(written):
    with pytest.raises(ValueError, match="is not a duration: write a whole number and a unit, such as 50ms"):
        parse_duration(written)


@pytest.mark.parametrize(
    ("duration", "written"),
    [
        (timedelta(hours=24), "1d"),
        (timedelta(hours=26), "26h"),
        (timedelta(seconds=60), "1m"),
        (timedelta(seconds=90), "90s"),
        (timedelta(milliseconds=1500), "1500ms"),
        (timedelta(0), "0d"),
    ],
)
def test_the_largest_fitting_unit_is_written(duration, written):
    assert format_duration(duration) == written


@given(st.integers(min_value=0, max_value=10**12))
def test_what_is_written_is_read_back(milliseconds):
    duration = timedelta(milliseconds=milliseconds)
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(("written", "days"), [("1d", 1), ("48h", 2), ("28d", 28)])
def test_whole_days_are_accepted_in_any_unit(written, days):
    assert TypeAdapter(WholeDays).validate_python(written) == timedelta(days=days)


@pytest.mark.parametrize("written", ["0d", "23h", "36h", "50ms"])
def test_parts_of_days_are_refused_where_whole_days_are_meant(written):
    with pytest.raises(ValidationError, match="is not a number of whole days: write 1d, 7d, 28d"):
        TypeAdapter(WholeDays).validate_python(written)


@pytest.mark.parametrize(
    ("written", "cadence", "periods"),
    [
        ("14d", "daily", 14),
        ("48h", "daily", 2),
        ("2w", "daily", 14),
        ("36h", "hourly", 36),
        ("2d", "hourly", 48),
        ("8w", "weekly", 8),
        ("14d", "weekly", 2),
        ("6mo", "monthly", 6),
        ("5", "monthly", 5),
        ("5", "hourly", 120),
    ],
)
def test_a_span_is_so_many_periods(written, cadence, periods):
    assert parse_span(written).count(cadence) == periods


@pytest.mark.parametrize(
    ("written", "cadence", "message"),
    [
        ("36h", "daily", "36h is not a whole number of days: write 14d or 2w"),
        ("10d", "weekly", "10d is not a whole number of weeks: write 8w"),
        ("14d", "monthly", "14d is not a whole number of months: write 6mo"),
        ("6mo", "weekly", "6mo is not a whole number of weeks: write 8w"),
        ("1mo", "hourly", "1mo is not a whole number of hours: write 48h or 2d"),
    ],
)
def test_a_span_of_parts_of_periods_is_refused(written, cadence, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        parse_span(written).count(cadence)


@pytest.mark.parametrize("written", ["0d", "0", "7m", "-7d", "1.5d", "d", None])
def test_what_is_no_span_is_refused_with_the_expected_form(written):
    with pytest.raises(ValueError, match="write a whole number and a unit, such as 48h, 14d, 8w or 6mo"):
        parse_span(written)


def test_hours_that_judge_are_counted_in_whole_days():
    assert [JudgedSpan(2, "d").count("hourly"), JudgedSpan(14).count("hourly"), JudgedSpan(14).count("weekly")] == [
        2,
        14,
        14,
    ]
    with pytest.raises(ValueError, match="36h is not a whole number of days"):
        JudgedSpan(36, "h").count("hourly")


@pytest.mark.parametrize("span", [Span(14, "d"), Span(36, "h"), Span(6, "mo"), Span(14)])
def test_a_span_is_read_as_it_is_written(span):
    assert parse_span(str(span)) == span
