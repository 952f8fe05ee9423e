import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.validation import empty_batch, needed_columns, to_utc, validate
from tests.evergreen.builders import day, shop

RULES = {
    "time": {"known_at": ["seen_at"]},
    "features": {"numeric": ["amount", "weight"]},
    "validation": {
        "rows_per_period": {"at_least": 2, "at_most": 6},
        "quarantine_at_most": 0.5,
        "columns": {
            "amount": {"between": [0, 100], "required": True},
            "color": {"one_of": ["red", "blue"]},
            "size": {"one_of": ["S", "M"], "required": True},
        },
    },
}
GOOD = {
    "order_id": "x",
    "ordered_at": "2024-01-02T12:00:00Z",
    "seen_at": "2024-01-02T10:00:00Z",
    "amount": 5.0,
    "weight": 1.0,
    "color": "red",
    "size": "S",
}


@pytest.fixture(scope="module")
def product():
    return shop(RULES)


def rows(*changes):
    """One row a mapping of changes, with ids 0, 1, 2, …"""
    content = [{**GOOD, "order_id": str(number), **change} for number, change in enumerate(changes)]
    return pd.DataFrame(content, columns=list(GOOD))


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        ({}, None),
        ({"order_id": None}, "order_id: missing"),
        ({"order_id": "1"}, "order_id: the id came before"),
        ({"ordered_at": None}, "ordered_at: missing"),
        ({"ordered_at": "yesterday"}, "ordered_at: not a time; ordered_at: missing"),
        ({"ordered_at": "2024-01-02T23:59:59Z"}, None),
        ({"ordered_at": "2024-01-03T00:00:00Z"}, "ordered_at: not on 2024-01-02"),
        ({"ordered_at": "2024-01-01T23:59:59Z", "seen_at": None}, "ordered_at: not on 2024-01-02"),
        ({"seen_at": "2024-01-02T10:00:01Z"}, "seen_at: later than the moment of prediction"),
        ({"seen_at": None}, None),
        ({"amount": 0.0}, None),
        ({"amount": 100.0}, None),
        ({"amount": 100.5}, "amount: not in_range(0.0, 100.0)"),
        ({"amount": -0.5}, "amount: not in_range(0.0, 100.0)"),
        ({"amount": None}, "amount: missing"),
        ({"amount": "7"}, None),
        ({"amount": "many"}, "amount: not a number; amount: missing"),
        ({"weight": None}, None),
        ({"weight": -1e9}, None),
        ({"weight": "heavy"}, "weight: not a number"),
        ({"color": None}, None),
        ({"color": "green"}, "color: not isin(['red', 'blue'])"),
        ({"size": "M"}, None),
        ({"size": None}, "size: missing"),
        ({"size": "XL"}, "size: not isin(['S', 'M'])"),
        ({"size": None, "weight": "heavy"}, "weight: not a number; size: missing"),
    ],
    ids=str,
)
def test_a_bad_row_leaves_with_its_reasons_and_a_good_one_stays(product, change, reasons):
    result = validate(rows({}, {}, change), product, day(2))
    assert result.refused is None
    assert result.quarantine.reasons.tolist() == ([] if reasons is None else [reasons])
    assert len(result.batch) == (3 if reasons is None else 2)
    assert result.batch.order_id.tolist()[:2] == ["0", "1"]


def test_an_infinite_number_is_bad_because_no_model_can_score_it(product):
    """XGBoost and scikit-learn raise on infinity: one such row would send the whole batch down to the heuristic."""
    result = validate(rows({}, {}, {"weight": float("inf")}, {"weight": "-inf"}), product, day(2))
    assert result.batch.order_id.tolist() == ["0", "1"]
    assert result.quarantine.reasons.tolist() == ["weight: not a number"] * 2
    assert json.loads(result.quarantine.row[0], parse_constant=pytest.fail)["weight"] == "inf"


def test_a_row_without_a_due_time_is_bad_because_its_day_would_never_be_mature():
    product = shop(
        {
            "label": {"matures_after": None, "matures_at": "due_at", "matched_for": "8d"},
            "validation": {"quarantine_at_most": 0.5},
        }
    )
    orders = pd.DataFrame(
        {
            "order_id": ["a", "b", "c"],
            "ordered_at": "2024-01-02T12:00:00Z",
            "due_at": ["2024-01-09T00:00:00Z", None, "2024-01-08T00:00:00Z"],
            "amount": 1.0,
            "color": "red",
        }
    )
    result = validate(orders, product, day(2))
    assert result.batch.order_id.tolist() == ["a", "c"]
    assert result.quarantine.reasons.tolist() == ["due_at: missing"]


