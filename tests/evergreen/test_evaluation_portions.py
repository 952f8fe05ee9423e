import numpy as np
import pandas as pd
import pytest

from evergreen.as_of import AsOf
from evergreen.errors import OverlapError
from evergreen.evaluation_portions import ask_about_cases, measure_golden, measure_portions, measure_slices
from evergreen.evaluation_sets import evaluation_manifest, read_cases
from evergreen.storage import Store
from tests.evergreen.builders import day, live_days, serve, shop

GOLDEN = pd.DataFrame(
    {
        "order_id": ["a", "b", "c", "d"],
        "day": [pd.Timestamp(day(number)) for number in (1, 1, 2, 2)],
        "label": [1.0, 0.0, 1.0, 0.0],
        "color": ["red", "red", "blue", "blue"],
    }
)
GOOD, POOR = np.array([0.9, 0.1, 0.8, 0.2]), np.array([0.5, 0.5, 0.5, 0.5])


def test_every_scorer_is_measured_on_golden_days_with_an_interval():
    said = measure_golden(GOLDEN, {"candidate": GOOD, "champion": POOR}, shop())
    assert (said["days"], said["rows"]) == (2, 4)
    assert said["summary"]["candidate"]["roc_auc"] == 1.0
    means = -np.log([0.9, 0.8])
    assert said["log_loss"]["candidate"]["mean"] == pytest.approx(means.mean())
    assert said["log_loss"]["candidate"]["low"] < means.min()
    assert said["difference"]["mean"] == pytest.approx(means.mean() + np.log(0.5))


def test_without_a_champion_or_golden_rows_nothing_is_invented():
    assert measure_golden(GOLDEN, {"candidate": GOOD}, shop())["difference"] is None
    assert measure_golden(GOLDEN.head(2), {"candidate": GOOD[:2]}, shop())["log_loss"] == {"candidate": None}
    assert measure_golden(GOLDEN.head(0), {}, shop()) is None


@pytest.mark.parametrize(
    ("scores", "earlier", "right", "fixed", "regressed"),
    [
        ([0.05, 0.9, 0.05, 0.9], [], [], 0, []),
        ([0.9, 0.1, 0.05, 0.9], [], ["a", "b"], 2, []),
        ([0.9, 0.9, 0.05, 0.1], ["a", "b"], ["a", "d"], 1, ["b"]),
        ([0.9, 0.1, 0.9, 0.1], ["a", "b", "z"], ["a", "b", "c", "d"], 2, []),
    ],
    ids=["all wrong still", "two for the first time", "one is wrong again", "all right"],
)
def test_a_case_is_fixed_once_a_version_decides_right_and_regresses_when_a_later_one_does_not(
    scores, earlier, right, fixed, regressed
):
    said = ask_about_cases(GOLDEN, np.array(scores), earlier, shop())
    assert said == {"asked": 4, "right": right, "fixed": fixed, "regressed": regressed}


@pytest.mark.parametrize(("least", "rows", "measured"), [(3, [4, 2], [True, False]), (5, [4, 2], [False, False])])
def test_a_slice_with_too_few_rows_has_no_number(least, rows, measured):
    portion = {
        "slices": [
            {"slice": "color=red", "added": 2, "days": [str(day(1))]},
            {"slice": "color=blue", "added": 0, "days": []},
        ]
    }
    scored, product = GOLDEN.assign(score=GOOD), shop({"evaluation": {"slice_rows_at_least": least}})
    lines = measure_slices(portion, scored, scored, product)
    assert [line["rows"] for line in lines] == rows
    assert [line["log_loss"] is not None for line in lines] == measured
    if measured[0]:
        assert lines[0]["log_loss"] == pytest.approx(-np.log(0.9))


@pytest.fixture(scope="module")
def judged(tmp_path_factory):
    """A view of eight days with two golden ones and failure cases, and the version as of its day."""
    store = Store(tmp_path_factory.mktemp("judged") / "shop")
    product = shop({"evaluation": {"golden": "2d", "failures": {"log_loss_over": 2.0, "at_most": 5}}})
    live_days(store, product, 8, rows=4)
    for number in range(1, 9):
        serve(store, product, number, {f"{number}-0": 0.01, f"{number}-1": 0.01})
    view = AsOf(store, product, day(8))
    reservation = {"key": "shop/golden", "as_of": str(day(6)), "days": [str(day(1)), str(day(2))]}
    return view, evaluation_manifest(view, [reservation])["portions"]


def measured(view, portions, trained):
    fresh = view.mature(day(7)).rows
    halves = {"candidate": np.full(len(fresh), 0.5)}

    def ask(rows):
        return np.full(len(rows), 0.5)

    def score(rows):
        assert rows.day.max() <= pd.Timestamp(day(2)), "about cases nobody but the candidate is asked"
        return {"candidate": ask(rows)}

    return measure_portions(view, portions, score, ask, trained, fresh, halves)


def test_portions_are_measured_and_told_in_words(judged):
    said = measured(*judged, {"candidate": pd.Series(["none"])})
    assert said["golden"]["rows"] == 8
    assert said["failures"]["asked"] == judged[1]["failures"]["rows"] > 0
    assert [sentence.split(":")[0] for sentence in said["portions"]] == [
        "Golden days (2, 8 rows), log-loss",
        "Failure cases",
        "Slices",
    ]


def test_a_model_that_is_asked_and_was_trained_on_the_row_is_a_hard_failure(judged):
    view, portions = judged
    case = read_cases(view, portions["failures"]).order_id.iloc[0]
    for name, identity in (("candidate", "1-0"), ("champion", "2-3"), ("candidate", case)):
        with pytest.raises(OverlapError, match=f"trained on by the {name}, for example {identity}"):
            measured(view, portions, {"candidate": pd.Series(["none"]), name: pd.Series([identity])})


def test_another_version_may_have_been_trained_on_a_case_and_is_not_asked(judged):
    view, portions = judged
    case = read_cases(view, portions["failures"]).order_id.iloc[0]
    trained = {"candidate": pd.Series(["none"]), "champion": pd.Series([case])}
    assert measured(view, portions, trained)["failures"]["asked"] > 0
