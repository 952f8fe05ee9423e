from datetime import timedelta

import pandas as pd
import pytest

from evergreen.errors import SourceError
from evergreen.labeling import COLUMNS, PENDING, UNMATCHED, due_columns, due_times, latest_labels, read_outcomes
from tests.evergreen.builders import at, batch, day, label_day, label_log, returns, shop

NOTHING_LABELLED = label_log({})


def due(product, **ids_by_day):
    """Due times of orders: due(product, d1=["a"], d2=["b"])."""
    batches = [batch(product, int(name[1:]), ids) for name, ids in ids_by_day.items()]
    return due_times(pd.concat(batches, ignore_index=True), product)


def entries(found):
    """Each entry as (id, label or None, origin)."""
    lines = found[["id", "label", "origin"]].itertuples(index=False)
    return [(name, None if pd.isna(label) else label, origin) for name, label, origin in lines]


@pytest.mark.parametrize(
    ("cancelled", "delay", "label"),
    [
        (True, 20.0, 1.0),
        (True, 5.0, 1.0),
        (True, None, 1.0),
        (False, 20.0, 1.0),
        (False, 5.0, 0.0),
        (False, None, None),
        (None, 20.0, 1.0),
        (None, 5.0, None),
        (None, None, None),
    ],
)
@pytest.mark.parametrize("told_with_others", [True, False])
def test_a_missing_operand_that_matters_makes_a_missing_label(cancelled, delay, label, told_with_others):
    """Three-valued logic, whoever else is delivered: a column that holds nothing but missing values decides nothing either."""
    product = shop({"label": {"when": "cancelled or delay >= 15"}})
    outcomes = pd.DataFrame({"order_id": ["a"], "told_at": at(1, "18:00"), "cancelled": [cancelled], "delay": [delay]})
    if told_with_others:
        other = outcomes.assign(order_id="z", cancelled=False, delay=1.0)
        outcomes = pd.concat([outcomes.astype({"delay": "float64"}), other], ignore_index=True)
    found = label_day(outcomes, due(product, d1=["a"]), NOTHING_LABELLED, product, day(1))
    assert [entry for entry in entries(found) if entry[0] == "a"] == (
        [] if label is None else [("a", label, "outcome")]
    )
    assert read_outcomes([outcomes], product, day(1)).undetermined == (1 if label is None else 0)


NOTHING = pd.Series([None, None], dtype="object")
NO_NUMBER = NOTHING.astype("float64")


@pytest.mark.parametrize(
    ("when", "columns", "labels"),
    [
        ("delay - allowed > 5", {"delay": NOTHING, "allowed": [1, 2]}, [None, None]),
        ("delay - allowed > 5 or cancelled", {"delay": NO_NUMBER, "allowed": 1, "cancelled": [True, False]}, [1, None]),
        ("delay > 5 | cancelled", {"delay": NOTHING, "cancelled": ["True", "false"]}, [1, None]),
        ("cancelled | delay > 5", {"delay": ["6", "5.0"], "cancelled": NO_NUMBER}, [1, None]),
        ("cancelled == 1", {"cancelled": ["1", "0"]}, [1, 0]),
        ("not cancelled", {"cancelled": ["TRUE", None]}, [0, None]),
        ("state == 'late'", {"state": ["late", "early"]}, [1, 0]),
        ("state == 'late'", {"state": NOTHING}, [None, None]),
        ("state != 'late'", {"state": ["early", None]}, [1, None]),
        ("state in ['late', 'lost']", {"state": ["lost", None]}, [1, None]),
        ("code == '007'", {"code": ["007", "8"]}, [1, 0]),
        ("code == '7' & delay > 5", {"code": ["7", "7"], "delay": ["6", "5"]}, [1, 0]),
        ("`the code` == '007' or `2nd` > 1", {"the code": ["007", "8"], "2nd": ["1", "2"]}, [1, 1]),
    ],
)
def test_text_acts_as_what_it_spells_and_a_missing_value_never_as_false(when, columns, labels):
    """As in a CSV file, where everything is text; text that is compared with text stays text."""
    product = shop({"label": {"when": when}})
    outcomes = pd.DataFrame({"order_id": ["a", "b"], "told_at": at(1, "18:00")}).assign(**columns)
    found = label_day(outcomes, due(product, d1=["a", "b"]), NOTHING_LABELLED, product, day(1))
    told = {name: label for name, label, _ in entries(found)}
    assert [told.get(name) for name in ("a", "b")] == labels


