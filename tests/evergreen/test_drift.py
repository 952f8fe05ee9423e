from math import log, nan

import numpy as np
import pandas as pd
import pytest

from evergreen.config import Features
from evergreen.drift import TABLE_COLUMNS, compare, prediction_psi, profile, weighted_psi

FEATURES = Features(numeric=["amount"], categorical=["color"])
WEIGHTS = {"amount": 0.75, "color": 0.25}


def sample(shift=0.0, colors=("red", "blue"), rows=2000, seed=0):
    random = np.random.default_rng(seed)
    return pd.DataFrame(
        {"amount": random.normal(shift, 1, rows), "color": pd.Series(random.choice(list(colors), rows), dtype="str")}
    )


def scores(rows):
    return np.full(len(rows), 0.3) + 0.001 * np.arange(len(rows)) / max(1, len(rows))


@pytest.fixture(scope="module")
def known():
    rows = sample()
    return profile(rows, FEATURES, WEIGHTS, scores(rows))


def psi(reference, rows):
    return compare(reference, rows, scores(rows)).set_index("feature").psi.to_dict()


def test_the_same_rows_have_not_drifted(known):
    rows = sample()
    table = compare(known, rows, scores(rows))
    assert table.columns.tolist() == TABLE_COLUMNS
    assert table.feature.tolist() == ["amount", "color", "prediction"]
    assert table.psi.tolist() == pytest.approx([0, 0, 0], abs=1e-9)
    assert table.jensen_shannon.tolist() == pytest.approx([0, 0, 0], abs=1e-6)
    assert table.wasserstein.tolist()[::2] == pytest.approx([0, 0], abs=1e-9)
    assert table.importance.tolist()[:2] == [0.75, 0.25]
    assert table[["importance", "wasserstein"]].isna().to_numpy().tolist() == [
        [False, False],
        [False, True],
        [True, False],
    ]
    assert table.rows.tolist() == [2000] * 3


def test_another_sample_of_the_same_world_is_far_under_the_bound_and_a_shifted_one_far_over(known):
    assert max(psi(known, sample(seed=1)).values()) < 0.02
    shifted = compare(known, sample(shift=1.5), scores(sample()))
    assert shifted.set_index("feature").psi["amount"] > 1
    assert shifted.set_index("feature").wasserstein["amount"] == pytest.approx(1.5, abs=0.15)
    assert psi(known, sample(colors=["red", "red", "red", "red", "red", "blue"]))["color"] > 0.25


def test_the_psi_is_the_sum_over_bins_with_half_a_row_added():
    """Reference: 3 red, 1 blue; now 1 red, 3 blue. Bins: red, blue, other, missing."""
    rows = pd.DataFrame({"color": ["red", "red", "red", "blue"]}, dtype="str")
    reference = profile(rows, Features(categorical=["color"]), {"color": 1.0}, scores(rows))
    now = pd.DataFrame({"color": ["blue", "blue", "blue", "red"]}, dtype="str")
    expected = 2 * (3.5 - 1.5) / 6 * log(3.5 / 1.5)
    assert psi(reference, now)["color"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("colors", "shares"),
    [
        (["red", "blue", "red", "red"], [0.75, 0.25, 0, 0]),
        (["green", "pink", "red", "red"], [0.5, 0, 0.5, 0]),
        ([None, None, None, "blue"], [0, 0.25, 0, 0.75]),
    ],
    ids=["known", "unseen goes to other", "missing has its own bin"],
)
def test_the_bins_of_categories(colors, shares):
    from evergreen.drift import _shares

    assert _shares(pd.Series(colors, dtype="str"), {"categories": ["red", "blue"]}).tolist() == shares


@pytest.mark.parametrize(
    ("numbers", "shares"),
    [
        ([0.0, 1.5, 3.0, 1.5], [0.25, 0.5, 0.25, 0]),
        ([1.0, 2.0, 2.0, 2.0], [0, 0.25, 0.75, 0]),
        ([nan, nan, -9.0, 9.0], [0.25, 0, 0.25, 0.5]),
    ],
    ids=["between", "on an edge belongs above it", "missing has its own bin"],
)
def test_the_bins_of_numbers(numbers, shares):
    from evergreen.drift import _shares

    assert _shares(pd.Series(numbers), {"edges": [1.0, 2.0]}).tolist() == shares


