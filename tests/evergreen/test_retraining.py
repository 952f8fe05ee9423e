from datetime import timedelta

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t

from evergreen.as_of import AsOf
from evergreen.cadence import Hour
from evergreen.monitoring import empty_performance
from evergreen.periods import Periods
from evergreen.retraining import History, alarm_threshold, decide, first_day_of_history, history_of
from evergreen.statistics import independent_days, neighbour_correlation
from evergreen.storage import Store
from tests.evergreen.builders import day, shop

TODAY = day(400)


def excess(values):
    return pd.Series(values, index=pd.date_range(end=TODAY, periods=len(values)), dtype=float)


def ago(days):
    return None if days is None else TODAY - timedelta(days=days)


def history(values=(), drift=None, ages=(10,), served=400, trained=10, asked=None):
    """`ages`: how many days ago each earlier decision was, oldest first. `served`: how many of the newest days the champion served."""
    since = None if served is None else ago(served - 1)
    return History(TODAY, excess(list(values)), since, drift, ago(trained), ago(asked), [ago(age) for age in ages])


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
        ([], None, "not enough evidence (n=0 days that the champion served, 3 are needed)"),
        ([0.5, 0.5], None, "not enough evidence (n=2 days that the champion served, 3 are needed)"),
        ([0.5] * 3, 0.5, "not enough evidence (n=0 earlier windows of 3 days, 4 are needed)"),
        ([*QUIET[:5], 0.5, 0.5, 0.5], 0.5, "not enough evidence (n=3 earlier windows of 3 days, 4 are needed)"),
    ],
)
def test_performance_without_enough_days_has_no_threshold_and_does_not_fire(values, value, evidence):
    (reading,) = decide(history(values), policy(PERFORMANCE)).readings
    assert (reading.value, reading.threshold, reading.fired, reading.evidence) == (value, None, False, evidence)


def test_one_window_more_is_enough():
    (reading,) = decide(history([*QUIET[:6], 0.5, 0.51, 0.49]), policy(PERFORMANCE)).readings
    assert reading.fired


@pytest.mark.parametrize(
    ("served", "value", "fired"),
    [(None, None, False), (0, None, False), (2, None, False), (3, 0.0, False), (8, 0.0, False), (14, 0.3, True)],
)
def test_a_champion_does_not_answer_for_the_days_of_the_one_before(served, value, fired):
    """Six days lose .7, then eight are as at promotion: only who served all of them is blamed."""
    days = [*QUIET * 3, *[0.7] * 6, *[0.0] * 8]
    (reading,) = decide(history(days, served=served), policy(PERFORMANCE | {"over": "14d"})).readings
    assert (reading.value, reading.fired) == (value if value is None else pytest.approx(value), fired)


def test_a_short_window_is_held_against_windows_as_short():
    """Three days of a new champion pass the bound of 3-day means: one fourteen-day mean would prove nothing."""
    days = [*QUIET * 3, 0.1, 0.11, 0.09]
    (reading,) = decide(history(days, served=3), policy(PERFORMANCE | {"over": "14d"})).readings
    assert (reading.threshold, 22) == alarm_threshold(excess(days), over=3, one_in=4)
    assert (reading.value, reading.fired) == (pytest.approx(0.1), True)


def test_the_window_that_is_judged_has_no_say_in_its_own_bound():
    calm = alarm_threshold(excess([*QUIET, 0.0, 0.0, 0.0]), over=3, one_in=4)
    assert alarm_threshold(excess([*QUIET, 9.0, 9.0, 9.0]), over=3, one_in=4) == calm
    assert calm[1] == 6
    assert alarm_threshold(excess([*QUIET[:-1], 9.0, 0.0, 0.0, 0.0]), over=3, one_in=4) != calm


def test_where_days_are_skewed_the_quantile_of_the_windows_is_the_larger_bound():
    """One day in forty is bad: three of the 38 windows hold it, more than one in 30."""
    threshold, windows = alarm_threshold(excess([*[0.0] * 20, 0.9, *[0.0] * 19, 0.0, 0.0, 0.0]), over=3, one_in=30)
    assert (threshold, windows) == (pytest.approx(0.3), 38)


