import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from evergreen.statistics import independent_days, mean_interval, neighbour_correlation

VALUES = st.lists(st.floats(-100, 100), min_size=2, max_size=20)


def test_the_interval_is_the_t_interval():
    """Of 1, 2, 3: mean 2, s = 1, t(.975, 2) = 4.302653, so the reach is 4.302653 / sqrt(3)."""
    interval = mean_interval([1.0, 2.0, 3.0], 0.95)
    assert (interval.mean, interval.days) == (2.0, 3)
    assert interval.low == pytest.approx(2 - 2.484138, abs=1e-6)
    assert interval.high == pytest.approx(2 + 2.484138, abs=1e-6)


def test_it_agrees_with_scipy():
    values = [0.3, -0.1, 0.25, 0.0, 0.7]
    expected = stats.ttest_1samp(values, 0).confidence_interval(0.9)
    interval = mean_interval(values, 0.9)
    assert (interval.low, interval.high) == pytest.approx((expected.low, expected.high))


def test_the_smallest_effect_is_the_sample_size_formula_solved_for_the_effect():
    """(t(.975, 2) + t(.8, 2)) * s / sqrt(n) = (4.302653 + 1.060660) / sqrt(3)."""
    assert mean_interval([1.0, 2.0, 3.0], 0.95).smallest_effect == pytest.approx(3.096510, abs=1e-6)


def test_many_looks_are_corrected_for_by_bonferroni():
    once, ten = mean_interval([1.0, 2.0, 3.0], 0.995), mean_interval([1.0, 2.0, 3.0], 0.95, looks=10)
    assert (ten.low, ten.high) == pytest.approx((once.low, once.high))


@pytest.mark.parametrize("values", [[], [1.0]])
def test_fewer_than_two_values_have_no_interval(values):
    assert mean_interval(values, 0.95) is None


@pytest.mark.parametrize("values", [[float("nan")], [1.0, float("nan"), 2.0], [1.0, float("inf")]])
def test_a_missing_value_is_an_error_of_the_caller(values):
    with pytest.raises(ValueError, match="leave out blocks without evidence, and count them"):
        mean_interval(values, 0.95)


def test_equal_values_have_an_interval_without_width():
    interval = mean_interval([0.5, 0.5, 0.5], 0.95)
    assert (interval.low, interval.mean, interval.high, interval.smallest_effect) == (0.5, 0.5, 0.5, 0.0)


def test_it_is_written_as_people_read_it():
    assert str(mean_interval([1.0, 2.0, 3.0], 0.95)) == "+2.0000 [-0.4841, +4.4841] over 3 days"


@settings(deadline=None)
@given(VALUES, st.floats(0.51, 0.99), st.floats(0.51, 0.99))
def test_less_confidence_gives_a_narrower_interval_inside_the_wider(values, one, other):
    less, more = sorted([one, other])
    narrow, wide = mean_interval(values, less), mean_interval(values, more)
    assert wide.low <= narrow.low <= narrow.mean <= narrow.high <= wide.high


@settings(deadline=None)
@given(VALUES, st.integers(1, 50))
def test_more_looks_never_prove_more(values, looks):
    once, often = mean_interval(values, 0.95), mean_interval(values, 0.95, looks)
    assert often.low <= once.low
    assert once.high <= often.high


@pytest.mark.parametrize(
    ("days", "correlation", "worth"),
    [(1, 0.6, 1.0), (3, 0.0, 3.0), (3, 0.6, 3 / 2.04), (3, 1.0, 1.0), (10_000, 0.6, 2500.0)],
)
def test_correlated_days_are_worth_fewer_independent_ones(days, correlation, worth):
    """Of three with r = .6: 3 / (1 + 2 * (2/3 * .6 + 1/3 * .36)) = 3 / 2.04; of many a quarter, (1 - .6) / (1 + .6)."""
    assert independent_days(days, correlation) == pytest.approx(worth, rel=1e-3)


@given(st.integers(1, 400), st.floats(0, 1), st.floats(0, 1))
def test_more_correlation_never_makes_days_worth_more(days, one, other):
    less, more = sorted([one, other])
    rounded = 1 + 1e-9
    assert independent_days(days, more) * rounded >= 1
    assert independent_days(days, more) <= independent_days(days, less) * rounded <= days * rounded**2


@pytest.mark.parametrize(
    ("values", "correlation"),
    [
        ([0.5], 0.0),
        ([0.5, 0.5, 0.5, 0.5], 0.0),
        ([1.0, -1.0] * 4, 0.0),
        ([0.0, 1.0, 2.0, 3.0, 4.0], 1.0),
        ([0.0, 0.0, 1.0, 1.0] * 5, 7 / 60),
    ],
    ids=["one day", "a constant", "to and fro", "a line", "in pairs"],
)
def test_the_correlation_of_neighbours(values, correlation):
    """In pairs r = 1/18 (of 19 neighbours 5 are both 1, 9 and 10 are 1), and r + (1 + 4r)/20 = 7/60."""
    assert neighbour_correlation(pd.Series(values)) == pytest.approx(correlation)


@pytest.mark.parametrize("days", [30, 60])
def test_a_short_history_shows_the_correlation_that_it_has(days):
    """Over 400 histories of r = .6 the mean is near it; without Kendall's correction it would be .11 or .06 too small."""
    random = np.random.default_rng(7)
    found = []
    for _ in range(400):
        values = [random.normal()]
        for step in random.normal(size=days - 1):
            values.append(0.6 * values[-1] + 0.8 * step)
        found.append(neighbour_correlation(pd.Series(values)))
    assert np.mean(found) == pytest.approx(0.6, abs=0.04)
