from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from evergreen.periods import Periods
from evergreen.retraining import History, alarm_threshold, decide, first_day_of_history
from tests.evergreen.builders import day, shop

TODAY = day(400)


def excess(values):
    return pd.Series(values, index=pd.date_range(end=TODAY, periods=len(values)), dtype=float)


def history(values=(), drift=None, ages=(10,)):
    """`ages`: how many days ago each earlier decision was, oldest first."""
    return History(TODAY, excess(list(values)), drift, [TODAY - timedelta(days=age) for age in ages])


def policy(*triggers, **changes):
    return shop({"retraining": {"triggers": list(triggers), **changes}})


PERFORMANCE = {"kind": "performance", "over": "3d", "false_alarms": 4}
DRIFT, STALENESS = {"kind": "drift", "psi": 0.25}, {"kind": "staleness", "days": 30}
QUIET = [0.0, 0.01, -0.01, 0.02, 0.0, -0.02, 0.01, 0.0]


@pytest.mark.parametrize(
    ("window", "fired"),
    [
        ([0.1, 0.11, 0.09], True),
        ([0.001, 0.0011, 0.0009], False),
        ([0.3, -0.1, 0.1], False),
        ([-0.1, -0.11, -0.09], False),
        ([0.0, 0.0, 0.0], False),
    ],
    ids=[
        "proven and large",
        "proven, but under what history does by itself",
        "large, but unproven",
        "better",
        "no change",
    ],
)
def test_performance_fires_on_a_loss_that_is_proven_and_unusual(window, fired):
    decision = decide(history([*QUIET, *window]), policy(PERFORMANCE))
    (reading,) = decision.readings
    assert (reading.fired, decision.retrain) == (fired, fired)
    assert reading.value == pytest.approx(sum(window) / 3)
    reach = t.ppf(0.75, 7) * np.std(QUIET, ddof=1) * np.sqrt(1 / 3 + 1 / 8)
    assert reading.threshold == pytest.approx(float(np.mean(QUIET) + reach))


@pytest.mark.parametrize(
    ("values", "value", "evidence"),
    [
        ([], None, "not enough evidence (n=0 of 3 days judged, 0 of 4 earlier windows)"),
        ([0.5, 0.5], None, "not enough evidence (n=2 of 3 days judged, 0 of 4 earlier windows)"),
        ([0.5] * 3, 0.5, "not enough evidence (n=3 of 3 days judged, 0 of 4 earlier windows)"),
        ([*QUIET[:5], 0.5, 0.5, 0.5], 0.5, "not enough evidence (n=3 of 3 days judged, 3 of 4 earlier windows)"),
    ],
)
def test_performance_without_enough_days_has_no_threshold_and_does_not_fire(values, value, evidence):
    (reading,) = decide(history(values), policy(PERFORMANCE)).readings
    assert (reading.value, reading.threshold, reading.fired, reading.evidence) == (value, None, False, evidence)


def test_one_window_more_is_enough():
    (reading,) = decide(history([*QUIET[:6], 0.5, 0.51, 0.49]), policy(PERFORMANCE)).readings
    assert reading.fired


def test_the_window_that_is_judged_has_no_say_in_its_own_bound():
    calm = alarm_threshold(excess([*QUIET, 0.0, 0.0, 0.0]), over=3, one_in=4)
    assert alarm_threshold(excess([*QUIET, 9.0, 9.0, 9.0]), over=3, one_in=4) == calm
    assert calm[1] == 6
    assert alarm_threshold(excess([*QUIET[:-1], 9.0, 0.0, 0.0, 0.0]), over=3, one_in=4) != calm


def test_where_days_are_correlated_the_quantile_of_the_windows_is_the_larger_bound():
    blocks = np.repeat([0.0, 0.0, 0.0, 0.1], 10)
    threshold, windows = alarm_threshold(excess([*blocks, 0.0, 0.0, 0.0]), over=3, one_in=30)
    means = [blocks[start : start + 3].mean() for start in range(38)]
    assert windows == 38
    assert threshold == pytest.approx(float(np.quantile(means, 1 - 1 / 30)))


