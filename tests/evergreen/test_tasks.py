from math import log

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from evergreen.config import ClassCosts, Costs, Product, UnitCosts
from evergreen.errors import ConfigError, ModelError
from evergreen.product_files import overlay, parse
from evergreen.tasks import Binary, Multiclass, Regression, task_of
from tests.evergreen.builders import SHOP, shop

COSTS = Costs(true_positive=2, false_positive=2, false_negative=10, true_negative=0)


@pytest.mark.parametrize(
    ("costs", "threshold"),
    [
        ((2, 2, 10, 0), 0.2),
        ((0, 1, 1, 0), 0.5),
        ((-5, 1, 0, -1), 2 / 7),
    ],
)
def test_the_threshold_is_where_acting_and_not_acting_cost_the_same(costs, threshold):
    true_positive, false_positive, false_negative, true_negative = costs
    task = Binary(
        Costs(
            true_positive=true_positive,
            false_positive=false_positive,
            false_negative=false_negative,
            true_negative=true_negative,
        )
    )
    assert task.threshold() == pytest.approx(threshold)
    acting = threshold * true_positive + (1 - threshold) * false_positive
    assert acting == pytest.approx(threshold * false_negative + (1 - threshold) * true_negative)


def test_a_product_declares_its_task():
    assert task_of(shop()) == Binary(COSTS)


@pytest.mark.parametrize("scores", [[0.0, 1.0], [0.5, 0.5]])
def test_probabilities_one_a_row_are_sound(scores):
    Binary(COSTS).check(np.array(scores), 2)


@pytest.mark.parametrize(
    ("scores", "message"),
    [
        ([0.5, np.nan], "the model answered 1 scores that are not finite"),
        ([np.inf, -np.inf], "the model answered 2 scores that are not finite"),
        ([0.5], r"the model answered with shape \(1,\) for 2 rows"),
        ([[0.5, 0.5], [0.5, 0.5]], r"the model answered with shape \(2, 2\) for 2 rows"),
        ([0.5, 1.0001], "the model answered probabilities outside 0 to 1"),
        ([-0.0001, 0.5], "the model answered probabilities outside 0 to 1"),
    ],
)
def test_anything_else_is_refused(scores, message):
    with pytest.raises(ModelError, match=message):
        Binary(COSTS).check(np.array(scores), 2)


def test_each_row_is_measured():
    """The threshold .2 itself acts: caught 2, wasted 2, missed 10, left alone 0."""
    measured = Binary(COSTS).measure_rows(np.array([1.0, 0.0, 1.0, 0.0]), np.array([0.8, 0.2, 0.1, 0.1]))
    assert measured.log_loss.tolist() == pytest.approx([-log(0.8), -log(0.8), -log(0.1), -log(0.9)])
    assert measured.expected_cost.tolist() == [2.0, 2.0, 10.0, 0.0]
    assert measured.squared_error.tolist() == pytest.approx([0.04, 0.04, 0.81, 0.01])
    assert measured.label.tolist() == [1.0, 0.0, 1.0, 0.0]
    assert measured.score.tolist() == [0.8, 0.2, 0.1, 0.1]


def test_a_certain_error_costs_much_and_not_infinitely_much():
    assert Binary(COSTS).measure_rows(np.array([1.0]), np.array([0.0])).log_loss[0] == pytest.approx(-log(1e-7))


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ([0, 1], [0.1, 0.9], 1.0),
        ([0, 1], [0.9, 0.1], 0.0),
        ([0, 1, 0, 1], [0.1, 0.2, 0.3, 0.4], 0.75),
        ([0, 1], [0.5, 0.5], 0.5),
        ([1, 1], [0.1, 0.9], None),
        ([0, 0], [0.1, 0.9], None),
        ([], [], None),
    ],
)
def test_the_ranking_is_not_defined_without_both_classes(labels, scores, expected):
    assert Binary(COSTS).ranking(np.array(labels, dtype=float), np.array(scores)) == expected


@pytest.mark.parametrize(("base_rate", "costs"), [(0.0, (2, 0)), (0.25, (2, 2.5)), (1.0, (2, 10))])
def test_one_answer_for_every_row_has_a_cost(base_rate, costs):
    """The shop: acting costs 2, a missed return 10."""
    assert task_of(shop()).constant_costs(base_rate) == costs


