import shutil
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

from evergreen.as_of import AsOf, first_decidable_day, first_served_day
from evergreen.errors import PartitionMissing
from evergreen.storage import Store
from tests.evergreen.builders import at, day, live_a_day, orders, returns, shop


@pytest.fixture
def store(five_days, tmp_path):
    """A copy of five days that a test may spoil."""
    return Store(Path(shutil.copytree(five_days.root, tmp_path / "copy")))


@pytest.fixture(scope="module")
def five_days(tmp_path_factory):
    """Five days. b of day 1 is told never, d of day 2 twice: true on day 3, corrected to false on day 5; x, on day 2, has no event."""
    made, product = Store(tmp_path_factory.mktemp("five") / "shop"), shop()
    live_a_day(made, product, 1, orders(1, ["a", "b"]))
    live_a_day(made, product, 2, orders(2, ["c", "d"]), returns({"a": True, "x": True}, at(2)))
    live_a_day(made, product, 3, orders(3, ["e"]), returns({"c": False, "d": True, "e": True}, at(3)))
    live_a_day(made, product, 4, orders(4, ["f"]))
    live_a_day(made, product, 5, orders(5, ["g"]), returns({"d": False, "f": True}, at(5)))
    return made


def view(store, number, **changes):
    return AsOf(store, shop(changes), day(number))


def due(today):
    return pd.concat(list(today.recent_due_times()), ignore_index=True)


def left_before(today):
    """The ids that earlier days labelled, and those of outcomes that wait for an event."""
    left = today.labels_before()
    return left.labelled.of(pd.Series(dtype="str")).id.tolist(), left.waiting.id.tolist()


def labelled(mature):
    return dict(zip(mature.rows.order_id, mature.rows.label, strict=True))


@pytest.mark.parametrize(
    ("today", "expected"),
    [
        (1, {}),
        (2, {"a": 1.0}),
        (3, {"a": 1.0, "c": 0.0, "d": 1.0}),
        (4, {"a": 1.0, "c": 0.0, "d": 1.0, "e": 1.0}),
        (5, {"a": 1.0, "c": 0.0, "d": 0.0, "e": 1.0, "f": 1.0}),
    ],
)
def test_a_day_knows_the_labels_that_are_due_as_they_were_known_then(store, today, expected):
    """e was told on day 3 and is due on day 4; the correction of d counts from day 5."""
    assert labelled(view(store, today).mature(day(1))) == expected


def test_coverage_counts_events_mature_and_labelled_rows_of_each_day(store):
    mature = view(store, 3).mature(day(1))
    assert mature.coverage.reset_index().to_numpy().tolist() == [
        [pd.Timestamp(day(1)), 2, 2, 1],
        [pd.Timestamp(day(2)), 2, 2, 2],
        [pd.Timestamp(day(3)), 1, 0, 0],
    ]
    assert mature.whole_days() == [day(1), day(2)]
    assert mature.share_labelled() == 3 / 4
    assert mature.on([day(2)]).share_labelled() == 1.0
    assert mature.on([day(3)]).share_labelled() is None
    assert labelled(mature.on([day(1)])) == {"a": 1.0}


def test_a_day_of_which_only_a_part_is_mature_is_not_whole(tmp_path):
    store = Store(tmp_path / "shop")
    product = shop({"label": {"matures_after": "12h"}})
    live_a_day(store, product, 1, orders(1, ["a", "b"], ordered_at=[at(1, "11:59"), at(1, "12:00")]))
    today = AsOf(store, product, day(1))
    assert today.mature(day(1)).coverage.to_numpy().tolist() == [[2, 1, 0]]
    assert (today.mature(day(1)).whole_days(), today.newly_mature_days()) == ([], [])


def test_garbage_after_the_day_changes_nothing(store):
    """The as-of law: what lies after the day is not even opened."""
    today = view(store, 3)
    before = today.mature(day(1)), left_before(today), due(today), today.newly_mature_days()
    for table in ("batch", "labels", "quarantine", "raw_events"):
        for later in (4, 5, 6):
            store.path(table, day(later)).parent.mkdir(exist_ok=True)
            store.path(table, day(later)).write_bytes(b"garbage")

    after = today.mature(day(1)), left_before(today), due(today), today.newly_mature_days()

    pd.testing.assert_frame_equal(after[0].rows, before[0].rows)
    pd.testing.assert_frame_equal(after[0].coverage, before[0].coverage)
    pd.testing.assert_frame_equal(after[2], before[2])
    assert (after[1], after[3]) == (before[1], before[3])


def test_matching_looks_back_as_far_as_outcomes_are_matched_and_no_further(store):
    today = view(store, 5)
    assert due(today).id.tolist() == ["c", "d", "e", "f", "g"]
    assert left_before(today) == (["a", "c", "d", "e"], ["x"])
    assert left_before(view(store, 5, label={"matched_for": "2d"})) == (["c", "d", "e"], [])


def test_a_label_that_came_before_its_event_is_stored_and_used_when_it_is_due(tmp_path):
    """It was told on day 1; its event is of day 2 and due on day 3."""
    store, product = Store(tmp_path / "shop"), shop()
    live_a_day(store, product, 1, orders(1, ["a"]), returns({"early": True}, at(1)))
    live_a_day(store, product, 2, orders(2, ["early"]))
    live_a_day(store, product, 3, orders(3, ["b"]))
    assert [labelled(view(store, today).mature(day(2))) for today in (2, 3)] == [{}, {"early": 1.0}]
    assert store.read("labels", day(2))[["id", "origin"]].to_numpy().tolist() == [["early", "outcome"], ["a", "none"]]
    assert store.read("labels", day(3)).empty, "early is not pending, and entered once"


