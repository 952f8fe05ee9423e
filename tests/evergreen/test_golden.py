from datetime import date

import pytest

from evergreen.as_of import AsOf
from evergreen.golden import choose, golden_days, reserved
from evergreen.storage import Store
from evergreen.training import split_days
from tests.evergreen.builders import day, shop

TEN = [day(number) for number in range(1, 11)]
TWO_GOLDEN = {"evaluation": {"golden": "2d", "window": "3d"}}
RESERVED = [{"key": "shop/golden", "as_of": str(day(6)), "days": [str(day(1)), str(day(2))]}]


@pytest.mark.parametrize(
    ("changes", "whole", "trained", "chosen"),
    [
        ({}, TEN, [], []),
        (TWO_GOLDEN, TEN, [], TEN[:2]),
        (TWO_GOLDEN, TEN[:4], [], TEN[:1]),
        (TWO_GOLDEN, TEN, TEN[:4], TEN[4:6]),
        (TWO_GOLDEN, TEN, TEN[:6], []),
    ],
    ids=[
        "not asked for",
        "the oldest",
        "a first training waits",
        "asked for later",
        "asked for later, too few are free",
    ],
)
def test_golden_days_are_the_oldest_that_no_model_was_trained_on(changes, whole, trained, chosen):
    assert choose(whole, trained, shop(changes)) == chosen


def test_once_reserved_they_stay_from_that_day_on_whatever_the_product_file_says(tmp_path):
    for product in (shop(TWO_GOLDEN), shop(), shop({"evaluation": {"golden": "5d"}})):
        assert reserved(RESERVED, product, day(5)) == []
        assert reserved(RESERVED, product, day(6)) == TEN[:2]
        assert golden_days(AsOf(Store(tmp_path), product, day(9)), TEN, RESERVED) == TEN[:2]
        assert golden_days(AsOf(Store(tmp_path), product, day(5)), TEN, RESERVED) == [], (
            "an earlier day chooses none anew"
        )


def test_days_of_an_earlier_training_set_are_not_reserved_any_more(tmp_path):
    store, product = Store(tmp_path), shop(TWO_GOLDEN)
    store.write_document("training_set", day(5), {"days": [str(day(1))], "refit": {"days": [str(day(2))]}})
    store.write_document("training_set", day(9), {"days": [str(known) for known in TEN]})

    assert golden_days(AsOf(store, product, day(9)), TEN, []) == TEN[2:4]


@pytest.mark.parametrize(
    ("golden", "training"), [([], TEN[:7]), (TEN[:2], TEN[2:7]), ([TEN[3], date(2023, 1, 1)], TEN[:3] + TEN[4:7])]
)
def test_golden_days_neither_train_nor_judge(golden, training):
    split = split_days(TEN, shop(TWO_GOLDEN), golden)
    assert (split.training, split.judging) == (training, TEN[7:])
