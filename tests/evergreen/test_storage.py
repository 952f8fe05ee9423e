import os

import pandas as pd
import pytest

from evergreen.errors import PartitionCorrupt, PartitionMissing
from evergreen.storage import Store, write_bytes
from tests.evergreen.builders import day

ONE, TWO = pd.DataFrame({"id": ["a"], "x": [1.0]}), pd.DataFrame({"id": ["b", "c"], "x": [2.0, None]})


@pytest.fixture
def store(tmp_path):
    made = Store(tmp_path / "shop")
    made.write("batch", day(1), ONE)
    made.write("batch", day(2), TWO)
    made.write_document("report", day(1), {"days": [day(1)], "value": None})
    return made


def files(store):
    return sorted(str(path.relative_to(store.root)) for path in store.root.rglob("*") if path.is_file())


def test_partitions_and_documents_lie_where_the_module_says(store):
    assert files(store) == [
        "batch/day=2024-01-01/part-0.parquet",
        "batch/day=2024-01-02/part-0.parquet",
        "report/day=2024-01-01.json",
    ]
    assert store.days("batch") == [day(1), day(2)]
    assert store.document_days("report") == [day(1)]
    assert (store.days("none"), store.document_days("none")) == ([], [])


def test_what_is_written_is_read_back_in_the_order_asked_for(store):
    assert store.read("batch", day(2)).equals(TWO)
    assert store.read_days("batch", [day(2), day(1)]).id.tolist() == ["b", "c", "a"]
    assert store.read("batch", day(2), ["x"]).columns.tolist() == ["x"]
    assert store.read_days("batch", []).empty
    assert store.read_document("report", day(1)) == {"days": ["2024-01-01"], "value": None}


def test_a_day_whose_write_failed_is_no_day(store):
    def parts():
        yield ONE
        raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        store.write("batch", day(3), parts())

    assert store.path("batch", day(3)).parent.exists()
    assert store.days("batch") == [day(1), day(2)]


def test_a_second_write_replaces_the_first_and_the_digest_tells_the_content(store):
    assert store.write("batch", day(1), TWO) == store.write("batch", day(2), TWO) != store.write("batch", day(3), ONE)
    assert store.read("batch", day(1)).equals(TWO)


def test_a_partition_that_was_read_is_read_anew_once_it_was_replaced_or_damaged(store):
    """The same size each time: it is not the size that tells."""
    for amount in (1.0, 2.0):
        store.write("batch", day(1), pd.DataFrame({"amount": [amount]}))
        assert store.read("batch", day(1)).amount.tolist() == [amount]
        assert store.read("batch", day(1)).amount.tolist() == [amount]
    store.path("batch", day(1)).write_bytes(b"x" * store.path("batch", day(1)).stat().st_size)
    with pytest.raises(PartitionCorrupt):
        store.read("batch", day(1))


def test_what_a_reader_does_to_its_frame_is_not_what_the_next_one_reads(store):
    store.write("batch", day(1), pd.DataFrame({"amount": [1.0, 2.0], "color": ["red", "blue"]}))
    mine = store.read("batch", day(1))
    mine.loc[0, "amount"], mine.loc[0, "color"] = 9.0, "green"
    assert store.read("batch", day(1)).to_dict("list") == {"amount": [1.0, 2.0], "color": ["red", "blue"]}


def test_a_failing_write_leaves_the_old_content(store, monkeypatch):
    def full_disk(_):
        raise OSError("No space left on device")

    monkeypatch.setattr(os, "fsync", full_disk)
    for write in (
        lambda: store.write("batch", day(1), TWO),
        lambda: store.write("batch", day(3), TWO),
        lambda: store.write_document("report", day(1), {}),
        lambda: store.write_document("report", day(3), {}),
    ):
        with pytest.raises(OSError, match="No space left"):
            write()
    assert store.read("batch", day(1)).equals(ONE)
    assert store.read_document("report", day(1)) == {"days": ["2024-01-01"], "value": None}
    assert store.document_days("report") == [day(1)]
    with pytest.raises(PartitionMissing):
        store.read("batch", day(3))


