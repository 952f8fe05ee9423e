from math import log

import numpy as np
import pandas as pd
import pytest

from evergreen.errors import OverlapError
from evergreen.evaluation import (
    by_day,
    by_slice_and_day,
    calibration_curve,
    daily_ranking,
    of_slice,
    precision_recall_curve,
    refuse_overlap,
    score_card,
    slice_names,
    summarize,
)
from tests.evergreen.builders import day, shop

ONE, TWO = pd.Timestamp(day(1)), pd.Timestamp(day(2))
ROWS = pd.DataFrame(
    {"day": [ONE, ONE, ONE, TWO], "label": [1.0, 0.0, 0.0, 1.0], "color": ["red", "red", None, "blue"]},
    index=[9, 9, 3, 1],
)
SCORES = np.array([0.5, 0.25, 0.1, 0.1])


def lines(card):
    """day number, slice, scorer, rows, cost, base rate, mean score, gap."""
    found = card[["day", "slice", "scorer", "rows", "expected_cost", "label", "score", "calibration_gap"]]
    return [
        (line[0].day, *line[1:4], *(round(value, 6) for value in line[4:]))
        for line in found.itertuples(index=False, name=None)
    ]


def test_the_card_has_a_line_for_each_day_slice_and_scorer():
    card = score_card(ROWS, {"model": SCORES, "always": np.ones(4)}, shop())
    assert lines(card[card.scorer == "model"]) == [
        (1, "all", "model", 3, 1.333333, 0.333333, 0.283333, 0.05),
        (2, "all", "model", 1, 10.0, 1.0, 0.1, 0.9),
        (1, "color=missing", "model", 1, 0.0, 0.0, 0.1, 0.1),
        (1, "color=red", "model", 2, 2.0, 0.5, 0.375, 0.125),
        (2, "color=blue", "model", 1, 10.0, 1.0, 0.1, 0.9),
    ]
    assert card[card.scorer == "always"].expected_cost.tolist() == [2.0] * 5


def test_the_cards_losses_are_means_of_the_rows():
    first = score_card(ROWS, {"model": SCORES}, shop()).iloc[0]
    assert first.log_loss == pytest.approx(-(log(0.5) + log(0.75) + log(0.9)) / 3)
    assert first.squared_error == pytest.approx((0.25 + 0.0625 + 0.01) / 3)


def test_a_row_that_a_scorer_did_not_score_is_not_its():
    scores = {"always": np.ones(4), "half": np.array([0.5, 0.25, 0.1, np.nan]), "never": np.full(4, np.nan)}
    card = score_card(ROWS, scores, shop())
    assert lines(card[card.scorer != "always"]) == [
        (1, "all", "half", 3, 1.333333, 0.333333, 0.283333, 0.05),
        (1, "color=missing", "half", 1, 0.0, 0.0, 0.1, 0.1),
        (1, "color=red", "half", 2, 2.0, 0.5, 0.375, 0.125),
    ]


@pytest.mark.parametrize(("rows", "scores"), [(ROWS, {}), (ROWS.iloc[:0], {"model": SCORES[:0]})])
def test_without_rows_or_scorers_the_card_is_empty_with_its_columns(rows, scores):
    card = score_card(rows, scores, shop())
    assert card.empty
    assert set(card.columns) == set(score_card(ROWS, {"model": SCORES}, shop()).columns)


def test_by_day_has_a_column_a_scorer_and_a_line_a_day():
    card = score_card(ROWS, {"model": SCORES, "always": np.ones(4)}, shop())
    assert by_day(card, "expected_cost").round(3).reset_index().to_numpy().tolist() == [
        [ONE, 2.0, 1.333],
        [TWO, 2.0, 10.0],
    ]
    assert by_slice_and_day(card, "rows")["color=red"].to_dict("list") == {"always": [2], "model": [2]}


