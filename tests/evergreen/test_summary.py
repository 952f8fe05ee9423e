import numpy as np
import pytest

from evergreen.as_of import AsOf
from evergreen.monitoring import live_rows, performance
from evergreen.scoring import Scored, predictions
from evergreen.storage import Store
from evergreen.summary import summarize_life
from tests.evergreen.builders import at, day, live_a_day, orders, returns, shop

ENTRIES = [
    {"requested_by": "schedule", "decision": "promoted", "deciding_gate": "comparison"},
    {"requested_by": "schedule", "decision": "kept", "deciding_gate": "slices"},
    {"requested_by": "drift", "decision": "held", "deciding_gate": "comparison"},
]


def score(store, product, number, served_by, answers):
    rows = store.read("batch", day(number))
    record = None if served_by == "heuristic" else {"version": 3}
    others = {name: None if served_by == "heuristic" else np.full(len(rows), 0.5) for name in ("baseline", "first")}
    yardsticks = others | {"previous": None}
    table = predictions(rows, Scored(np.array(answers), served_by, record), yardsticks, product, "head")
    store.write("predictions", day(number), table)
    view = AsOf(store, product, day(number))
    due = view.newly_mature_days()
    judged = performance([live_rows(view, due)], {3: 0.4}, product) if due else None
    store.write("performance", day(number), judged if judged is not None else performance_of_nothing())


def performance_of_nothing():
    from evergreen.monitoring import empty_performance

    return empty_performance()


@pytest.fixture
def life(tmp_path):
    """Three days: the heuristic's, the champion's with one quarantined row, and one that is not due yet."""
    store, product = Store(tmp_path / "shop"), shop({"validation": {"quarantine_at_most": 0.5}})
    live_a_day(store, product, 1, orders(1, ["a", "b"]))
    score(store, product, 1, "heuristic", [0.25, 0.25])
    live_a_day(store, product, 2, orders(2, ["c", "d", "d"]), returns({"a": True}, at(2)))
    score(store, product, 2, "champion", [0.9, 0.1])
    live_a_day(store, product, 3, orders(3, ["e"]), returns({"c": True, "d": False}, at(3)))
    score(store, product, 3, "champion", [0.5])
    return AsOf(store, product, day(3))


def test_a_life_is_counted(life):
    summary = summarize_life(life, ENTRIES)
    assert (summary.days, summary.rows_in, summary.quarantined, summary.pending) == (3, 6, 1, 1)
    assert summary.retrains == {"schedule": 2, "drift": 1}
    assert summary.outcomes == {"promoted": 1, "kept by slices": 1, "held by comparison": 1}
    assert summary.served == {"heuristic": 2, "champion": 3}


def test_what_a_champion_served_is_compared_with_its_yardsticks_on_the_same_rows(life):
    summary = summarize_life(life, ENTRIES)
    assert summary.live_days == [day(2)]
    assert {scorer: line["rows"] for scorer, line in summary.live.items()} == {"served": 2, "baseline": 2, "first": 2}
    assert {scorer: line["expected_cost"] for scorer, line in summary.live.items()} == {
        "served": 1.0,
        "baseline": 2.0,
        "first": 2.0,
    }
    assert summary.live["served"]["roc_auc"] == 1.0


def test_before_a_champions_day_is_due_nothing_is_compared(life):
    summary = summarize_life(AsOf(life.store, life.product, day(2)), [])
    assert (summary.live, summary.live_days, summary.days) == ({}, [], 2)
    assert (summary.retrains, summary.outcomes) == ({}, {})
