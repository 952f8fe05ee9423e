from math import log

import numpy as np
import pandas as pd
import pytest

from evergreen.as_of import AsOf
from evergreen.monitoring import (
    MEASURES,
    LiveRows,
    coverage_line,
    daily_measures,
    empty_performance,
    excess_over_reference,
    live_rows,
    performance,
)
from evergreen.periods import Periods
from evergreen.scoring import Scored, predictions
from evergreen.storage import Store
from tests.evergreen.builders import at, day, live_a_day, orders, returns, shop

DAYS = Periods.of(shop().time)

ONE, TWO = pd.Timestamp(day(1)), pd.Timestamp(day(2))


def live(labelled=(2, 1), mature=(2, 1), first=(0.5, 0.5, None)):
    """Two rows of day 1, served by version 3; one of day 2, served by the heuristic."""
    rows = pd.DataFrame(
        {
            "day": [ONE, ONE, TWO],
            "label": [1.0, 0.0, 1.0],
            "color": ["red", "blue", "red"],
            "score": [0.8, 0.1, 0.25],
            "score_baseline": [0.5, 0.5, 0.5],
            "score_previous": np.nan,
            "score_first": np.array(first, dtype=float),
            "action": [True, False, True],
            "version": [3, 3, 0],
            "served_by": ["champion", "champion", "heuristic"],
        }
    )
    coverage = pd.DataFrame({"events": mature, "mature": mature, "labelled": labelled}, index=[ONE, TWO])
    return LiveRows(rows, coverage)


def whole(table, scorer="served"):
    return table[(table.slice == "all") & (table.scorer == scorer)].set_index("day")


def test_what_was_served_is_measured_beside_its_yardsticks():
    table = performance([live()], {3: 0.25}, shop())
    served = whole(table)
    assert served.rows.tolist() == [2, 1]
    assert served.log_loss.tolist() == pytest.approx([-(log(0.8) + log(0.9)) / 2, -log(0.25)])
    assert served.expected_cost.tolist() == [1.0, 2.0]
    assert served.served_by.tolist() == ["champion", "heuristic"]
    assert served.coverage.tolist() == [1.0, 1.0]
    assert whole(table, "baseline").expected_cost.tolist() == [2.0, 2.0]
    assert sorted(set(table.slice)) == ["all", "color=blue", "color=red"]


def test_what_was_served_costs_what_was_done_whatever_todays_costs_would_do():
    """The second order was acted on when its version was promoted; today's threshold would leave it."""
    part = live()
    acted = LiveRows(part.rows.assign(action=[True, True, True]), part.coverage)
    assert whole(performance([acted], {3: 0.25}, shop())).expected_cost.tolist() == [2.0, 2.0]
    assert whole(performance([acted], {3: 0.25}, shop()), "baseline").expected_cost.tolist() == [2.0, 2.0]


def test_the_reference_is_the_serving_versions_and_missing_for_the_heuristic():
    served = whole(performance([live()], {3: 0.25, 2: 0.9}, shop()))
    assert served.reference[ONE] == 0.25
    assert pd.isna(served.reference[TWO])


@pytest.mark.parametrize(
    ("versions", "rungs", "references", "reference", "served_by"),
    [
        ([3, 3], ["champion", "champion"], {3: 0.3}, 0.3, "champion"),
        ([2, 3], ["previous", "champion"], {2: 0.5, 3: 0.3}, 0.4, "several"),
        ([3, 4], ["champion", "champion"], {3: 0.3, 4: 0.2}, 0.25, "several"),
        ([3, 0], ["champion", "heuristic"], {3: 0.3}, None, "several"),
        ([0, 3], ["heuristic", "champion"], {3: 0.3}, None, "several"),
        ([0, 0], ["heuristic", "heuristic"], {3: 0.3}, None, "heuristic"),
    ],
)
@pytest.mark.parametrize("parts", [1, 2])
def test_a_day_that_several_answered_is_none_of_theirs(versions, rungs, references, reference, served_by, parts):
    """What was answered stays answered when a day is done again: its reference is that of its rows, whichever comes first."""
    found = live()
    rows = found.rows.iloc[:2].assign(version=versions, served_by=rungs)
    nothing = found.coverage.assign(events=0, mature=0, labelled=0)
    cut = [rows] if parts == 1 else [rows.iloc[:1], rows.iloc[1:]]
    given = [LiveRows(part, coverage) for part, coverage in zip(cut, [found.coverage, nothing], strict=False)]
    served = whole(performance(given, references, shop()))
    assert served.served_by.tolist() == [served_by]
    assert served.reference.tolist() == pytest.approx([np.nan if reference is None else reference], nan_ok=True)
    assert excess_over_reference(served.reset_index(), DAYS).index.tolist() == (
        [ONE] if served_by == "champion" else []
    )