@pytest.mark.parametrize(("event_ids", "outcome_ids"), [([7, 8], [7, None]), (["007", "8"], ["007", "9"])])
def test_an_outcome_finds_its_event_by_an_id_that_is_spelt_alike(event_ids, outcome_ids):
    product = shop()
    outcomes = pd.DataFrame({"order_id": outcome_ids, "told_at": at(1, "18:00"), "returned": ["True", "False"]})
    found = label_day(outcomes, due(product, d1=event_ids), NOTHING_LABELLED, product, day(1))
    assert entries(found)[0] == (str(event_ids[0]), 1.0, "outcome")
    assert found.origin.tolist() == ["outcome", "unmatched"]


def test_labels_and_pending_rows_of_a_day():
    """On day 2: a and b of day 1 fall due, c of day 2 is told early; a is told, b is not."""
    product = shop()
    outcomes = returns({"a": True, "c": False}, at(2, "18:00"))
    found = label_day(outcomes, due(product, d1=["a", "b"], d2=["c"]), NOTHING_LABELLED, product, day(2))
    assert entries(found) == [("a", 1.0, "outcome"), ("c", 0.0, "outcome"), ("b", None, "none")]
    assert found.columns.tolist() == COLUMNS
    assert found.known_at.isna().tolist() == [False, False, True]


@pytest.mark.parametrize(
    ("today", "labelled", "expected"),
    [
        (1, NOTHING_LABELLED, []),
        (2, NOTHING_LABELLED, [("a", None, "none")]),
        (2, label_log({"a": 1}), []),
        (3, NOTHING_LABELLED, []),
    ],
    ids=["before it is due", "on the day it is due", "labelled before", "only once"],
)
def test_a_row_is_pending_on_the_day_it_falls_due_without_a_label(today, labelled, expected):
    product = shop()
    found = label_day(returns({}, at(today)), due(product, d1=["a"]), labelled, product, day(today))
    assert entries(found) == expected


@pytest.mark.parametrize(
    ("told_at", "untimely"),
    [
        (at(1, "00:00"), 0),
        (at(2, "23:59"), 0),
        (at(3, "00:00"), 1),
        (at(4), 1),
        (pd.NaT, 1),
    ],
    ids=["earlier", "the last minute", "the next day's first moment", "two days on", "never"],
)
def test_an_outcome_known_after_the_day_or_never_is_untimely_and_not_used(told_at, untimely):
    product = shop()
    outcomes = returns({"a": True}, told_at).assign(told_at=pd.Series([told_at], dtype="datetime64[us, UTC]"))
    found = label_day(outcomes, due(product, d1=["a"]), NOTHING_LABELLED, product, day(2))
    assert read_outcomes([outcomes], product, day(2)).untimely == untimely
    assert entries(found) == [("a", None, "none") if untimely else ("a", 1.0, "outcome")]


def test_an_outcome_without_an_accepted_event_waits_and_is_no_rows():
    product = shop()
    found = label_day(returns({"a": True, "x": True}, at(2)), due(product, d2=["a"]), NOTHING_LABELLED, product, day(2))
    assert entries(found) == [("a", 1.0, "outcome"), ("x", 1.0, "unmatched")]
    assert found.matures_at.isna().tolist() == [False, True]


WAITING, OLDER, NEWER = (label_log({"a": 1}, UNMATCHED, at(1, clock)) for clock in ("18:00", "17:00", "19:00"))


@pytest.mark.parametrize(
    ("log", "told", "expected"),
    [
        ([WAITING], {}, [("a", 1.0, "outcome")]),
        ([WAITING], {"a": at(1, "17:59")}, [("a", 1.0, "outcome")]),
        ([WAITING], {"a": at(1, "18:00")}, [("a", 0.0, "outcome")]),
        ([WAITING], {"a": at(2, "09:00")}, [("a", 0.0, "outcome")]),
        ([WAITING, WAITING.assign(origin="outcome")], {}, []),
        ([OLDER, WAITING.assign(origin="outcome")], {}, []),
        ([WAITING.assign(origin="outcome"), NEWER], {}, [("a", 1.0, "outcome")]),
        ([label_log({"b": 1}, UNMATCHED)], {}, []),
    ],
    ids=[
        "waits",
        "old news today",
        "of one moment",
        "a correction today",
        "entered before",
        "older",
        "newer",
        "of no row",
    ],
)
def test_an_outcome_that_waits_is_entered_on_the_day_that_has_its_event(log, told, expected):
    """As if it were told today, once; its row then is not pending, and what finds no event is not written anew."""
    product = shop({"label": {"matures_after": "1h"}})
    outcomes = pd.concat([returns({name: False}, when) for name, when in told.items()] or [returns({}, at(2))])
    found = label_day(outcomes, due(product, d2=["a"]), pd.concat(log, ignore_index=True), product, day(2))
    labelled = any("outcome" in entries.origin.to_numpy() for entries in log)
    assert entries(found) == (expected or ([] if labelled else [("a", None, "none")]))


