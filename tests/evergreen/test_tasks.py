from math import log

import numpy as np
import pytest

from evergreen.config import Costs
from evergreen.errors import ModelError
from evergreen.tasks import Binary, task_of
from tests.evergreen.builders import shop

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