def test_the_cost_curve_goes_from_acting_on_all_to_acting_on_none():
    curve = (
        Binary(COSTS).cost_curve(np.array([1.0, 0.0, 0.0, 0.0]), np.array([0.5, 0.4, 0.1, 0.1])).set_index("threshold")
    )
    costs = curve.expected_cost
    assert (costs.iloc[0], costs.iloc[-1]) == (2.0, 2.5)
    assert costs.loc[0.2] == pytest.approx((2 + 2) / 4)
    assert costs.min() == pytest.approx(2 / 4), "between .4 and .5 the one positive alone is acted on"


KINDS = ("early", "late", "lost")
LOST_IS_DEAR = Multiclass(ClassCosts(matrix={"lost": {"early": 10, "late": 4}}), KINDS)
OVER_CHEAP = Regression(UnitCosts(over=1, under=3), spread=2.0)


def test_the_class_of_least_expected_cost_is_decided_for_and_not_the_likeliest():
    """Early costs .2 * 1 + .2 * 10, late .6 * 1 + .2 * 4, lost .6 * 1 + .2 * 1."""
    scores = np.array([[0.6, 0.2, 0.2], [0.98, 0.01, 0.01], [0.1, 0.9, 0.0]])
    assert (scores[:1] @ LOST_IS_DEAR.matrix).tolist() == [pytest.approx([2.2, 1.4, 0.8])]
    assert LOST_IS_DEAR.decide(scores, None).tolist() == ["lost", "early", "late"]
    assert Multiclass(ClassCosts(), KINDS).decide(scores, None).tolist() == ["early", "early", "late"]


def test_each_row_of_several_classes_is_measured():
    """Both decide for lost, .2 and .8 sure of it: the first was early, a right decision would have cost nothing."""
    scores = np.array([[0.6, 0.2, 0.2], [0.1, 0.1, 0.8]])
    measured = LOST_IS_DEAR.measure_rows(np.array([0.0, 2.0]), scores)
    assert measured.log_loss.tolist() == pytest.approx([-log(0.6), -log(0.8)])
    assert measured.expected_cost.tolist() == [1.0, 0.0]
    assert measured.squared_error.tolist() == pytest.approx([0.16 + 0.04 + 0.04, 0.01 + 0.01 + 0.04])
    assert (measured.label.tolist(), measured.score.tolist()) == ([0.0, 1.0], [0.2, 0.8])
    assert LOST_IS_DEAR.decides_right(np.array([0.0, 2.0]), scores).tolist() == [False, True]
    assert LOST_IS_DEAR.natural(np.array([0.0, 2.0]), scores) == {"accuracy": 0.5}


def test_each_number_is_measured_in_spreads_and_in_cost():
    """Two too much cost 2, two too little 6; both are one spread off."""
    labels, scores = np.array([10.0, 10.0, 10.0]), np.array([12.0, 8.0, 16.0])
    measured = OVER_CHEAP.measure_rows(labels, scores)
    assert measured.log_loss.tolist() == [0.5, 0.5, 4.5]
    assert measured.expected_cost.tolist() == [2.0, 6.0, 6.0]
    assert measured.squared_error.tolist() == [4.0, 4.0, 36.0]
    assert OVER_CHEAP.decides_right(labels, scores).tolist() == [True, True, False]
    assert OVER_CHEAP.natural(labels, scores) == {"mae": pytest.approx(10 / 3), "rmse": pytest.approx((44 / 3) ** 0.5)}


@pytest.mark.parametrize(
    ("labels", "scores", "expected"),
    [
        ([1, 2, 3], [10, 20, 30], 1.0),
        ([1, 2, 3], [30, 20, 10], 0.0),
        ([1, 2, 3], [5, 5, 5], 0.5),
        ([1, 2, 3, 4], [1, 3, 2, 4], 5 / 6),
        ([1, 1, 2], [1, 2, 2], 0.75),
        ([1, 1], [1, 2], None),
        ([], [], None),
    ],
)
def test_concordance_is_the_share_of_pairs_in_the_right_order(labels, scores, expected):
    """Of the pairs with different labels; a tie of scores counts half: in the fifth line one of two pairs is right, one is tied."""
    assert OVER_CHEAP.ranking(np.array(labels, dtype=float), np.array(scores, dtype=float)) == pytest.approx(expected)


