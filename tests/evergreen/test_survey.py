"""What a survey sees in single columns: personal data, times in any writing, and columns that know the outcome."""

import numpy as np
import pandas as pd
import pytest

from evergreen.config import CsvFormat
from evergreen.survey.columns import about_a_person, look_at
from evergreen.survey.leaks import Truth, alone, find_outcomes
from evergreen.survey.times import find_times

ROWS = 400
HAPPENED = pd.Series(pd.date_range("2024-01-01", periods=ROWS, freq="h", tz="UTC"))
RANDOM = np.random.default_rng(7)
LATE = pd.Series(RANDOM.integers(0, 2, ROWS).astype(float))
TRUTH = Truth(LATE, "binary")


def texts(*values):
    return pd.Series(values, dtype="str")


@pytest.mark.parametrize(
    ("name", "values", "reason"),
    [
        ("customerEmail", texts("a"), "is named like an e-mail address"),
        ("first_name", texts("Ada"), "is named like a name"),
        ("street", texts("Elm"), "is named like an address"),
        ("ssn", texts("1"), "is named like a national id"),
        ("date_of_birth", texts("1990-01-01"), "is named like a date of birth"),
        ("contact", texts("ada@example.org", "bob@example.org"), "holds e-mail addresses"),
        ("host", texts("10.0.0.1", "192.168.1.20"), "holds IP addresses"),
        ("reach", texts("+49 30 1234567", "+1 (212) 555-0100"), "holds telephone numbers"),
        ("account", texts("DE89 3704 0044 0532 0130 00"), "holds bank accounts (IBAN)"),
        ("product_name", texts("lamp"), None),
        ("tip", texts("2.50"), None),
        ("ordered_at", texts("2024-01-01 10:00"), None),
        ("code", texts("A-1", "B-2"), None),
    ],
)
def test_personal_data_is_seen_by_name_and_by_value(name, values, reason):
    assert about_a_person(values, name) == reason


@pytest.mark.parametrize(
    ("values", "name", "first"),
    [
        (texts("2024-03-04T05:06", "2024-03-05"), "at", "2024-03-04T05:06"),
        (texts("2024-03-04T05:06:00+02:00"), "at", "2024-03-04T03:06"),
        (texts("13/03/2024 05:06", "04/04/2024 05:06"), "at", "2024-03-13T05:06"),
        (texts("03/13/2024", "04/04/2024"), "at", "2024-03-13"),
        (texts("13.03.2024"), "bought", "2024-03-13"),
        (texts("05/01/2024", "05/02/2024", "05/03/2024"), "at", "2024-05-01"),
        (texts("20240313"), "date", "2024-03-13"),
        (texts("1710288000"), "created_at", "2024-03-13"),
        (pd.Series([1710288000000]), "timestamp", "2024-03-13"),
        (texts("20240313"), "size", None),
        (texts("2024"), "year", None),
        (texts("monday"), "day", None),
        (pd.Series([1710288000]), "amount", None),
    ],
)
def test_times_are_read_in_any_usual_writing(values, name, first):
    found = find_times(values, name, "UTC")
    assert (found is None) == (first is None)
    assert found is None or found.values.iloc[0] == pd.Timestamp(first, tz="UTC")


def test_day_and_month_that_could_be_either_are_said_so():
    found = find_times(texts("05/01/2024", "06/01/2024", "07/01/2024"), "at", "UTC")
    assert found.values.iloc[0] == pd.Timestamp("2024-01-05", tz="UTC"), "days that follow each other, not months"
    assert found.note.endswith("but %m/%d/%Y would fit too: --time-format '%m/%d/%Y'")
    said = find_times(texts("05/01/2024", "06/01/2024"), "at", "UTC", "%m/%d/%Y")
    assert said.values.iloc[0] == pd.Timestamp("2024-05-01", tz="UTC")


COLUMNS = {
    "noise": (RANDOM.normal(size=ROWS), None),
    "good": (LATE + RANDOM.normal(0, 1.2, ROWS), None),
    "copy": (LATE * 3 + 1, "alone it ranks later rows by the label at 1.00"),
    "nearly": (LATE + RANDOM.normal(0, 0.45, ROWS), "alone it ranks"),
    "left": (pd.Series(RANDOM.normal(size=ROWS)).mask((LATE == 1) & (RANDOM.random(ROWS) < 0.3)), "where it is empty"),
    "actual_weight": (RANDOM.normal(size=ROWS), "its name speaks of what came of the event"),
    "seen_at": (HAPPENED + pd.Timedelta(hours=3), "a time later than the event in 100% of rows"),
    "asked_at": (HAPPENED - pd.Timedelta(hours=3), None),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_column_that_knows_the_outcome_is_told_from_a_good_feature(name):
    values, reason = COLUMNS[name]
    column = look_at(pd.Series(values), name, CsvFormat(), "UTC")
    found = find_outcomes([column], TRUTH, HAPPENED, {name: alone(column, TRUTH, HAPPENED)})
    assert (name in found) == (reason is not None)
    assert reason is None or found[name].why.startswith(reason)


def test_two_columns_that_make_up_the_label_are_told():
    casual, registered, began = (pd.Series(RANDOM.poisson(9, ROWS)) for _ in range(3))
    total = casual + registered
    table = {"casual": casual, "registered": registered, "began": began, "ended": began + total, "double": casual * 2}
    columns = [look_at(values, name, CsvFormat(), "UTC") for name, values in table.items()]
    found = find_outcomes(columns, Truth(total.astype("float64"), "regression"), HAPPENED, dict.fromkeys(table))
    assert {name: guess.why for name, guess in found.items()} == {
        "casual": "with registered it adds up to the label in every row",
        "registered": "with casual it adds up to the label in every row",
        "ended": "less began it is the label in every row",
    }


def test_too_few_rows_say_nothing_of_a_column():
    column = look_at(LATE.head(60), "copy", CsvFormat(), "UTC")
    assert alone(column, Truth(LATE.head(60), "binary"), HAPPENED.head(60)) is None
