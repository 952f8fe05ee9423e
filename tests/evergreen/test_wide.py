"""What is worked in chunks is what one chunk would have given, and ids are followed across chunks."""

from functools import partial

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from evergreen import drift, wide
from evergreen.as_of import AsOf
from evergreen.digests import digest_frame
from evergreen.errors import DayRefused, SourceError
from evergreen.labeling import label_parts, read_outcomes
from evergreen.monitoring import live_parts, performance
from evergreen.scoring import Scored, keep_answers, predictions_in_parts
from evergreen.sources import read_table
from evergreen.storage import Store
from evergreen.validation import validate_parts
from tests.evergreen.builders import at, day, orders, returns, shop

TABLES = ("raw_events", "raw_outcomes", "batch", "quarantine", "labels", "predictions")
LOOSE = {"validation": {"quarantine_at_most": 0.6}}
FIRST = orders(
    1,
    ["a", "b", "c", "a", "d", None, "e", "f", None],
    amount=[1, 2, None, 4, 5, 6, 7, 8, 9],
    color=["red", "blue", "red", "red", None, "red", "blue", "red", "blue"],
    gift=pd.array([True, None, False, None, None, None, True, True, None], dtype="boolean"),
    points=pd.array([1, 2, 3, 4, None, 6, 7, 8, 9], dtype="Int64"),
).astype({"gift": "object"})
EARLY = returns({"g": True, "y": True}, at(1))
TOLD = returns({"a": True, "b": False, "x": True, "e": None}, at(2))
CORRECTED = pd.concat([TOLD, returns({"a": False, "f": True}, at(2, "13:00"))], ignore_index=True)


def deliver(table, path, by_pandas):
    """A file with whole numbers with gaps, which pandas reads in the types that it wrote, or else as floats."""
    content = pa.Table.from_pandas(table, preserve_index=False)
    pq.write_table(content if by_pandas else content.replace_schema_metadata(), path)
    return read_table(path)


def live(folder, product, by_pandas):
    """Two days as the daily job lives them; returns their tables and digests."""
    store = Store(folder / "shop")
    held = {}
    for number, events, outcomes in ((1, FIRST, EARLY), (2, orders(2, ["g", "h"]), CORRECTED)):
        today, view = day(number), AsOf(store, product, day(number))
        for kind, table in (("events", events), ("outcomes", outcomes)):
            store.write(f"raw_{kind}", today, deliver(table, folder / f"{kind}{number}.parquet", by_pandas))
        with store.writing("batch", today) as batch, store.writing("quarantine", today) as quarantine:
            for part in validate_parts(partial(store.scan, "raw_events", [today]), product, today):
                batch.add(part.batch)
                quarantine.add(part.quarantine)
        told = read_outcomes(view.scan("raw_outcomes", [today]), product, today)
        parts = label_parts(told, view.recent_due_times(), view.labels_before(), product, today)
        store.write("labels", today, parts)
        rows = store.parts("batch", today)
        scores = np.linspace(0.1, 0.9, len(rows))
        scored = Scored(scores, "champion", {"version": 3})
        store.write(
            "predictions",
            today,
            predictions_in_parts(
                rows, scored, {"baseline": scores / 2, "previous": None, "first": None}, product, "abc"
            ),
        )
        assert all(store.digest(table, today) == digest_frame(store.read(table, today)) for table in TABLES)
        held |= {
            f"told {number}": (len(told.usable), told.undetermined, told.untimely),
            f"due {number}": view.coverage_of_due_days(),
        }
        held |= {f"mature {number}": view.mature(day(1)).rows.to_csv(), f"new {number}": view.newly_mature_days()}
    held |= {(table, number): store.read(table, day(number)).to_csv() for table in TABLES for number in (1, 2)}
    held |= {(table, number, "digest"): store.digest(table, day(number)) for table in TABLES for number in (1, 2)}
    return store, held, performance(live_parts(view, [day(1)]), {3: 0.25}, product)


@pytest.fixture(scope="module", params=[True, False], ids=["types of pandas", "no types of pandas"])
def in_one(request, tmp_path_factory):
    return *live(tmp_path_factory.mktemp("one"), shop(LOOSE), request.param), request.param


@pytest.mark.parametrize("rows", [1, 2, 3, 8])
def test_days_in_chunks_are_days_in_one(tmp_path, monkeypatch, in_one, rows):
    monkeypatch.setattr(wide, "CHUNK_ROWS", rows)
    _, held, card = live(tmp_path, shop(LOOSE), in_one[3])
    assert held == in_one[1]
    pd.testing.assert_frame_equal(card, in_one[2])


def test_the_day_has_what_is_tested(in_one):
    """A repeated id, a missing one, a corrected outcome, one told on the eve, orphans, one without a value, and rows that are pending."""
    store = in_one[0]
    assert store.read("quarantine", day(1)).reasons.tolist() == [
        "order_id: the id came before", "order_id: missing", "order_id: missing"
    ]  # fmt: skip
    assert store.read("labels", day(1))[["id", "origin"]].to_numpy().tolist() == [
        ["g", "unmatched"],
        ["y", "unmatched"],
    ]
    labels = store.read("labels", day(2))
    assert labels.id.tolist() == ["a", "b", "f", "g", "c", "d", "e", "x"]
    assert labels.label.tolist()[:4] == [0.0, 0.0, 1.0, 1.0]
    assert labels.origin.tolist() == ["outcome"] * 4 + ["none"] * 3 + ["unmatched"]
    assert len(in_one[2]) > 2