def test_a_yardstick_that_could_not_score_is_left_out_and_not_made_up():
    assert whole(performance([live()], {}, shop()), "first").rows.tolist() == [2]
    assert set(performance([live(first=(None,) * 3)], {}, shop()).scorer) == {"served", "baseline"}


@pytest.mark.parametrize(("labelled", "judged"), [(20, True), (19, True), (18, False), (0, False)])
def test_a_day_under_the_coverage_bound_has_no_measures(labelled, judged):
    """Of 20 mature rows 19 must have a label (95%)."""
    table = whole(performance([live(labelled=(labelled, 1), mature=(20, 1))], {3: 0.25}, shop()))
    assert table.loc[ONE, MEASURES].notna().all() == judged
    assert table.loc[ONE, MEASURES].isna().all() != judged
    assert table.loc[ONE, "coverage"] == labelled / 20
    assert table.loc[TWO, MEASURES].notna().all()


def test_without_rows_the_table_is_empty_with_its_types():
    nothing = LiveRows(live().rows.iloc[:0], live().coverage)
    table = performance([nothing], {}, shop())
    assert table.empty
    pd.testing.assert_series_equal(table.dtypes, performance([live()], {3: 0.25}, shop()).dtypes)
    pd.testing.assert_series_equal(empty_performance().dtypes, table.dtypes)


def test_the_daily_excess_is_the_loss_over_its_value_at_promotion():
    """Days of another rung, without a reference or without measures are left out; slices and yardsticks do not count."""
    line = {"scorer": "served", "slice": "all", "served_by": "champion", "log_loss": 0.5, "reference": 0.4, "rows": 9}
    changes = [
        {"day": day(3), "log_loss": 0.7},
        {"day": day(1)},
        {"day": day(2), "reference": 0.6},
        {"day": day(4), "served_by": "heuristic"},
        {"day": day(9), "served_by": "previous", "reference": 0.6},
        {"day": day(5), "reference": None},
        {"day": day(6), "log_loss": None},
        {"day": day(7), "slice": "color=red"},
        {"day": day(8), "scorer": "baseline"},
    ]
    excess = excess_over_reference(pd.DataFrame([line | change for change in changes]), DAYS)
    assert excess.index.tolist() == [day(1), day(2), day(3)]
    assert excess.tolist() == pytest.approx([0.1, -0.1, 0.3])


def test_daily_measures_have_a_column_for_each_scorer_that_was_measured():
    table = performance([live(first=(None,) * 3)], {}, shop())
    costs = daily_measures(table)["expected_cost"]
    assert costs.to_dict("list") == {"baseline": [2.0, 2.0], "served": [1.0, 2.0]}
    assert all(days.empty for days in daily_measures(empty_performance()).values())


def test_no_history_has_no_excess():
    assert excess_over_reference(empty_performance(), DAYS).empty


@pytest.mark.parametrize(
    ("mature", "labelled", "line"),
    [
        ([3, 1], [2, 1], {"mature": 4, "labelled": 3, "pending": 1, "coverage": 0.75}),
        ([], [], {"mature": 0, "labelled": 0, "pending": 0, "coverage": None}),
    ],
)
def test_coverage_without_a_mature_row_is_not_a_number(mature, labelled, line):
    assert coverage_line(pd.DataFrame({"mature": mature, "labelled": labelled})) == line


def test_live_rows_join_what_came_true_with_what_was_predicted_for_it(tmp_path):
    """Of day 1, a was told and b was not: a alone can be judged, and both count."""
    store, product = Store(tmp_path / "shop"), shop()
    live_a_day(store, product, 1, orders(1, ["a", "b"]))
    batch = store.read("batch", day(1))
    scored = Scored(np.array([0.7, 0.2]), "champion", {"version": 3})
    store.write(
        "predictions",
        day(1),
        predictions(batch, scored, {"baseline": None, "previous": None, "first": None}, product, "abc"),
    )
    live_a_day(store, product, 2, orders(2, ["c"]), returns({"a": True}, at(2)))
    joined = live_rows(AsOf(store, product, day(2)), [day(1)])
    assert joined.rows[["order_id", "label", "score", "version", "served_by"]].to_numpy().tolist() == [
        ["a", 1.0, 0.7, 3, "champion"]
    ]
    assert joined.coverage.to_numpy().tolist() == [[2, 2, 1]]