def test_the_daily_ranking_leaves_out_a_day_of_one_class():
    """On the first day the row with the label is the surest of three, and the surest but one of the backward scorer."""
    ranking = daily_ranking(ROWS, {"model": SCORES, "backward": np.array([0.2, 0.1, 0.3, 0.9])}, shop())
    assert ranking.index.tolist() == [ONE]
    assert ranking.to_dict("records") == [{"model": 1.0, "backward": 0.5}]


def test_a_summary_pools_the_rows():
    summary = summarize(ROWS, SCORES, shop())
    assert summary["rows"] == 4
    assert summary["roc_auc"] == 0.625
    assert summary["expected_cost"] == 3.5
    assert summary["calibration_gap"] == pytest.approx(0.5 - 0.2375)


def test_a_summary_of_nothing_or_of_one_class_has_no_number_where_none_is_defined():
    assert set(summarize(ROWS.iloc[:0], SCORES[:0], shop()).values()) == {0, None}
    assert summarize(ROWS[ROWS.label == 1], SCORES[[0, 3]], shop())["roc_auc"] is None


JUDGING = pd.Series(["d", "e"])


@pytest.mark.parametrize(
    ("training", "compared"),
    [({}, 0), ({"candidate": ["a"]}, 1), ({"candidate": ["a", "b"], "champion": ["a", "c", "f"]}, 4)],
)
def test_rows_that_nobody_was_trained_on_may_judge(training, compared):
    assert refuse_overlap(JUDGING, {name: pd.Series(ids) for name, ids in training.items()}) == compared


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"candidate": ["a", "e"]}, "1 judging rows were trained on by the candidate, for example e"),
        ({"candidate": ["a"], "champion": ["d", "e"]}, "2 judging rows were trained on by the champion, for example d"),
    ],
)
def test_one_row_that_any_model_was_trained_on_is_refused(training, message):
    with pytest.raises(OverlapError, match=message):
        refuse_overlap(JUDGING, {name: pd.Series(ids) for name, ids in training.items()})


def test_the_calibration_curve_has_groups_of_equal_size():
    scores = np.array([0.4, 0.1, 0.3, 0.2])
    curve = calibration_curve(np.array([1.0, 0.0, 1.0, 0.0]), scores, bins=2)
    assert curve.score.tolist() == pytest.approx([0.15, 0.35])
    assert curve.observed.tolist() == [0.0, 1.0]
    assert curve.rows.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("count", "bins", "sizes"), [(3, 10, [1, 1, 1]), (25, 10, [3, 2] * 5), (4, 1, [4]), (0, 10, [])]
)
def test_the_calibration_curve_loses_no_row_also_among_equal_scores(count, bins, sizes):
    curve = calibration_curve(np.zeros(count), np.full(count, 0.3), bins)
    assert curve.rows.tolist() == sizes


def test_precision_and_recall_go_from_the_surest_row_to_all_rows():
    curve = precision_recall_curve(np.array([0.0, 1.0, 1.0, 0.0]), np.array([0.1, 0.9, 0.4, 0.5]))
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 2 / 4])
    assert curve.recall.tolist() == [0.5, 0.5, 1, 1]


@pytest.mark.parametrize("labels", [[], [0.0, 0.0]])
def test_without_a_label_1_there_is_no_precision_recall_curve(labels):
    assert precision_recall_curve(np.array(labels), np.array(labels)).empty


def test_the_precision_recall_curve_is_thinned():
    labels = np.tile([0.0, 1.0], 500)
    assert len(precision_recall_curve(labels, np.linspace(0, 1, 1000))) == 100


def test_a_boolean_gives_slices_of_true_false_and_missing():
    rows = pd.DataFrame({"gift": [1.0, 0.0, np.nan]})
    assert slice_names("gift", rows.gift).tolist() == ["gift=true", "gift=false", "gift=missing"]
    assert of_slice(rows, "gift=false").index.tolist() == [1]