@pytest.mark.parametrize("rows", [2, 100])
def test_a_day_with_too_many_bad_rows_is_refused_after_its_last_chunk(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(wide, "CHUNK_ROWS", rows)
    store, product = Store(tmp_path), shop({"validation": {"quarantine_at_most": 0.3}})
    store.write("raw_events", day(1), FIRST)
    with pytest.raises(DayRefused, match=r"3 of 9 rows are bad \(33.3%, at most 30.0% may be\)"):
        list(validate_parts(partial(store.scan, "raw_events", [day(1)]), product, day(1)))


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_wide_file_comes_in_parts(tmp_path, monkeypatch, ending):
    path = tmp_path / f"orders.{ending}"
    FIRST.to_csv(path, index=False) if ending == "csv" else FIRST.to_parquet(path, index=False)
    whole = read_table(path)
    monkeypatch.setattr(wide, "CHUNK_ROWS", 4)
    parts = [part if ending == "csv" else part.to_pandas() for part in read_table(path)]
    assert [len(part) for part in parts] == [4, 4, 1]
    assert pd.concat(parts).order_id.tolist() == whole.order_id.tolist()


def test_a_wide_file_that_breaks_off_is_a_source_error(tmp_path, monkeypatch):
    monkeypatch.setattr(wide, "CHUNK_ROWS", 2)
    path = tmp_path / "orders.csv"
    path.write_text('a,b\n1,2\n3,4\n5,6\n7,8\n9,"10\n')
    with pytest.raises(SourceError, match="deliver it again"):
        list(read_table(path))


def test_what_was_answered_stays_answered_whichever_chunk_it_is_in(monkeypatch):
    monkeypatch.setattr(wide, "CHUNK_ROWS", 2)
    answered = pd.DataFrame({"id": list("edcba"), "score": [5, 4, 3, 2, 1]})
    again = pd.DataFrame({"id": list("abxde"), "score": 0})
    known = wide.ById(answered)
    kept = [keep_answers(part, known.of(part.id)) for part in wide.slices(again)]
    assert pd.concat(kept).to_numpy().tolist() == [["a", 1], ["b", 2], ["x", 0], ["d", 4], ["e", 5]]


def test_rows_are_found_by_id_even_where_hashes_collide(monkeypatch):
    """All hashes are equal here: the filter lets everything through, and the text of the ids still decides."""
    monkeypatch.setattr(wide, "CHUNK_ROWS", 2)
    monkeypatch.setattr(wide, "hashes_of", lambda ids: np.zeros(len(ids), dtype="uint64"))
    rows = pd.DataFrame({"id": list("abc"), "value": [1, 2, 3]})
    assert wide.ById(rows).of(pd.Series(["b"])).equals(rows)
    product = shop()
    told = read_outcomes([TOLD.iloc[:2], CORRECTED], product, day(2))
    assert sorted(zip(told.usable.id, told.usable.label, strict=True)) == [
        ("a", 0.0),
        ("b", 0.0),
        ("f", 1.0),
        ("x", 1.0),
    ]


@pytest.mark.parametrize("kind", ["str", "object"])
def test_ids_among_others(kind):
    ids = pd.Series(["b", None, "a", "é"], index=[3, 1, 2, 0], dtype=kind)
    assert wide.among(ids, ["a", "é", None]).to_dict() == {3: False, 1: False, 2: True, 0: True}
    assert not wide.among(ids, []).any()
    assert wide.among(ids, {"b"}).to_dict()[3]


def test_only_rows_with_one_of_the_ids_are_found(monkeypatch):
    monkeypatch.setattr(wide, "CHUNK_ROWS", 2)
    rows = pd.DataFrame({"id": list("cabca"), "value": range(5)})
    assert wide.ById(rows).of(pd.Series(["c", "a", "z"])).value.tolist() == [0, 1, 3, 4]
    assert wide.ById(rows).of(pd.Series(["z"])).value.tolist() == []
    assert wide.may_repeat(rows.id).tolist() == [True, True, False, True, True]


def test_drift_column_by_column_is_drift_of_the_frame(monkeypatch):
    rows = pd.DataFrame({"amount": [1.0, 2, None, 4, 5, 6], "color": ["red", "blue", None, "red", "red", "blue"]})
    scores = np.linspace(0, 1, 6)
    known = drift.profile(rows, shop().features, {"amount": 0.5, "color": 0.5}, scores)
    whole = drift.compare(known, rows.iloc[1:], scores[1:])
    monkeypatch.setattr(wide, "CHUNK_ROWS", 2)
    by_column = drift.compare(known, wide.Columns(lambda names: rows.iloc[1:][names]), scores[1:])
    pd.testing.assert_frame_equal(by_column, whole)
