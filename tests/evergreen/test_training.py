import shutil
from pathlib import Path

import numpy as np
import pytest

from evergreen.as_of import AsOf
from evergreen.errors import NotEnoughEvidence
from evergreen.storage import Store
from evergreen.training import (
    first_needed_day,
    manifest,
    manifest_of,
    possible_training_ids,
    read_manifest_rows,
    split_days,
)
from tests.evergreen.builders import at, day, live_a_day, orders, returns, shop

WEEK = [day(number) for number in range(1, 8)]


@pytest.mark.parametrize(
    ("changes", "training", "judging"),
    [
        ({}, WEEK[:6], WEEK[6:]),
        ({"evaluation": {"window": "3d"}}, WEEK[:4], WEEK[4:]),
        ({"training": {"window": "2d"}, "evaluation": {"window": "3d"}}, WEEK[2:4], WEEK[4:]),
        ({"training": {"window": "9d"}, "evaluation": {"window": "5d"}}, WEEK[:2], WEEK[2:]),
    ],
)
def test_the_newest_whole_days_judge_and_the_ones_before_them_train(changes, training, judging):
    split = split_days(WEEK, shop(changes))
    assert (split.training, split.judging) == (training, judging)


def test_a_gap_between_whole_days_is_no_day():
    split = split_days([day(1), day(2), day(5), day(9)], shop({"evaluation": {"window": "2d"}}))
    assert (split.training, split.judging) == ([day(1), day(2)], [day(5), day(9)])


@pytest.mark.parametrize(
    ("window", "golden", "refit"),
    [
        ("expanding", [], WEEK),
        ("3d", [], WEEK[4:]),
        ("expanding", WEEK[:2], WEEK[2:]),
        ("3d", WEEK[5:6], WEEK[3:5] + WEEK[6:]),
    ],
)
def test_a_refit_trains_on_the_newest_days_too_and_on_no_golden_one(window, golden, refit):
    product = shop({"training": {"window": window}, "evaluation": {"window": "2d"}})
    assert split_days(WEEK, product, golden).refit == refit


def test_of_a_training_sets_manifests_a_version_was_trained_on_the_one_with_its_digest():
    twin, refit = {"digest": "t", "days": ["1"]}, {"digest": "r", "days": ["1", "2"]}
    both = twin | {"refit": refit}
    assert manifest_of(both, {"training_digest": "r"}) == refit
    assert manifest_of(both, {"training_digest": "t"}) == both
    assert manifest_of(twin, {"training_digest": "t"}) == twin, "written before there were refits"


@pytest.mark.parametrize("whole", [0, 1, 3, 4])
def test_too_few_days_are_not_enough_evidence_and_say_how_many_are_needed(whole):
    product = shop({"evaluation": {"window": "3d"}})
    with pytest.raises(NotEnoughEvidence) as refused:
        split_days(WEEK[:whole], product)
    assert str(refused.value) == (
        f"shop: {whole} whole mature days, 2 are needed to train and 3 more to judge; until then the heuristic serves"
    )
    assert len(split_days(WEEK[:5], product).training) == 2


@pytest.mark.parametrize(
    ("changes", "first"),
    [
        ({}, day(1)),
        ({"training": {"window": "2d"}}, day(20 - 2 - 1 - 1 - 1)),
        ({"training": {"window": "90d"}}, day(1)),
    ],
    ids=["expanding", "a window", "a window longer than the product's life"],
)
def test_a_training_reads_no_further_back_than_its_window_needs(changes, first):
    assert first_needed_day(shop(changes), day(20)) == first


@pytest.fixture
def store(two_days, tmp_path):
    """A copy that a test may spoil."""
    return Store(Path(shutil.copytree(two_days.root, tmp_path / "copy")))


@pytest.fixture(scope="module")
def two_days(tmp_path_factory):
    """Two mature days: a and b of day 1, c of day 2 that is pending."""
    made, product = Store(tmp_path_factory.mktemp("two") / "shop"), shop()
    live_a_day(made, product, 1, orders(1, ["a", "b"]))
    live_a_day(made, product, 2, orders(2, ["c"]), returns({"a": True, "b": False}, at(2)))
    live_a_day(made, product, 3, orders(3, ["d"]))
    return made


def made_manifest(store, changes=None, days=(1, 2)):
    view = AsOf(store, shop(changes), day(3))
    return manifest(view, view.mature(day(1)), [day(number) for number in days])


def test_a_manifest_says_what_the_rows_are(store):
    made = made_manifest(store)
    digest = made.pop("digest")
    assert made == {
        "as_of": "2024-01-03",
        "first_day": "2024-01-01",
        "last_day": "2024-01-02",
        "days": ["2024-01-01", "2024-01-02"],
        "left_out": [],
        "rows": 2,
        "pending": 1,
        "coverage": 2 / 3,
        "base_rate": 0.5,
        "empty_inputs": [],
    }
    assert len(digest) == 16


def test_a_manifest_names_the_features_without_a_single_value(store):
    edit(store, "batch", 1, amount=[np.nan, np.nan], color=["red", None])
    assert made_manifest(store)["empty_inputs"] == ["amount"]


def test_a_manifest_without_labels_has_no_base_rate(store):
    made = made_manifest(store, days=(2,))
    assert (made["rows"], made["pending"], made["coverage"], made["base_rate"]) == (0, 1, 0.0, None)


def edit(store, table, number, **columns):
    store.write(table, day(number), store.read(table, day(number)).assign(**columns))


@pytest.mark.parametrize(
    "change",
    [
        lambda store: edit(store, "labels", 2, label=[0.0, 0.0]),
        lambda store: edit(store, "batch", 1, amount=[1.0, 1.5]),
        lambda store: edit(store, "batch", 1, color=["red", "blue"]),
        lambda store: edit(store, "batch", 1, color=["red", None]),
    ],
    ids=["a label", "a number", "a category", "a category lost"],
)
def test_the_digest_changes_with_a_label_or_a_feature(store, change):
    before = made_manifest(store)["digest"]
    change(store)
    assert made_manifest(store)["digest"] != before


@pytest.mark.parametrize(
    "change",
    [
        lambda store: None,
        lambda store: edit(store, "labels", 2, known_at=at(1, "13:00")),
        lambda store: edit(store, "batch", 2, amount=9.0),
        lambda store: edit(store, "batch", 3, amount=9.0),
        lambda store: store.write("batch", day(4), store.read("batch", day(1))),
        lambda store: edit(store, "quarantine", 1, reasons="another"),
    ],
    ids=["nothing", "when a label was told", "a pending row", "a row that is not mature", "a later day", "quarantine"],
)
def test_the_digest_stays_when_what_changes_is_not_in_the_rows(store, change):
    before = made_manifest(store)["digest"]
    change(store)
    assert made_manifest(store)["digest"] == before


def test_the_rows_of_a_manifest_are_found_again_and_their_ids_include_the_pending_ones(store):
    view, made = AsOf(store, shop(), day(3)), made_manifest(store)
    assert read_manifest_rows(view, made)[["order_id", "label"]].to_numpy().tolist() == [["a", 1.0], ["b", 0.0]]
    assert possible_training_ids(view, made).tolist() == ["a", "b", "c"]
