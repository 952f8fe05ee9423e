import numpy as np
import pandas as pd
import pytest

from evergreen.errors import NotEnoughEvidence
from evergreen.explain import explain, find_day
from evergreen.scoring import Scored, predictions
from evergreen.storage import Store
from tests.evergreen.builders import at, day, live_a_day, orders, returns, shop

RECIPE = shop().recipe
CHAMPION, BASELINE = ({"version": number, "run_id": f"r{number}", "recipe": RECIPE} for number in (3, 2))
SERVING = {"champion": CHAMPION, "previous": None, "baseline": BASELINE, "first": CHAMPION}
ENTRIES = [
    {"digest": "one", "decision": "promoted", "candidate": CHAMPION, "serving": SERVING},
    {"digest": "two", "decision": "kept", "candidate": {"version": 5}, "serving": SERVING},
]


def score(store, number, served_by, record, head):
    rows = store.read("batch", day(number))
    scored = Scored(np.full(len(rows), 0.3), served_by, record)
    store.write("predictions", day(number), predictions(rows, scored, {"baseline": None}, shop(), head))
    store.write_document("raw_batch", day(number), {"events": {"file": f"orders/{day(number)}.parquet"}})


@pytest.fixture
def store(tmp_path):
    """Day 1 is served by the heuristic, day 2 by the champion, day 3 by the baseline; outcomes come a day later."""
    made, product = Store(tmp_path / "shop"), shop()
    live_a_day(made, product, 1, orders(1, ["a"]))
    live_a_day(made, product, 2, orders(2, ["b", "c"], amount=[5.0, 6.0]), returns({"a": False}, at(2)))
    live_a_day(made, product, 3, orders(3, ["d"]), returns({"b": True}, at(3)))
    score(made, 1, "heuristic", None, None)
    score(made, 2, "champion", CHAMPION, "two")
    score(made, 3, "baseline", BASELINE, "two")
    return made


def test_a_champions_prediction_is_traced_to_its_delivery_its_label_and_its_promotion(store):
    found = explain(store, shop(), ENTRIES, "b")
    assert found.day == day(2)
    assert (found.prediction["score"], found.prediction["action"], found.prediction["version"]) == (0.3, True, 3)
    assert found.inputs["amount"] == 5.0
    assert found.delivery == {"events": {"file": "orders/2024-01-02.parquet"}}
    assert (found.label["label"], found.label["origin"], found.label["entered_on"]) == (1.0, "outcome", day(3))
    assert (found.state, found.model, found.promoted) == (ENTRIES[1], CHAMPION, ENTRIES[0])


def test_a_row_that_fell_due_without_an_outcome_is_told_as_pending(store):
    label = explain(store, shop(), ENTRIES, "c").label
    assert (label["origin"], label["entered_on"]) == ("none", day(3))
    assert pd.isna(label["label"])


@pytest.mark.parametrize(
    ("prediction", "state", "model", "labelled"),
    [("a", None, None, True), ("d", ENTRIES[1], BASELINE, False)],
    ids=["the heuristic", "the baseline"],
)
def test_where_no_champion_answered_nothing_was_promoted(store, prediction, state, model, labelled):
    found = explain(store, shop(), ENTRIES, prediction)
    assert (found.state, found.model, found.promoted) == (state, model, None)
    assert (found.label is not None) is labelled


def test_a_correction_is_the_label_that_is_told(store):
    live_a_day(store, shop(), 4, orders(4, ["e"]), returns({"b": False}, at(4)))
    label = explain(store, shop(), ENTRIES, "b").label
    assert (label["label"], label["entered_on"]) == (0.0, day(4))


@pytest.mark.parametrize("later", [returns({"b": False}, at(2)), None], ids=["old news", "nothing"])
def test_the_label_that_is_told_is_the_one_that_is_used(store, later):
    live_a_day(store, shop(), 4, orders(4, ["e"]), later)
    label = explain(store, shop(), ENTRIES, "b").label
    assert (label["label"], label["entered_on"]) == (1.0, day(3))


def test_a_label_is_found_as_late_as_outcomes_are_matched(store):
    product = shop({"label": {"matched_for": "30d"}})
    for number in range(4, 21):
        told = returns({"b": False}, at(20)) if number == 20 else None
        live_a_day(store, product, number, orders(number, [f"later-{number}"]), told)
    assert explain(store, product, ENTRIES, "b").label["entered_on"] == day(20)


def test_an_id_that_was_scored_twice_is_found_on_its_newest_day(store):
    live_a_day(store, shop(), 4, orders(4, ["b"]))
    score(store, 4, "champion", CHAMPION, "two")
    assert find_day(store, "b") == day(4)
    assert find_day(store, "a") == day(1)


def test_an_unknown_id_is_refused_with_an_example(store, tmp_path):
    with pytest.raises(NotEnoughEvidence, match="shop has no prediction with id 'zzz': ids look like 'd'"):
        explain(store, shop(), ENTRIES, "zzz")
    with pytest.raises(NotEnoughEvidence, match="no day has been scored yet"):
        explain(Store(tmp_path / "new"), shop(), [], "a")


def test_who_served_then_is_told_and_not_who_serves_now(store):
    now = {"champion": {"version": 7}, "previous": CHAMPION, "baseline": None, "first": CHAMPION}
    later = {"digest": "three", "decision": "promoted", "candidate": {"version": 7}, "serving": now}
    found = explain(store, shop(), [*ENTRIES, later], "b")
    assert (found.state, found.model) == (ENTRIES[1], CHAMPION)
