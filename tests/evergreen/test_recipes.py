"""The features that another recipe needs come from the raw deliveries."""

import pytest

from evergreen.errors import ModelError
from evergreen.recipes import recorded_recipe, with_features_of
from evergreen.storage import Store
from tests.evergreen.builders import day, orders, shop


def test_a_recorded_recipe_does_not_stumble_over_gates_that_have_other_names_today(tmp_path):
    recorded = shop({"training": {"seed": 9}}).model_dump(mode="json")
    recorded["gates"]["off"] = recorded["gates"].pop("disabled")
    Store(tmp_path).write_document("training_set", day(1), {"product": recorded})

    assert recorded_recipe(Store(tmp_path), {"as_of": str(day(1))}) == shop({"training": {"seed": 9}})


def test_rows_that_have_every_feature_stay_as_they_are(tmp_path):
    rows = orders(1, ["a"])

    assert with_features_of(shop(), rows, Store(tmp_path), [day(1)]) is rows


def test_a_feature_that_left_the_product_file_is_read_for_the_model_that_needs_it(tmp_path):
    store = Store(tmp_path)
    store.write("raw_events", day(1), orders(1, ["a", "b", "c"], amount=[1.0, 2.0, float("inf")]))
    rows = orders(1, ["b", "a", "c"]).drop(columns="amount")

    found = with_features_of(shop({"validation": {"quarantine_at_most": 0.5}}), rows, store, [day(1)])

    assert found.order_id.to_list() == ["b", "a", "c"]
    assert found.amount.fillna(-1).to_list() == [2.0, 1.0, -1], "a row that breaks a rule keeps a missing value"


def test_a_feature_that_has_another_kind_today_is_read_in_the_kind_that_the_model_knows(tmp_path):
    """A shop by number: a category once, a number now, or the reverse."""
    store = Store(tmp_path)
    store.write("raw_events", day(1), orders(1, ["a", "b"], amount=["1", "2"], color=["7", "8"]))
    numbers = {"numeric": ["amount", "color"], "categorical": []}

    as_text = with_features_of(shop(), orders(1, ["a", "b"], color=[7.0, 8.0]), store, [day(1)])
    as_number = with_features_of(
        shop({"features": numbers, "evaluation": {"slices": []}}),
        orders(1, ["a", "b"], color=["7", "8"]),
        store,
        [day(1)],
    )

    assert (as_text.color.to_list(), as_number.color.to_list()) == (["7", "8"], [7.0, 8.0])


def test_a_recorded_product_that_is_none_any_more_is_named_with_its_rule(tmp_path):
    recorded = shop().model_dump(mode="json")
    recorded["features"]["numeric"] = ["day"]
    Store(tmp_path).write_document("training_set", day(1), {"product": recorded})

    with pytest.raises(ModelError, match=r"the product as of 2024-01-01 is none .* day: the loop has a column"):
        recorded_recipe(Store(tmp_path), {"as_of": str(day(1))})


def test_a_recipe_that_cannot_be_fed_does_not_answer(tmp_path):
    store = Store(tmp_path)
    store.write("raw_events", day(1), orders(1, ["a", "b"], amount=[None, None]))

    with pytest.raises(ModelError, match="amount: no value in the raw deliveries"):
        with_features_of(shop(), orders(1, ["a", "b"]).drop(columns="amount"), store, [day(1)])
