import numpy as np
import pandas as pd
import pytest

from evergreen.scoring import Scored, heuristic, keep_answers, predictions, score_by_ladder, try_model
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
    scored = score_by_ladder(rows, SERVING, predictor(how, broken), shop())
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
    ],
    ids=[
        "before the first decision: the declared prior",
        "no model: the base rate",
        "an empty rung",
        "a yardstick never serves",
    ],
)
def test_a_rung_without_a_model_is_no_failure(rows, serving, rung, score):
    scored = score_by_ladder(rows, serving, predictor("raises", []), shop())
    assert (scored.served_by, scored.scores.tolist(), scored.failures) == (rung, [score, score], [])


def test_the_heuristic_never_depends_on_the_rows(rows):
    assert heuristic({}, shop({"heuristic": {"before_training": 0.9}})) == 0.9
    assert score_by_ladder(rows.iloc[:0], {}, predictor("raises", []), shop()).scores.tolist() == []


@pytest.mark.parametrize("how", ANSWERS)
def test_a_yardstick_gives_sound_scores_or_says_what_is_wrong(rows, how):
    assert try_model(None, rows, predictor(how, []), shop()) == (None, None)
    scores, failure = try_model({"version": 3}, rows, predictor(how, []), shop())
    assert (scores.tolist(), failure) == ([0.3, 0.3], None)
    assert try_model({"version": 3}, rows, predictor(how, [3]), shop()) == (None, ANSWERS[how][0])


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
        "score_baseline": 0.5,
        "score_first": None,
    }
    assert table.action.tolist() == [True, False]
    assert table.score_first.isna().all()


def test_what_nobody_served_has_version_0_and_no_head_and_types_do_not_depend_on_rows(rows):
    product = shop()
    nobody = predictions(rows, Scored(np.array([0.5, 0.5]), "heuristic", None), {"first": None}, product, None)
    empty = predictions(rows.iloc[:0], Scored(np.array([]), "champion", {"version": 3}), {"first": None}, product, "a")
    assert (nobody.version.tolist(), nobody.ledger_head.tolist()) == ([0, 0], ["", ""])
    assert empty.empty
    pd.testing.assert_series_equal(empty.dtypes, nobody.dtypes)


def test_a_day_that_is_done_again_keeps_its_answers():
    answered = pd.DataFrame({"id": ["a", "b"], "score": [0.1, 0.2]})
    made = pd.DataFrame({"id": ["c", "b"], "score": [0.3, 0.9]})
    assert keep_answers(made, answered).to_dict("list") == {"id": ["c", "b"], "score": [0.3, 0.2]}
    assert keep_answers(made.iloc[:0], answered).empty