@pytest.mark.parametrize(("matched_for", "expected"), [("3d", {"b": 0.0, "late": 1.0}), ("2d", {"b": 0.0})])
def test_an_event_that_a_corrected_delivery_adds_gets_the_label_that_was_told_before(tmp_path, matched_for, expected):
    """Day 2 is corrected after day 4, when its outcomes were read: the next day that is lived, 5, finds both."""
    store, product = Store(tmp_path / "shop"), shop({"label": {"matched_for": matched_for}})
    told = returns({"b": False, "late": True}, at(3))
    days = {1: (["a"], None), 2: (["b"], None), 3: (["c"], told), 4: (["d"], None)}
    for number, (ids, outcomes) in days.items():
        live_a_day(store, product, number, orders(number, ids), outcomes)
    live_a_day(store, product, 2, orders(2, ["b", "late"]))
    live_a_day(store, product, 5, orders(5, ["e"]))
    known = [labelled(AsOf(store, product, day(today)).mature_on([day(2)])) for today in (4, 5)]
    assert known == [{"b": 0.0}, expected]
    first = store.digest("labels", day(5))
    live_a_day(store, product, 5, orders(5, ["e"]))
    assert store.digest("labels", day(5)) == first
    live_a_day(store, product, 6, orders(6, ["f"]))
    assert "late" not in set(store.read("labels", day(6)).id), "it is entered once"


def test_the_past_begins_with_the_product(store):
    assert view(store, 2).days(day(-9)) == [day(1), day(2)]
    assert view(store, 3).days(day(2)) == [day(2), day(3)]


@pytest.mark.parametrize("today", [2, 3, 4, 5])
def test_the_days_that_became_whole_today_are_those_of_yesterday_under_a_delay_of_a_day(store, today):
    assert view(store, today).newly_mature_days() == [day(today - 1)]
    whole = view(store, today).mature(day(1)).whole_days()
    assert whole == [*view(store, today - 1).mature(day(1)).whole_days(), day(today - 1)]


def test_a_refused_day_has_an_empty_batch_and_is_excused_from_what_derives_from_it(store):
    live_a_day(store, shop(), 3, orders(3, []))
    assert store.is_empty("batch", day(3))
    store.path("labels", day(3)).unlink()
    assert view(store, 4).read("labels", [day(2), day(3)]).id.tolist() == ["a", "b", "x"]
    assert labelled(view(store, 4).mature(day(1))) == {"a": 1.0}


@pytest.mark.parametrize("table", ["batch", "labels"])
def test_a_lost_partition_is_an_error_and_not_silence(store, table):
    store.path(table, day(2)).unlink()
    with pytest.raises(PartitionMissing, match=f"1 partition\\(s\\) of {table} are missing"):
        view(store, 3).mature(day(1))


def test_a_day_without_batch_or_labels_is_not_excused(store):
    for table in ("batch", "labels"):
        store.path(table, day(2)).unlink()
    with pytest.raises(PartitionMissing):
        view(store, 3).read("labels", [day(1), day(2)])


@pytest.mark.parametrize(
    ("label", "first"),
    [
        ({"matures_after": "0d"}, day(5)),
        ({"matures_after": "1d"}, day(6)),
        ({"matures_after": "25h"}, day(7)),
        ({"matures_after": "2d"}, day(7)),
    ],
)
def test_the_first_decidable_day_has_just_enough_whole_days(tmp_path, label, first):
    """Two days to train and three to judge: the day that is computed is the first on which five days are whole."""
    product = shop({"label": label, "evaluation": {"window": "3d"}})
    assert first_decidable_day(product) == first
    store = Store(tmp_path / "shop")
    for number in range(1, 8):
        live_a_day(store, product, number, orders(number, ["a", "b"], ordered_at=[at(number), at(number, "23:59")]))
    whole = [
        len(AsOf(store, product, today).mature(day(1)).whole_days()) for today in (first, first - timedelta(days=1))
    ]
    assert whole == [5, 4]


def test_with_a_maturity_column_the_first_decidable_day_is_the_start_plus_the_days_needed():
    product = shop({"label": {"matures_after": None, "matures_at": "due_at"}, "evaluation": {"window": "3d"}})
    assert first_decidable_day(product) == product.time.start + timedelta(days=5)


def test_a_model_serves_first_where_all_rows_are_predicted_after_its_day():
    assert first_served_day(shop()) == first_decidable_day(shop()) + timedelta(days=1)
    early = shop({"time": {"predict_before": "2d"}})
    assert first_served_day(early) == first_decidable_day(early) + timedelta(days=3)


def test_golden_days_put_the_first_decidable_day_off_by_as_many():
    product, golden = shop(), shop({"evaluation": {"golden": "3d"}})
    assert first_decidable_day(golden) == first_decidable_day(product) + timedelta(days=3)


def test_the_future_cannot_even_be_asked_for(tmp_path):
    view = AsOf(Store(tmp_path / "shop"), shop(), day(3))
    with pytest.raises(ValueError, match="is the future of 2024-01-03"):
        view.read("batch", [day(3), day(4)])


def test_a_label_due_at_midnight_is_due_on_the_day_that_begins_then(tmp_path):
    made, product = Store(tmp_path / "shop"), shop()
    live_a_day(made, product, 1, orders(1, ["a"], ordered_at=at(1, "00:00")))
    live_a_day(made, product, 2, orders(2, ["b"]))
    assert [AsOf(made, product, day(number)).newly_mature_days() for number in (1, 2)] == [[], [day(1)]]
    assert [made.read("labels", day(number)).id.tolist() for number in (1, 2)] == [[], ["a"]]