def test_the_ranking_of_classes_is_the_mean_over_pairs():
    """As scikit-learn computes it one against one (Hand & Till); a class that is missing leaves its pairs out."""
    labels, scores = np.arange(30.0) % 3, np.random.default_rng(7).dirichlet([1, 1, 1], 30)
    assert LOST_IS_DEAR.ranking(labels, scores) == pytest.approx(roc_auc_score(labels, scores, multi_class="ovo"))
    assert LOST_IS_DEAR.ranking(np.array([0.0, 1.0]), np.array([[0.8, 0.1, 0.1], [0.2, 0.7, 0.1]])) == 1.0
    assert LOST_IS_DEAR.ranking(np.array([1.0, 1.0]), scores[:2]) is None


@pytest.mark.parametrize(
    ("task", "scores", "message"),
    [
        (LOST_IS_DEAR, [[0.5, 0.5]], r"the model answered with shape \(1, 2\) for 1 rows"),
        (LOST_IS_DEAR, [[0.5, 0.4, 0.3]], "do not add up to 1"),
        (LOST_IS_DEAR, [[1.5, -0.5, 0.0]], "the model answered probabilities outside 0 to 1"),
        (OVER_CHEAP, [np.inf], "the model answered 1 scores that are not finite"),
        (OVER_CHEAP, [[1.0]], r"the model answered with shape \(1, 1\) for 1 rows"),
    ],
)
def test_unsound_scores_of_other_tasks_are_refused(task, scores, message):
    with pytest.raises(ModelError, match=message):
        task.check(np.array(scores), 1)
    LOST_IS_DEAR.check(np.array([[0.5, 0.5, 0.0]]), 1)
    OVER_CHEAP.check(np.array([-3.0]), 1)


@pytest.mark.parametrize("task", [Binary(COSTS), LOST_IS_DEAR, OVER_CHEAP])
def test_scores_come_back_from_a_table_as_they_went_in(task):
    prior = task.prior(pd.Series([0.0, 1.0, 1.0, 0.0]))
    scores = task.constant(prior, 2)
    task.check(scores, 2)
    table = task.to_table(scores, pd.RangeIndex(2), "score_baseline")
    assert np.array_equal(task.from_table(table, "score_baseline"), scores)
    assert task.to_table(None, pd.RangeIndex(2)).isna().all(axis=None)
    assert task.to_table(scores[:0], pd.RangeIndex(0)).columns.tolist() == task.columns()


def test_what_is_no_class_and_no_number_is_no_label():
    assert LOST_IS_DEAR.to_labels(pd.Series(["lost", "early", "found", None])).fillna(-1).tolist() == [2, 0, -1, -1]
    assert OVER_CHEAP.to_labels(pd.Series(["1.5", "much", None])).fillna(-1).tolist() == [1.5, -1, -1]


CLASSES = {
    "task": "multiclass",
    "label": {"when": None, "value": "status", "classes": ["early", "late", "lost"]},
    "heuristic": {"before_training": {"early": 0.5, "late": 0.3, "lost": 0.2}},
}
NUMBERS = {"task": "regression", "label": {"when": None, "value": "amount_back", "spread": 2.0}}


def shop_of(changes, costs):
    return parse(Product, overlay(SHOP, changes) | {"decision": SHOP["decision"] | {"costs": costs}}, "shop")


def test_a_product_of_each_task_is_read():
    kinds = shop_of(CLASSES, {"matrix": {"lost": {"early": 10, "late": 4}}})
    assert (task_of(kinds), kinds.baseline.kind, kinds.target) == (LOST_IS_DEAR, "logistic", ("multiclass", 3))
    numbers = shop_of({**NUMBERS, "training": {"model": {"kind": "linear"}}}, {"over": 1, "under": 3})
    assert (task_of(numbers), numbers.baseline.kind, numbers.target) == (OVER_CHEAP, "linear", ("regression", 0))
    assert len({product.recipe for product in (shop(), kinds, numbers)}) == 3