@pytest.mark.parametrize(("due", "accepted"), [("2024-01-05T23:59:59Z", 1), ("2024-01-06T00:00:00Z", 0)])
def test_a_row_that_is_due_when_no_outcome_is_matched_to_it_any_more_is_bad(due, accepted):
    """Of an order of the 2nd, outcomes are matched through the 5th."""
    label = {"matures_after": None, "matures_at": "due_at", "matched_for": "3d"}
    row = {"order_id": "a", "ordered_at": "2024-01-02T12:00:00Z", "due_at": due, "amount": 1.0, "color": "red"}
    rows = pd.DataFrame([row, row | {"order_id": "b", "due_at": "2024-01-03T12:00:00Z"}])
    result = validate(rows, shop({"label": label, "validation": {"quarantine_at_most": 0.5}}), day(2))
    assert result.batch.order_id.tolist() == (["a", "b"] if accepted else ["b"])
    assert accepted or "due_at: later than label.matched_for reaches" in result.quarantine.reasons[0]


def test_of_two_rows_with_one_id_the_first_is_kept(product):
    delivered = rows(
        {"order_id": "a", "amount": 1.0}, {"order_id": "b"}, {"order_id": "a", "amount": 2.0}, {"order_id": "c"}
    )
    result = validate(delivered, product, day(2))
    assert result.batch[["order_id", "amount"]].to_numpy().tolist() == [["a", 1.0], ["b", 5.0], ["c", 5.0]]
    assert result.quarantine.id.tolist() == ["a"]
    assert json.loads(result.quarantine.row[0])["amount"] == 2.0


def test_a_quarantined_row_is_kept_as_strict_json(product):
    def refuse(constant):
        raise AssertionError(f"{constant} is not JSON")

    result = validate(rows({}, {}, {"size": "XL", "weight": None, "amount": 1e3}), product, day(2))
    kept = json.loads(result.quarantine.row[0], parse_constant=refuse)
    assert kept == {**GOOD, "order_id": "2", "size": "XL", "weight": None, "amount": 1000.0}


@pytest.mark.parametrize(
    ("changes", "refused"),
    [
        ([], "volume: 0 rows, at least 2 are expected a day"),
        ([{}], "volume: 1 rows, at least 2 are expected a day"),
        ([{}] * 2, None),
        ([{}] * 6, None),
        ([{}] * 7, "volume: 7 rows, at most 6 are expected a day"),
        ([{}, {}, {"size": "XL"}, {"size": "XL"}], None),
        ([{}, {"size": "XL"}, {"size": "XL"}], "2 of 3 rows are bad (66.7%, at most 50.0% may be)"),
        ([{"size": "XL"}, {"size": None}], "all 2 rows are bad"),
    ],
)
def test_a_day_is_refused_as_a_whole_or_split(product, changes, refused):
    result = validate(rows(*changes), product, day(2))
    assert result.refused == refused
    assert len(result.batch) + len(result.quarantine) == len(changes)
    if refused:
        assert result.batch.empty
        assert result.quarantine.reasons.tolist() == [refused] * len(changes)


def test_a_rule_that_cannot_be_evaluated_refuses_the_day_and_is_named_with_its_error():
    """A date is between no two numbers: pandera's check raises, which is a failure of no row."""
    rule = {"features": {"date": ["due"]}, "validation": {"columns": {"due": {"between": [0, 100]}}}}
    result = validate(rows({}, {}).assign(due="2024-01-09"), shop(rule), day(2))
    assert result.refused.startswith("rules cannot be evaluated: due: in_range(0.0, 100.0): TypeError(")
    assert (len(result.batch), len(result.quarantine)) == (0, 2)


def test_a_day_without_rows_passes_where_none_are_demanded():
    result = validate(rows(), shop({"validation": {"rows_per_period": {"at_least": 0}}}), day(2))
    assert (len(result.batch), len(result.quarantine), result.refused) == (0, 0, None)


@pytest.mark.parametrize("absent", [["size"], ["order_id"], ["ordered_at", "weight"]])
def test_missing_columns_refuse_the_day_and_are_named(product, absent):
    result = validate(rows({}, {}).drop(columns=absent), product, day(2))
    assert result.refused.startswith(f"columns are missing: {', '.join(absent)} (delivered: ")
    assert len(result.quarantine) == 2
    assert result.batch.dtypes.equals(empty_batch(product).dtypes)


