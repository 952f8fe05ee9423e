import threading

import numpy as np
import pandas as pd
import pytest

from evergreen.heuristics import answer_by_rules
from evergreen.scoring import Scored, ask_models, keep_answers, predictions, score_by_ladder, try_model
from tests.evergreen.builders import at, batch, shop

SERVING = {
    "champion": {"version": 3},
    "previous": {"version": 2},
    "baseline": {"version": 1},
    "first": {"version": 9},
    "base_rate": 0.4,
}
ANSWERS = {
    "raises": ("OSError: gone", lambda rows: (_ for _ in ()).throw(OSError("gone"))),
    "NaN": ("ModelError: the model answered 2 scores that are not finite", lambda rows: np.full(len(rows), np.nan)),
    "shape": ("ModelError: the model answered with shape (1,) for 2 rows", lambda rows: np.array([0.5])),
    "range": ("ModelError: the model answered probabilities outside 0 to 1", lambda rows: np.full(len(rows), 1.5)),
}


@pytest.fixture(scope="module")
def rows():
    return batch(shop(), 1, ["a", "b"])


def predictor(how, broken):
    """Models that answer a tenth of their version, except for the broken ones."""

    def predict(record, rows):
        if record["version"] in broken:
            return ANSWERS[how][1](rows)
        return np.full(len(rows), record["version"] / 10)

    return predict


def climb(rows, serving, predict, product):
    return score_by_ladder(rows, serving, ask_models(rows, serving, predict, product), product)


@pytest.mark.parametrize("how", ANSWERS)
@pytest.mark.parametrize(
    ("broken", "rung", "score"),
    [
        ([], "champion", 0.3),
        ([3], "previous", 0.2),
        ([3, 2], "baseline", 0.1),
        ([3, 2, 1], "heuristic", 0.4),
        ([2, 1], "champion", 0.3),
    ],
)
def test_the_first_rung_with_sound_scores_answers_and_every_failure_is_told(rows, how, broken, rung, score):
    scored = climb(rows, SERVING, predictor(how, broken), shop())
    assert (scored.served_by, scored.scores.tolist()) == (rung, [score, score])
    assert scored.record == (None if rung == "heuristic" else SERVING[rung])
    tried = [] if rung == "champion" else [f"version {version}" for version in broken]
    assert [failure.split("(")[1].split(")")[0] for failure in scored.failures] == tried
    assert all(failure.endswith(ANSWERS[how][0]) for failure in scored.failures)


@pytest.mark.parametrize(
    ("serving", "rung", "score"),
    [
        ({}, "heuristic", 0.25),
        ({"champion": None, "previous": None, "baseline": None, "first": None, "base_rate": 0.4}, "heuristic", 0.4),
        ({"champion": None, "baseline": {"version": 1}, "base_rate": 0.4}, "baseline", 0.1),
        ({"first": {"version": 9}}, "heuristic", 0.25),
        (
            {"baseline": {"version": 1, "against_prior": {"verdict": "fail", "sentence": ""}}, "base_rate": 0.4},
            "heuristic",
            0.4,
        ),
    ],
    ids=[
        "before the first decision: the declared prior",
        "no model: the base rate",
        "an empty rung",
        "a yardstick never serves",
        "nor does a baseline that is not under the prior",
    ],
)
def test_a_rung_without_a_model_is_no_failure(rows, serving, rung, score):
    scored = climb(rows, serving, predictor("raises", []), shop())
    assert (scored.served_by, scored.scores.tolist(), scored.failures) == (rung, [score, score], [])


def test_no_rows_are_answered_too(rows):
    assert climb(rows.iloc[:0], {}, predictor("raises", []), shop()).scores.tolist() == []


def test_a_period_without_rows_is_no_failure_of_the_model_that_serves(rows):
    """scikit-learn's models refuse a table of no rows; XGBoost's do not."""
    scored = climb(rows.iloc[:0], SERVING, predictor("raises", [1, 2, 3]), shop())
    assert (scored.served_by, scored.scores.shape, scored.failures) == ("champion", (0,), [])


@pytest.mark.parametrize("how", ANSWERS)
def test_a_model_gives_sound_scores_or_says_what_is_wrong(rows, how):
    scores, failure = try_model({"version": 3}, rows, predictor(how, []), shop())
    assert (scores.tolist(), failure) == ([0.3, 0.3], None)
    assert try_model({"version": 3}, rows, predictor(how, [3]), shop()) == (None, ANSWERS[how][0])


