"""What predictions may be worth before labels come: calibrated chances, and the measures under them."""

from math import log

import numpy as np
import pytest

from evergreen.as_of import AsOf
from evergreen.config import ClassCosts, Costs, UnitCosts
from evergreen.estimated import estimate, estimate_newest
from evergreen.monitoring import live_rows, performance
from evergreen.scoring import Scored, predictions
from evergreen.storage import Store
from evergreen.tasks import Binary, Multiclass, Regression
from tests.evergreen.builders import day, live_days, shop

BINARY = Binary(Costs(true_positive=2, false_positive=2, false_negative=10, true_negative=0))
CLASSES = Multiclass(ClassCosts(), ("early", "late", "lost"))


def test_a_score_is_worth_what_scores_like_it_came_true():
    """Of four rows with .1 two came back, of two with .9 both: acting from .2 on, the first cost 10 / 2, the second 2."""
    labels, scores = np.array([0.0, 1, 0, 1, 1, 1]), np.array([0.1, 0.1, 0.1, 0.1, 0.9, 0.9])
    found = estimate(BINARY, labels, scores, np.array([0.1, 0.9]))
    assert found == {
        "expected_cost": pytest.approx((5 + 2) / 2),
        "log_loss": pytest.approx((-log(0.9) / 2 - log(0.1) / 2 - log(0.9)) / 2),
    }


def test_chances_of_classes_are_calibrated_and_add_up_to_one():
    """Early came true in one of the two rows that said .8, lost in one of the four that said .1: two thirds and one third."""
    scores = np.array([[0.8, 0.1, 0.1], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1], [0.1, 0.8, 0.1]])
    found = estimate(CLASSES, np.array([0.0, 2.0, 1.0, 1.0]), scores, scores[:1])
    assert found == {"expected_cost": pytest.approx(1 / 3), "log_loss": pytest.approx(-(2 * log(0.8) + log(0.1)) / 3)}


@pytest.mark.parametrize(
    ("task", "labels"), [(BINARY, [1.0, 1.0]), (Regression(UnitCosts(over=1, under=1), 2.0), [1.0, 0.0])]
)
def test_without_both_labels_or_without_chances_nothing_is_estimated(task, labels):
    assert estimate(task, np.array(labels), np.array([0.1, 0.9]), np.array([0.5])) is None


def test_the_newest_days_are_estimated_from_the_judged_ones_and_only_from_what_models_said(tmp_path):
    """Five days of 20 orders, judged a day later; on the second the heuristic answered."""
    store, product = Store(tmp_path), shop({"evaluation": {"slice_rows_at_least": 40}})
    live_days(store, product, 5)
    for number in range(1, 6):
        rows = store.read("batch", day(number))
        by, record = ("heuristic", None) if number == 2 else ("champion", {"version": 1})
        answers = Scored((rows.amount / 10).to_numpy(), by, record)
        nobody = {"baseline": None, "previous": None, "first": None}
        store.write("predictions", day(number), predictions(rows, answers, nobody, product, None))
    view = AsOf(store, product, day(5))
    card = performance([live_rows(view, [day(number) for number in range(1, 4)])], {}, product)
    found = estimate_newest(view, card)
    assert (found.first, found.last, found.rows, found.known) == (day(4), day(5), 40, 40)
    known = live_rows(view, [day(1), day(3)]).rows
    fresh = view.read("predictions", [day(4), day(5)])
    expected = estimate(BINARY, known.label.to_numpy(), known.score.to_numpy(), fresh.score.to_numpy())
    assert {"expected_cost": found.expected_cost, "log_loss": found.log_loss} == expected
    store.write("predictions", day(5), view.read("predictions", [day(5)]).assign(action=False))
    undone = estimate_newest(view, card)
    assert undone.log_loss == found.log_loss
    assert undone.expected_cost > found.expected_cost, "the cost is that of what was done"
    strict = AsOf(store, shop({"evaluation": {"slice_rows_at_least": 41}}), day(5))
    assert estimate_newest(strict, card) is None
    assert estimate_newest(view, card.iloc[:0]) is None
    store.write("predictions", day(3), fresh.rename(columns={"score": "score__kept"}))
    assert estimate_newest(view, card) is None, "a day that was scored for other classes"