def test_a_batch_has_the_named_columns_in_their_types_and_no_other(product):
    result = validate(rows({}, {"seen_at": None}).assign(surplus=1, amount=[1, 2]), product, day(2))
    types = {name: str(kind) for name, kind in result.batch.dtypes.items()}
    assert types == {
        "order_id": "str",
        "ordered_at": "datetime64[us, UTC]",
        "seen_at": "datetime64[us, UTC]",
        "color": "str",
        "amount": "float64",
        "weight": "float64",
        "size": "str",
    }
    assert list(types) == needed_columns(product)
    assert result.batch.dtypes.equals(empty_batch(product).dtypes)


def test_the_delivered_frame_is_not_changed(product):
    delivered = rows({}, {}, {"size": "XL"})
    before = delivered.copy(deep=True)
    validate(delivered, product, day(2))
    pd.testing.assert_frame_equal(delivered, before)


def test_a_whole_number_category_is_spelt_alike_with_and_without_a_missing_value_beside_it():
    """pandas reads [3, 5] as integers and [3, None] as floats: the category must be `3` on both days."""
    product = shop()
    spelt = [
        validate(rows({}, {}).assign(color=colors), product, day(2)).batch.color[0] for colors in ([3, 5], [3, None])
    ]
    assert spelt == ["3", "3"]


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2013-01-15T12:00:00", "2013-01-15T17:00:00Z"),
        ("2013-07-15T12:00:00", "2013-07-15T16:00:00Z"),
        ("2013-07-15T12:00:00Z", "2013-07-15T12:00:00Z"),
        ("2013-07-15T12:00:00+02:00", "2013-07-15T10:00:00Z"),
        ("2013-03-10T02:30:00", None),
        ("2013-11-03T01:30:00", None),
        ("2013-11-03T03:30:00", "2013-11-03T08:30:00Z"),
        ("soon", None),
        (None, None),
    ],
    ids=str,
)
def test_a_naive_time_is_local_and_one_that_is_no_single_moment_is_missing(written, meant):
    (moment,) = to_utc(pd.Series([written]), "America/New_York")
    assert (moment == pd.Timestamp(meant)) if meant else pd.isna(moment)


@pytest.mark.parametrize(
    "written",
    [
        ["2013-03-10T01:30:00-05:00", "2013-03-10T03:30:00-04:00"],
        ["2013-03-10T06:30:00Z", "2013-03-10T03:30:00"],
        ["2013-03-10T06:30:00Z", "2013-03-10T03:30:00-04:00"],
    ],
    ids=["two offsets", "aware and naive", "UTC and an offset"],
)
def test_times_of_one_column_may_differ_in_their_offset(written):
    """On a day when the clocks change, local times with offsets have two: that day must not fail."""
    expected = pd.to_datetime(["2013-03-10T06:30:00Z", "2013-03-10T07:30:00Z"])
    assert to_utc(pd.Series(written), "America/New_York").tolist() == expected.tolist()


VALUES = st.fixed_dictionaries(
    {
        "order_id": st.sampled_from(["a", "b", "c", "d", None]),
        "ordered_at": st.sampled_from(["2024-01-02T12:00:00Z", "2024-01-03T12:00:00Z", "never", None]),
        "seen_at": st.sampled_from(["2024-01-02T09:00:00Z", "2024-01-02T13:00:00Z", None]),
        "amount": st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True), st.text(max_size=3)),
        "weight": st.one_of(st.none(), st.floats(-10, 10)),
        "color": st.sampled_from(["red", "blue", "green", None]),
        "size": st.sampled_from(["S", "M", "XL", None]),
    }
)


@settings(max_examples=30, deadline=None)
@given(st.lists(VALUES, max_size=8))
def test_rows_in_are_rows_accepted_plus_rows_quarantined(drawn):
    product = shop(RULES)
    result = validate(pd.DataFrame(drawn, columns=list(GOOD)), product, day(2))
    assert len(drawn) == len(result.batch) + len(result.quarantine)
    assert result.batch.order_id.is_unique
    assert result.batch.amount.between(0, 100).all()
    assert (result.quarantine.reasons.str.len() > 0).all()
    assert result.refused is None or result.batch.empty