def test_a_model_that_hangs_is_waited_for_once_and_the_next_rung_answers(rows):
    """The champion is the first champion too: it is asked once."""
    let_go, asked = threading.Event(), []

    def predict(record, rows):
        asked.append(record["version"])
        if record["version"] == 3:
            let_go.wait()
        return np.full(len(rows), 0.2)

    product = shop({"service_levels": {"scoring_limit": "50ms"}})
    scored = climb(rows, SERVING | {"first": {"version": 3}}, predict, product)
    let_go.set()
    assert (scored.served_by, sorted(asked)) == ("previous", [1, 2, 3])
    assert scored.failures == [
        "champion (version 3): ModelError: no answer within 0.05 s (service_levels.scoring_limit)"
    ]


RULES = [
    {"when": "color == 'red' and amount > 5", "then": {"probability": 0.9}},
    {"when": "amount > 1", "then": {"probability": 0.1}},
]


def test_the_first_rule_that_matches_answers_and_the_base_rate_answers_the_rest():
    """A missing value matches nothing; the digest in a rule's name is that of all rules."""
    product = shop({"heuristic": {"rules": RULES}})
    orders = batch(product, 1, list("abcd"), amount=[9.0, 9.0, 0.5, np.nan], color=["red", "blue", "red", "red"])
    said = answer_by_rules(orders, 0.4, product)
    version = product.heuristic.digest[:8]
    assert said.scores.tolist() == [0.9, 0.1, 0.4, 0.4]
    assert said.rules == [
        f"{version}: color == 'red' and amount > 5",
        f"{version}: amount > 1",
        f"{version}: base rate",
        f"{version}: base rate",
    ]
    assert version != shop({"heuristic": {"rules": RULES[::-1]}}).heuristic.digest[:8]
    assert answer_by_rules(orders, None, shop()).rules[0].endswith(": before training")
    assert answer_by_rules(orders, None, shop()).scores.tolist() == [0.25] * 4


def test_a_rule_that_cannot_be_computed_matches_nothing_and_is_told():
    product = shop({"heuristic": {"rules": [{"when": "color > 4", "then": {"probability": 1}}, RULES[1]]}})
    scored = climb(batch(product, 1, ["a"], amount=2.0), {}, predictor("raises", []), product)
    assert scored.scores.tolist() == [0.1]
    assert scored.failures[0].startswith("heuristic: heuristic.rules: 'color > 4' cannot be computed on the batch")


def test_the_table_of_predictions(rows):
    """The action is taken from the threshold on, .2 for the shop's costs; a yardstick that could not score is missing."""
    scored = Scored(np.array([0.2, 0.1999]), "champion", {"version": 3})
    table = predictions(rows, scored, {"baseline": np.array([0.5, 0.6]), "first": None}, shop(), "abc")
    assert table.to_dict("records")[0] | {"score_first": None} == {
        "id": "a",
        "event_time": at(1),
        "predict_at": at(1, "10:00"),
        "score": 0.2,
        "action": True,
        "served_by": "champion",
        "version": 3,
        "threshold": 0.2,
        "ledger_head": "abc",
        "rule": "",
        "score_baseline": 0.5,
        "score_first": None,
    }
    assert table.action.tolist() == [True, False]
    own = Scored(scored.scores, "champion", {"version": 3, "threshold": 0.1})
    later = predictions(rows, own, {}, shop(), "abc")
    assert (later.threshold.tolist(), later.action.tolist()) == ([0.1, 0.1], [True, True]), "the version's own"
    assert table.score_first.isna().all()


def test_what_nobody_served_has_version_0_and_no_head_and_types_do_not_depend_on_rows(rows):
    product = shop()
    nobody = predictions(
        rows, Scored(np.array([0.5, 0.5]), "heuristic", None, [], ["x: base rate"] * 2), {"first": None}, product, None
    )
    empty = predictions(rows.iloc[:0], Scored(np.array([]), "champion", {"version": 3}), {"first": None}, product, "a")
    assert (nobody.version.tolist(), nobody.ledger_head.tolist()) == ([0, 0], ["", ""])
    assert empty.empty
    pd.testing.assert_series_equal(empty.dtypes, nobody.dtypes)


def test_a_day_that_is_done_again_keeps_its_answers():
    answered = pd.DataFrame({"id": ["a", "b"], "score": [0.1, 0.2]})
    made = pd.DataFrame({"id": ["c", "b"], "score": [0.3, 0.9]})
    assert keep_answers(made, answered).to_dict("list") == {"id": ["c", "b"], "score": [0.3, 0.2]}
    assert keep_answers(made.iloc[:0], answered).empty
