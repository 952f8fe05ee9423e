import pytest

from evergreen.as_of import AsOf
from evergreen.failure_cases import cases, confident_errors
from evergreen.storage import Store
from tests.evergreen.builders import at, day, live_a_day, orders, returns, serve, shop


def policy(at_most=10):
    return shop({"evaluation": {"failures": {"log_loss_over": 2.0, "at_most": at_most}}})


@pytest.fixture
def store(tmp_path):
    """Orders of days 1 and 2, told the day after: a, b, e, f came back. a, b, c, e were answered with confidence and wrongly; b and e
    look alike; g has no label."""
    made, product = Store(tmp_path / "shop"), shop()
    first = orders(1, ["a", "b", "c", "d"], amount=[1.0, 2.0, 3.0, 4.0])
    second = orders(2, ["e", "f", "g"], amount=[2.0, 5.0, 6.0])
    live_a_day(made, product, 1, first)
    live_a_day(made, product, 2, second, returns({"a": True, "b": True, "c": False, "d": False}, at(2)))
    live_a_day(made, product, 3, orders(3, ["h"], amount=9.0), returns({"e": True, "f": True, "h": True}, at(3)))
    live_a_day(made, product, 4, orders(4, ["i"]))
    serve(made, product, 1, {"a": 0.05, "b": 0.1, "c": 0.96, "d": 0.1})
    serve(made, product, 2, {"e": 0.08, "f": 0.15, "g": 0.01}, version=2)
    serve(made, product, 3, {"h": 0.01})
    return made


def errors(store, product, number):
    view = AsOf(store, product, day(number))
    return confident_errors(view, view.mature(day(1)))


def test_confident_errors_are_the_newest_first_and_one_stands_for_its_feature_row(store):
    found = errors(store, policy(), 3)
    assert found[["id", "standing", "version"]].to_numpy().tolist() == [
        ["e", "case", 2],
        ["c", "case", 1],
        ["a", "case", 1],
        ["b", "duplicate", 1],
    ]
    assert found.log_loss.round(3).tolist() == [2.526, 3.219, 2.996, 2.303]


def test_the_cap_releases_the_oldest(store):
    found = errors(store, policy(at_most=2), 3)
    assert found.standing.tolist() == ["case", "case", "over the cap", "duplicate"]
    assert cases(found).id.tolist() == ["e", "c"]


@pytest.mark.parametrize(
    ("number", "known"), [(1, []), (2, ["c", "a", "b"]), (3, ["e", "c", "a"]), (4, ["h", "e", "c", "a"])]
)
def test_a_case_is_known_from_the_day_when_its_label_is_due_and_there(store, number, known):
    assert cases(errors(store, policy(), number)).id.tolist() == known


def test_a_corrected_label_makes_a_case_or_ends_one(store):
    told = returns({"a": False, "d": True}, at(4))
    live_a_day(store, shop(), 4, orders(4, ["i"]), told)
    assert cases(errors(store, policy(), 4)).id.tolist() == ["h", "e", "c", "d"]
    assert cases(errors(store, policy(), 3)).id.tolist() == ["e", "c", "a"], (
        "as of the day before, nothing was corrected"
    )


def test_the_heuristic_makes_no_case(store):
    serve(store, shop(), 1, {"a": 0.05}, by="heuristic")
    assert cases(errors(store, policy(), 2)).empty


def test_a_right_decision_is_no_case_however_far_the_score(store):
    """Under a threshold of 1/6 for dear misses, 0.15 misses; where misses cost ten times as much, it acts."""
    dear = {"costs": {"true_positive": 2, "false_positive": 2, "false_negative": 100, "true_negative": 0}}
    product = shop({"decision": dear, "evaluation": {"failures": {"log_loss_over": 2.0, "at_most": 10}}})
    assert cases(errors(store, product, 3)).id.tolist() == ["c"]


def test_without_a_policy_there_are_no_cases_and_predictions_are_not_even_read(store):
    store.path("predictions", day(1)).unlink()
    found = errors(store, shop({"evaluation": {"failures": None}}), 3)
    assert found.empty
    assert "standing" in found.columns
