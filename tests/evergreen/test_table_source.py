"""One table as a source: each period gets what was known then, and outcomes never come with events."""

import os
from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from sqlalchemy import create_engine

from evergreen.config import CsvFormat
from evergreen.errors import ConfigError, SourceError
from evergreen.labeling import read_outcomes
from evergreen.sources import open_source
from evergreen.table_files import parse_csv
from evergreen.validation import validate
from tests.evergreen.builders import day, shop

ORDERS = pd.DataFrame(
    {
        "order_id": ["a", "b", "c", "d"],
        "ordered_at": ["2024-01-01T09:00", "2024-01-01T23:59", "2024-01-02T00:00", "2024-01-02T12:00"],
        "amount": [1.5, 2.0, None, 4.0],
        "color": ["red", "blue", "red", "NA"],
        "told_at": ["2024-01-02T09:00", "2024-01-03T08:00", "2024-01-02T10:00", None],
        "returned": [True, False, True, None],
        "refund": [1.5, None, 3.0, None],
    }
)


def table_shop(changes=None, **source):
    declared = {"kind": "table", "outcomes": ["refund"], **source}
    return shop({"source": declared, **(changes or {})})


def delivered(tmp_path: Path, table=ORDERS, ending="parquet", changes=None, **source):
    path = tmp_path / f"orders.{ending}"
    table.to_csv(path, index=False) if ending == "csv" else table.to_parquet(path, index=False)
    return open_source(table_shop(changes, path=path.name, **source), tmp_path)


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_day_has_its_events_and_what_became_known_on_it(tmp_path, ending):
    source = delivered(tmp_path, ending=ending)
    first, second, third = (source.read(day(number)) for number in (1, 2, 3))
    assert first.events.order_id.tolist() == ["a", "b"]
    assert len(first.outcomes) == 0
    assert second.events.order_id.tolist() == ["c", "d"]
    assert second.outcomes.order_id.tolist() == ["a", "c"]
    assert third.outcomes.order_id.tolist() == ["b"], "d has no outcome yet"
    assert second.events.columns.tolist() == ["order_id", "ordered_at", "amount", "color"]
    assert second.outcomes.columns.tolist() == ["order_id", "returned", "refund", "told_at"]


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_what_is_delivered_passes_validation_and_labeling(tmp_path, ending):
    source = delivered(tmp_path, ending=ending)
    delivery = source.read(day(2))
    batch = validate(delivery.events, shop(), day(2)).batch
    assert batch.order_id.tolist() == ["c", "d"]
    told = read_outcomes([delivery.outcomes], shop(), day(2)).usable
    assert dict(zip(told.id, told.label, strict=True)) == {"a": 1.0, "c": 1.0}


def test_without_a_moment_outcomes_are_known_after_the_declared_delay(tmp_path):
    source = delivered(tmp_path, ORDERS.drop(columns="told_at"), known_after="12h")
    outcomes = source.read(day(2)).outcomes
    assert outcomes.order_id.tolist() == ["b", "c"], "a on the first day, and d has no outcome"
    assert outcomes.told_at.iloc[0] == pd.Timestamp("2024-01-02T11:59Z")


def test_a_table_without_an_id_numbers_its_rows(tmp_path):
    source = delivered(tmp_path, ORDERS.drop(columns="order_id"), number_rows=True)
    delivery = source.read(day(2))
    assert delivery.events.order_id.tolist() == ["2", "3"]
    assert delivery.outcomes.order_id.tolist() == ["0", "2"]


def test_a_csv_file_says_how_it_is_written(tmp_path):
    (tmp_path / "orders.csv").write_bytes(
        "order_id;ordered_at;amount;color;told_at;returned\n"
        "1;31/01/2024 09:00;1.234,5;röt;31/01/2024 10:00;true\n"
        "2;31/01/2024 10:00;?;red;01/02/2024 10:00;false\n"
        "3;tomorrow;2;red;;\n".encode("latin-1")
    )
    written = {"delimiter": ";", "encoding": "latin-1", "decimal": ",", "thousands": ".", "missing": ["", "?"]}
    product = table_shop(path="orders.csv", csv=written, time_format="%d/%m/%Y %H:%M", outcomes=[])
    delivery = open_source(product, tmp_path).read(date(2024, 1, 31))
    assert delivery.provenance["events"]["rows_without_a_time"] == 1
    batch = validate(delivery.events, product, date(2024, 1, 31)).batch
    assert batch.ordered_at.tolist() == [pd.Timestamp("2024-01-31T09:00Z"), pd.Timestamp("2024-01-31T10:00Z")]
    assert batch.amount.iloc[0] == 1234.5
    assert batch.amount.isna().tolist() == [False, True]
    assert batch.color.tolist() == ["röt", "red"]
    assert delivery.outcomes.order_id.tolist() == ["1"]