def test_a_frame_that_parquet_cannot_hold_touches_nothing(store):
    before = files(store)
    with pytest.raises(Exception, match="mixed"):
        store.write("batch", day(1), pd.DataFrame({"mixed": [1, "a", b"b"]}))
    assert files(store) == before
    assert store.read("batch", day(1)).equals(ONE)


def test_a_write_that_succeeds_leaves_one_file(tmp_path):
    for content in (b"old", b"new"):
        write_bytes(content, tmp_path / "folder" / "file")
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["file"]
    assert (tmp_path / "folder" / "file").read_bytes() == b"new"


def test_missing_partitions_are_counted_and_the_first_is_named_with_the_way_out(store):
    with pytest.raises(PartitionMissing) as missing:
        store.read_days("batch", [day(1), day(3), day(4)])
    assert str(missing.value).startswith(
        f"2 partition(s) of batch are missing, the first is {store.path('batch', day(3))}"
    )
    assert "materialise batch for that day again" in str(missing.value)
    with pytest.raises(PartitionMissing, match="is missing: materialise report for 2024-01-02 again"):
        store.read_document("report", day(2))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all", None], ids=["empty", "head", "text", "torn"])
def test_a_corrupt_partition_is_named_with_the_way_out(store, content):
    path = store.path("batch", day(2))
    path.write_bytes(path.read_bytes()[:-20] if content is None else content)
    with pytest.raises(PartitionCorrupt) as corrupt:
        store.read_days("batch", [day(1), day(2)])
    assert str(corrupt.value).startswith(f"{path} is not a readable Parquet file")
    assert "delete it and materialise batch for that day again" in str(corrupt.value)


@pytest.mark.parametrize("content", [b"", b'{"days": [', b"\xff\xfe"], ids=["empty", "torn", "not text"])
def test_a_corrupt_document_is_named_with_the_way_out(store, content):
    store.document_path("report", day(1)).write_bytes(content)
    with pytest.raises(PartitionCorrupt, match="delete it and materialise report for 2024-01-01 again"):
        store.read_document("report", day(1))


@pytest.mark.parametrize("columns", [None, ["id", "x", "y"]])
@pytest.mark.parametrize("days", [(1, 3), (3, 1)])
def test_a_partition_of_an_older_schema_is_refused_and_not_filled_with_missing_values(store, columns, days):
    store.write("batch", day(3), ONE.assign(y=1.0))
    with pytest.raises(PartitionCorrupt) as older:
        store.read_days("batch", [day(number) for number in days], columns)
    assert "day=2024-01-01" in str(older.value)
    assert "has no column y: it was written under an older config" in str(older.value)


@pytest.mark.parametrize("days", [(1, 3), (3, 1)])
def test_a_batch_in_which_a_column_has_another_kind_is_refused_and_not_turned_into_it(store, days):
    store.write("batch", day(3), ONE.assign(x="1"))
    wanted = [day(number) for number in days]
    with pytest.raises(PartitionCorrupt, match=r"has x in another kind than the days beside it: .* evergreen backfill"):
        store.read_days("batch", wanted)
    with pytest.raises(PartitionCorrupt, match="has x in another kind"):
        list(store.scan("batch", wanted, ["x"]))


def test_columns_that_every_partition_has_are_read_across_a_change_of_schema(store):
    store.write("batch", day(3), ONE.assign(y=1.0))
    assert store.read_days("batch", [day(1), day(3)], ["id"]).id.tolist() == ["a", "a"]


def test_only_a_partition_without_rows_is_empty(store):
    store.write("batch", day(3), ONE.iloc[:0])
    store.path("batch", day(4)).parent.mkdir()
    store.path("batch", day(4)).write_bytes(b"broken")
    assert [store.is_empty("batch", day(number)) for number in (1, 3, 4, 5)] == [False, True, False, False]