def test_an_unseen_category_and_a_column_that_falls_silent_are_drift(known):
    assert psi(known, sample(colors=["green"]))["color"] > 1
    assert psi(known, sample().assign(color=pd.Series([None] * 2000, dtype="str")))["color"] > 1
    assert psi(known, sample().assign(amount=nan))["amount"] > 1


def test_an_empty_bin_is_small_and_not_infinite(known):
    assert np.isfinite(list(psi(known, sample(shift=100.0)).values())).all()


def test_rare_categories_share_the_bin_of_others():
    rows = pd.DataFrame({"color": [f"c{number:02}" for number in range(40) for _ in range(40 - number)]}, dtype="str")
    part = profile(rows, Features(categorical=["color"]), {"color": 1.0}, scores(rows))["features"]["color"]
    assert part["categories"] == [f"c{number:02}" for number in range(30)]
    assert part["shares"][30] == pytest.approx(sum(range(1, 11)) / len(rows))


@pytest.mark.parametrize("values", [[5.0] * 10, [nan] * 10], ids=["constant", "nothing known"])
def test_a_column_that_says_nothing_can_still_be_compared(values):
    rows = pd.DataFrame({"amount": values})
    reference = profile(rows, Features(numeric=["amount"]), {"amount": 1.0}, scores(rows))
    table = compare(reference, rows, scores(rows)).set_index("feature")
    assert table.psi["amount"] == pytest.approx(0)
    assert pd.isna(table.wasserstein["amount"])
    assert psi(reference, rows.assign(amount=7.0 if values[0] != 5 else 1.0))["amount"] > 0.25


def test_without_rows_there_is_no_distance(known):
    table = compare(known, sample().iloc[:0], np.array([]))
    assert table.empty
    assert table.columns.tolist() == TABLE_COLUMNS
    assert (weighted_psi(table), prediction_psi(table)) == (None, None)


def test_the_model_feels_each_feature_by_its_importance():
    table = pd.DataFrame(
        {"feature": ["amount", "color", "prediction"], "psi": [0.4, 0.8, 9.0], "importance": [0.75, 0.25, nan]}
    )
    assert weighted_psi(table) == pytest.approx(0.5)
    assert prediction_psi(table) == 9.0
    assert weighted_psi(table.iloc[2:]) is None
    assert prediction_psi(table.iloc[:2]) is None


def test_a_profile_is_plain_json(known):
    import json

    assert json.loads(json.dumps(known)) == known


def other_kinds(words=("fine", "late", "broken"), gifts=0.1, weekdays=7, year=2023):
    random = np.random.default_rng(3)
    joined = pd.Timestamp(f"{year}-01-02") + pd.to_timedelta(7 * random.integers(0, 40, 2000), "D")
    return pd.DataFrame(
        {
            "gift": (random.uniform(size=2000) < gifts).astype("float64"),
            "joined": joined + pd.to_timedelta(random.integers(0, weekdays, 2000), "D"),
            "note": pd.Series([" ".join(random.choice(list(words), 4)) for _ in range(2000)], dtype="str"),
        }
    )


@pytest.mark.parametrize(
    ("moved", "now"),
    [
        (None, other_kinds()),
        (None, other_kinds(year=2024)),
        ("gift", other_kinds(gifts=0.5)),
        ("joined", other_kinds(weekdays=2)),
        ("note", other_kinds(words=["gut", "zu", "spät"])),
        ("note", other_kinds().assign(note="")),
        ("note", other_kinds().assign(note=pd.Series(np.nan, range(2000), dtype="str"))),
        ("gift", other_kinds().assign(gift=np.nan)),
        ("joined", other_kinds().assign(joined=pd.NaT)),
    ],
)
def test_booleans_dates_and_texts_drift_and_time_that_passes_is_no_drift(moved, now):
    features, rows = Features(boolean=["gift"], date=["joined"], text=["note"]), other_kinds()
    found = psi(profile(rows, features, {}, scores(rows)), now)
    assert {name for name, value in found.items() if value > 0.25} == ({moved} if moved else set())


def test_the_wasserstein_distance_is_in_standard_deviations_of_the_reference():
    before = pd.DataFrame({"amount": np.random.default_rng(1).normal(0, 10, 4000)})
    reference = profile(before, Features(numeric=["amount"]), {"amount": 1.0}, np.full(4000, 0.5))
    table = compare(reference, before + 15, np.full(4000, 0.5)).set_index("feature")
    assert table.wasserstein["amount"] == pytest.approx(1.5, abs=0.15)