@pytest.mark.parametrize(
    ("changes", "costs", "message"),
    [
        (CLASSES, SHOP["decision"]["costs"], "decision.costs: task multiclass needs {wrong: 1}"),
        (CLASSES, {"matrix": {"found": {"lost": 1}}}, "decision.costs.matrix: not among label.classes: found"),
        (overlay(CLASSES, {"label": {"classes": ["early", "late"]}}), {"wrong": 1}, "2 classes are a binary task"),
        (overlay(CLASSES, {"label": {"classes": [*KINDS, "late"]}}), {"wrong": 1}, "a class is named twice"),
        (overlay(CLASSES, {"heuristic": {"before_training": 0.5}}), {"wrong": 1}, "the share of each class is needed"),
        (overlay(CLASSES, {"heuristic": {"rules": [{"when": "amount > 1", "then": {"class": "found"}}]}}), {"wrong": 1},
         "'found' is not among label.classes"),
        (overlay(CLASSES, {"training": {"model": {"kind": "linear"}}}), {"wrong": 1}, "kind linear predicts a number"),
        (NUMBERS, {"over": 1, "under": 3}, "kind logistic predicts classes, task regression needs a number"),
        (NUMBERS, {"over": 1, "ander": 3}, "decision.costs.ander: unknown key; did you mean under? (known here: over, under)"),
        (overlay(NUMBERS, {"label": {"spread": None}}), {"over": 1, "under": 3}, "task regression needs value"),
        (overlay(NUMBERS, {"label": {"when": "returned"}}), {"over": 1, "under": 3}, "give exactly one of when"),
        (overlay(NUMBERS, {"training": {"model": {"kind": "seasonal_naive", "keys": ["weekday"]}}}), {"over": 1, "under": 3},
         "training.model.keys: these are no features: weekday"),
        ({"heuristic": {"rules": [{"when": "amount > 1", "then": {"value": 3}}]}}, SHOP["decision"]["costs"],
         "task binary answers {probability: ...}"),
    ],
)  # fmt: skip
def test_parts_of_another_task_are_refused(changes, costs, message):
    with pytest.raises(ConfigError) as refused:
        shop_of(changes, costs)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("before", "today", "labels", "scores", "done", "would"),
    [
        (
            Binary(COSTS),
            Binary(COSTS.model_copy(update={"false_negative": 3.0})),
            [1, 1, 0],
            [0.1, 0.3, 0.6],
            [3, 2, 2],
            [3, 3, 0],
        ),
        (
            Multiclass(ClassCosts(), ("a", "b", "c")),
            Multiclass(ClassCosts(matrix={"a": {"b": 90.0}, "b": {"c": 90.0}}), ("a", "b", "c")),
            [0, 1, 0],
            [[0.4, 0.5, 0.1], [0.2, 0.3, 0.5], [0.6, 0.3, 0.1]],
            [90, 90, 0],
            [0, 1, 0],
        ),
        (Regression(UnitCosts(over=1, under=1), 1.0), Regression(UnitCosts(over=9, under=1), 1.0), [0, 3], [1, 2], [9, 1], [9, 1]),
    ],
)  # fmt: skip
def test_what_was_decided_costs_todays_prices_and_nothing_else_of_a_row_changes(
    before, today, labels, scores, done, would
):
    labels, scores = np.array(labels, dtype=float), np.array(scores, dtype=float)
    decided = today.measure_rows(labels, scores, before.decide(scores, None))
    anew = today.measure_rows(labels, scores)
    assert (decided.expected_cost.tolist(), anew.expected_cost.tolist()) == (done, would)
    assert decided[["log_loss", "squared_error"]].equals(anew[["log_loss", "squared_error"]])


def test_what_classes_were_decided_right_is_told_of_what_was_decided():
    task, labels, scores = (
        Multiclass(ClassCosts(), ("a", "b")),
        np.array([0.0, 1.0]),
        np.array([[0.7, 0.3], [0.7, 0.3]]),
    )
    decided = task.measure_rows(labels, scores, pd.Series(["b", "b"]))
    assert decided[["label", "score"]].to_numpy().tolist() == [[0.0, 0.3], [1.0, 0.3]]


def test_classes_may_be_numbers_in_yaml():
    changes = overlay(
        CLASSES,
        {"label": {"classes": [1, 2, 3]}, "heuristic": {"rules": [{"when": "amount > 1", "then": {"class": 3}}]}},
    )
    shares = {"heuristic": {**changes["heuristic"], "before_training": {1: 0.5, 2: 0.25, 3: 0.25}}}
    product = shop_of(changes | shares, {"matrix": {1: {2: 5}}})
    assert task_of(product) == Multiclass(ClassCosts(matrix={"1": {"2": 5}}), ("1", "2", "3"))
    assert task_of(product).to_labels(pd.Series([3, 1, None])).fillna(-1).tolist() == [2, 0, -1]
    assert parse(Product, product.model_dump(mode="json"), "again") == product