@pytest.mark.parametrize(("written", "first"), [("unix", 1704099600), ("unix_ms", 1704099600000)])
def test_times_may_count_from_1970(tmp_path, written, first):
    orders = ORDERS.drop(columns="told_at").assign(ordered_at=first)
    events = delivered(tmp_path, orders, known_after="1h", time_format=written).read(day(1)).events
    assert pd.Timestamp(events.ordered_at.iloc[0]) == pd.Timestamp("2024-01-01T09:00Z")


def test_a_file_is_read_once_and_again_when_it_changes(tmp_path, monkeypatch):
    source = delivered(tmp_path)
    first = source.table()
    assert open_source(source.product, tmp_path).table() is first
    ORDERS.head(1).to_parquet(tmp_path / "orders.parquet")
    os.utime(tmp_path / "orders.parquet", ns=(1, 1))
    assert len(source.read(day(1)).events) == 1


def test_a_table_of_a_database_is_read_with_a_query(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path / 'shop.db'}"
    ORDERS.to_sql("orders", create_engine(url), index=False)
    monkeypatch.setenv("SHOP_DATABASE_URL", url)
    product = table_shop(query="SELECT * FROM orders", url_from="SHOP_DATABASE_URL")
    delivery = open_source(product, tmp_path).read(day(2))
    assert delivery.events.order_id.tolist() == ["c", "d"]
    assert delivery.outcomes.order_id.tolist() == ["a", "c"]
    assert delivery.provenance["events"]["dialect"] == "sqlite"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": {"numeric": ["refund"]}}, "refund: an outcome of the table"),
        ({"validation": {"columns": {"refund": {"required": True}}}}, "refund: an outcome of the table"),
        ({"label": {"when": "color == 'red'"}}, "color: known only with the outcome"),
        ({"source": {"known_after": "36h"}}, "matures_after 1d is shorter than source.known_after 36h"),
        ({"source": {"url": "https://a.org/b.csv"}}, "exactly one of path"),
        ({"source": {"url_from": "SHOP_URL"}}, "go together"),
        ({"source": {"path": None, "query": "SELECT 1", "url_from": "U", "number_rows": True}}, "needs an ORDER BY"),
        ({"source": {"csv": {"encoding": "utf-88"}}}, "is no encoding"),
        ({"source": {"csv": {"decimal": ",", "thousands": ","}}}, "decimal and thousands are both ','"),
        ({"source": {"csv": {"separator": ";"}}}, "unknown key"),
    ],
)
def test_a_declaration_that_would_leak_or_cannot_be_read_is_refused(changes, message):
    table = {"kind": "table", "path": "orders.csv", "outcomes": ["refund"]}
    with pytest.raises(ConfigError, match=message):
        shop({**changes, "source": {**table, **changes.get("source", {})}})


@pytest.mark.parametrize(
    ("change", "source", "message"),
    [
        ({}, {"outcomes": ["refunds"]}, r"has no column refunds \(it has: order_id"),
        ({}, {"known_after": "1h"}, "source.known_after would write over it"),
        ({}, {"number_rows": True}, "makes the column order_id, but the table has one"),
        ({"ordered_at": "monday"}, {}, "no row of the table has a time in ordered_at: the first is 'monday'"),
    ],
)
def test_a_table_that_does_not_fit_is_named_with_the_way_out(tmp_path, change, source, message):
    with pytest.raises(SourceError, match=message):
        delivered(tmp_path, ORDERS.assign(**change), **source).read(day(1))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"", "is empty: a table has at least a line"),
        (b"PAR1 and no more", "is not readable as Parquet"),
        (b"a,b\n1,2\n1,2,3\n", "is not readable as CSV in utf-8, separated by ','"),
        ("ü,b\n".encode("latin-1"), "is not readable as CSV in utf-8"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path, content, message):
    if content is not None:
        (tmp_path / "orders.csv").write_bytes(content)
    with pytest.raises(SourceError, match=message):
        open_source(table_shop(path="orders.csv"), tmp_path).read(day(1))


def test_a_folder_is_no_table(tmp_path):
    with pytest.raises(SourceError, match="is a folder: name one file"):
        open_source(table_shop(path="."), tmp_path).read(day(1))


@pytest.mark.parametrize(("ends", "first"), [(",", ["007", "red"]), ("", ["red", "blue"])])
def test_a_field_more_than_names_is_a_row_number_or_nothing(ends, first):
    """Fields that move to another column's name would be read without an error."""
    rows = parse_csv(f"id,color\n007,red{ends}\n".encode() if ends else b"id,color\n1,red,blue\n", CsvFormat())
    assert rows.iloc[0].tolist() == first
    assert rows.columns.tolist() == ["id", "color"]


def test_a_word_in_a_label_is_no_column():
    assert table_shop({"label": {"when": "returned == 'amount'"}}, path="orders.csv").features.numeric == ["amount"]