def test_where_days_are_correlated_the_bound_counts_them_as_fewer():
    """Runs of ten: r = .9 of neighbours, and 43 days that say as little as a handful."""
    runs = excess([*np.repeat([0.02, 0.0, 0.03, 0.01], 10), 0.0, 0.0, 0.0])
    earlier = runs.iloc[:-3]
    r = neighbour_correlation(earlier)
    window, known = independent_days(3, r), independent_days(40, r)
    reach = t.ppf(1 - 1 / 30, max(known - 1, 1)) * earlier.std() * np.sqrt(1 / window + 1 / known)
    assert (r > 0.9, window < 1.1, known < 3) == (True, True, True)
    assert alarm_threshold(runs, over=3, one_in=30) == (pytest.approx(earlier.mean() + reach), 38)


@pytest.mark.parametrize(
    ("drift", "fired", "value"), [(0.2501, True, 0.2501), (0.25, False, 0.25), (0.0, False, 0.0), (None, False, None)]
)
def test_drift_fires_over_its_bound(drift, fired, value):
    (reading,) = decide(history(drift=drift), policy(DRIFT)).readings
    assert (reading.fired, reading.value, reading.threshold) == (fired, value, 0.25)
    assert reading.evidence.startswith("not enough evidence") is (drift is None)


@pytest.mark.parametrize(
    ("trained", "asked", "fired"),
    [
        (30, None, False),
        (31, None, True),
        (99, 30, False),
        (99, 31, True),
        (31, 99, True),
        (9, 9, False),
        (None, None, False),
    ],
    ids=[
        "young enough",
        "old",
        "old, and asked for",
        "old, and asked for long ago",
        "old again",
        "promoted",
        "nothing",
    ],
)
def test_staleness_fires_when_what_serves_is_older_than_allowed_and_once_in_as_many_days(trained, asked, fired):
    """However new the newest decision is: a champion whose refreshes are all refused is stale."""
    (reading,) = decide(history(trained=trained, asked=asked, ages=[4]), policy(STALENESS)).readings
    assert (reading.fired, reading.value, reading.threshold) == (fired, trained and float(trained), 30.0)
    assert reading.evidence.startswith("not enough evidence") is (trained is None)
    assert ("asks again 30 days after it" in reading.evidence) is ((trained, asked) == (99, 30))


def test_before_the_first_decision_nothing_fires():
    decision = decide(history(ages=[], served=None, trained=None), policy(PERFORMANCE, DRIFT, STALENESS))
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
    decision = decide(history(drift=0.5, ages=[40], trained=40), policy(STALENESS, PERFORMANCE, DRIFT))
    assert [reading.trigger for reading in decision.readings] == ["staleness", "performance", "drift"]
    assert decision.sentence == "Retrain: staleness, drift fired."
    assert decision.readings[2].as_dict() == {
        "trigger": "drift",
        "value": 0.5,
        "threshold": 0.25,
        "fired": True,
        "evidence": "importance-weighted PSI of the inputs",
    }


def correlated(days, correlation, seed):
    """Days of mean 0 and spread 1 whose neighbours are so correlated."""
    steps, values = np.random.default_rng(seed).normal(size=days), np.zeros(days)
    values[0] = steps[0]
    for number in range(1, days):
        values[number] = correlation * values[number - 1] + np.sqrt(1 - correlation**2) * steps[number]
    return values