def test_of_two_outcomes_told_on_one_day_the_later_wins_whatever_their_order():
    product = shop()
    early, late = returns({"a": True}, at(2, "09:00")), returns({"a": False}, at(2, "10:00"))
    for delivered in ([early, late], [late, early]):
        found = label_day(pd.concat(delivered), due(product, d2=["a"]), NOTHING_LABELLED, product, day(2))
        assert entries(found) == [("a", 0.0, "outcome")]


def test_a_correction_is_entered_although_the_row_was_labelled_and_wins_from_then_on():
    product = shop()
    recent = due(product, d1=["a"])
    first = label_day(returns({"a": True}, at(1, "18:00")), recent, NOTHING_LABELLED, product, day(1))
    second = label_day(returns({"a": False}, at(3)), recent, first, product, day(3))
    assert latest_labels(first).label.tolist() == [1.0]
    assert latest_labels(pd.concat([first, second])).label.tolist() == [0.0]


@pytest.mark.parametrize(("known", "label"), [("17:59", 1.0), ("18:00", 0.0), ("18:01", 0.0)])
def test_old_news_that_is_delivered_late_takes_no_correction_back(known, label):
    product = shop()
    recent = due(product, d1=["a"])
    first = label_day(returns({"a": True}, at(1, "18:00")), recent, NOTHING_LABELLED, product, day(1))
    later = label_day(returns({"a": False}, at(1, known)), recent, first, product, day(2))
    assert latest_labels(pd.concat([first, later])).label.tolist() == [label]


@pytest.mark.parametrize(
    ("label", "columns", "matures_at"),
    [
        ({"matures_after": "36h"}, ["order_id", "ordered_at"], at(3, "00:00")),
        ({"matures_after": "0d"}, ["order_id", "ordered_at"], at(1)),
        (
            {"matures_after": None, "matures_at": "due_at", "matched_for": "9d"},
            ["order_id", "ordered_at", "due_at"],
            at(9),
        ),
    ],
    ids=["a delay", "at once", "a column"],
)
def test_a_label_is_due_after_a_delay_or_when_a_column_says_so(label, columns, matures_at):
    product = shop({"label": label})
    events = batch(product, 1, ["a"], due_at=at(9))
    assert due_columns(product) == columns
    expected = {"id": "a", "event_time": at(1), "matures_at": matures_at}
    assert due_times(events[columns], product).to_dict("records") == [expected]


def test_a_fixed_delay_is_counted_in_hours_also_when_the_clocks_change():
    product = shop({"time": {"timezone": "America/New_York"}})
    event = pd.DataFrame({"order_id": ["a"], "ordered_at": pd.to_datetime(["2013-03-09T23:30:00-05:00"], utc=True)})
    (due_at,) = due_times(event, product).matures_at
    assert due_at - event.ordered_at[0] == timedelta(hours=24)


@pytest.mark.parametrize(
    ("when", "message"),
    [
        ("came_back", "cannot be computed on the delivered outcomes"),
        ("returned > 'x'", "cannot be computed on the delivered outcomes"),
        ("True if returned else False", "cannot be computed on the delivered outcomes"),
        ("returned.nosuch()", "cannot be computed on the delivered outcomes"),
        ("price + 1", "must be true or false for each row"),
        ("1 > 0", "must be true or false for each row"),
    ],
)
def test_an_expression_that_gives_no_label_is_refused_and_quoted(when, message):
    product = shop({"label": {"when": when}})
    outcomes = returns({"a": True}, at(1)).assign(price=1.0)
    with pytest.raises(SourceError) as refused:
        label_day(outcomes, due(product, d1=["a"]), NOTHING_LABELLED, product, day(1))
    assert str(refused.value).startswith(f"label.when: {when!r} {message}")


@pytest.mark.parametrize("absent", ["order_id", "told_at"])
def test_outcomes_without_a_needed_column_are_refused_also_when_they_have_no_rows(absent):
    product = shop()
    for outcomes in (returns({"a": True}, at(1)), returns({}, at(1))):
        with pytest.raises(SourceError, match=f"outcomes lack the column\\(s\\) {absent}"):
            label_day(outcomes.drop(columns=absent), due(product, d1=["a"]), NOTHING_LABELLED, product, day(1))


def test_a_pending_entry_says_nothing_about_a_label():
    log = pd.concat([label_log({"a": 1.0}), label_log({"a": float("nan")}, PENDING, at(2))])
    assert latest_labels(log).label.tolist() == [1.0]