@pytest.mark.parametrize(
    ("drift", "fired", "value"), [(0.2501, True, 0.2501), (0.25, False, 0.25), (0.0, False, 0.0), (None, False, None)]
)
def test_drift_fires_over_its_bound(drift, fired, value):
    (reading,) = decide(history(drift=drift), policy(DRIFT)).readings
    assert (reading.fired, reading.value, reading.threshold) == (fired, value, 0.25)
    assert reading.evidence.startswith("not enough evidence") is (drift is None)


@pytest.mark.parametrize(
    ("ages", "fired", "value"), [([90, 31], True, 31.0), ([30], False, 30.0), ([90, 1], False, 1.0), ([], False, None)]
)
def test_staleness_fires_when_the_last_decision_is_older_than_allowed(ages, fired, value):
    (reading,) = decide(history(ages=ages), policy(STALENESS)).readings
    assert (reading.fired, reading.value, reading.threshold) == (fired, value, 30.0)
    assert reading.evidence.startswith("not enough evidence") is (not ages)


def test_before_the_first_decision_nothing_fires():
    decision = decide(history(ages=[]), policy(PERFORMANCE, DRIFT, STALENESS))
    assert (decision.retrain, decision.fired, decision.held_back_by) == (False, [], None)
    assert decision.sentence == "No retrain: no trigger fired."


def test_a_product_without_triggers_never_asks():
    assert decide(history(drift=9.0, ages=[99]), policy()).readings == []


@pytest.mark.parametrize(("age", "retrain"), [(0, False), (3, False), (4, True)])
def test_the_cooldown_holds_a_fired_trigger_back(age, retrain):
    decision = decide(history(drift=9.0, ages=[age]), policy(DRIFT))
    assert (decision.retrain, decision.fired) == (retrain, ["drift"])
    since = TODAY - timedelta(days=age)
    assert decision.sentence == (
        "Retrain: drift fired."
        if retrain
        else f"No retrain: drift fired, held back by cooldown (3 days after {since})."
    )


@pytest.mark.parametrize(
    ("ages", "retrain"),
    [([20, 10], False), ([29, 10], False), ([30, 10], True), ([90, 60, 40, 10], True)],
)
def test_the_budget_holds_a_fired_trigger_back(ages, retrain):
    decision = decide(history(drift=9.0, ages=ages), policy(DRIFT, budget={"retrains": 2, "per": "30d"}))
    assert decision.retrain is retrain
    assert decision.held_back_by == (None if retrain else "budget (2 of 2 retrains in 30 days)")


def test_every_trigger_is_read_and_every_fired_one_is_told():
    decision = decide(history(drift=0.5, ages=[40]), policy(STALENESS, PERFORMANCE, DRIFT))
    assert [reading.trigger for reading in decision.readings] == ["staleness", "performance", "drift"]
    assert decision.sentence == "Retrain: staleness, drift fired."
    assert decision.readings[2].as_dict() == {
        "trigger": "drift",
        "value": 0.5,
        "threshold": 0.25,
        "fired": True,
        "evidence": "importance-weighted PSI of the inputs",
    }


@pytest.mark.parametrize("days", [75, 365])
@pytest.mark.parametrize("level", [0.0, 0.05], ids=["at its value at promotion", "a constant above it"])
def test_on_quiet_noise_performance_fires_no_more_often_than_declared(level, days):
    """One alarm in 30 days is declared; twice that is tolerated. Nothing happens in these histories but independent noise.

    The lower bound shows a trigger that still lives. At its value at promotion the loss must also be proven above zero: over 6000
    short histories it then fired on 1.3% of the days, and on 3.3% at a constant above it.
    """
    product = policy({"kind": "performance", "over": "14d", "false_alarms": 30})
    fired = [
        decide(history(np.random.default_rng(seed).normal(level, 0.02, days)), product).retrain for seed in range(300)
    ]
    assert 1 / 200 < np.mean(fired) < 2 / 30


def test_a_decision_looks_back_a_year():
    assert first_day_of_history(TODAY, Periods.of(shop().time)) == TODAY - timedelta(days=365)