@pytest.mark.parametrize("days", [75, 365])
@pytest.mark.parametrize("correlation", [0.0, 0.6])
@pytest.mark.parametrize("level", [0.0, 0.05], ids=["at its value at promotion", "a constant above it"])
def test_on_quiet_days_performance_fires_no_more_often_than_declared(level, correlation, days):
    """One alarm in 30 days is declared; twice that is tolerated. Nothing happens in these histories but noise, and where neighbours
    are correlated it wanders: taken to be independent, 75 such days let it fire on 7% and 10% of them.

    The lower bound shows a trigger that still lives; `benchmarks/false_alarms.py` gives the rates over more histories.
    """
    product = policy({"kind": "performance", "over": "14d", "false_alarms": 30})
    fired = [
        decide(history(level + 0.02 * correlated(days, correlation, seed)), product).retrain for seed in range(300)
    ]
    assert 1 / 200 < np.mean(fired) < 2 / 30


def entry(as_of, version, requested_by="schedule", **more):
    """A decision in effect on the next day, after which `version` is champion (None: nobody), trained for its own day."""
    champion = None if version is None else {"version": version, "as_of": str(day(more.pop("trained", as_of)))}
    serving = {"champion": champion, "baseline": {"version": 9, "as_of": str(day(as_of))}}
    times = {"as_of": str(day(as_of)), "effective_from": str(day(as_of + 1))}
    return times | {"requested_by": requested_by, "serving": serving} | more


FIRST, REFUSED = entry(5, 1), entry(20, 1, "sensor: drift, staleness", trained=5)
SECOND = entry(30, 2, "sensor: performance")
BACK = entry(35, 1, trained=5, kind="rollback")


@pytest.mark.parametrize(
    ("entries", "since", "trained", "asked", "decided"),
    [
        ([], None, None, None, []),
        ([entry(5, None), entry(6, None)], None, 6, None, [5, 6]),
        ([FIRST], 6, 5, None, [5]),
        ([FIRST, REFUSED], 6, 5, 20, [5, 20]),
        ([FIRST, REFUSED, SECOND], 31, 30, 20, [5, 20, 30]),
        ([FIRST, REFUSED, SECOND, BACK], 36, 5, 20, [5, 20, 30]),
    ],
    ids=["nothing", "no champion", "the first", "a refused refresh", "a new champion", "rolled back"],
)
def test_the_history_knows_what_serves_since_when_and_how_old_it_is(tmp_path, entries, since, trained, asked, decided):
    """A refusal leaves age and service as they are; a rollback brings the older training back, and its service begins anew."""
    store, product = Store(tmp_path), shop()
    store.write(
        "drift", day(40), pd.DataFrame({"feature": ["amount"], "importance": [1.0], "psi": [0.5], "rows": [100]})
    )
    made = history_of(AsOf(store, product, day(40)), entries, empty_performance())
    days = [None if number is None else day(number) for number in (since, trained, asked)]
    assert [made.champion_since, made.trained, made.asked_by_age] == days
    assert made.decisions == [day(number) for number in decided]


@pytest.mark.parametrize(("rows", "drift"), [(99, None), (100, 0.5)])
def test_drift_of_few_rows_is_no_evidence(tmp_path, rows, drift):
    """Of forty rows that did not move, two in three times the index of ten bins is over a quarter."""
    store, product = Store(tmp_path), shop({"retraining": {"triggers": [{"kind": "drift", "psi": 0.25}]}})
    table = {"feature": ["amount"], "importance": [1.0], "psi": [0.5], "rows": [rows]}
    store.write("drift", day(40), pd.DataFrame(table))
    made = history_of(AsOf(store, product, day(40)), [], empty_performance())
    assert made.drift == drift
    assert [reading.fired for reading in decide(made, product).readings] == [drift is not None]


def test_only_whole_days_of_a_champion_are_its_own():
    """It came at seven in the morning of the second day; the hours are judged in whole days."""
    days = pd.Series([0.1, 0.2, 0.3], index=pd.date_range("2024-01-04", periods=3))
    came = History(Hour(2024, 1, 6, 23), days, Hour(2024, 1, 5, 7), None, None, None, [])
    assert came.champions_excess.tolist() == [0.3]


def test_a_decision_looks_back_a_year():
    assert first_day_of_history(TODAY, Periods.of(shop().time)) == TODAY - timedelta(days=365)
