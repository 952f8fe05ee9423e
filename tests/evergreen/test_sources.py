from datetime import date

import pandas as pd
import pytest

from evergreen.config import FilesSource, PythonSource
from evergreen.errors import ConfigError, SourceError
from evergreen.sources import import_function, open_source, read_table
from tests.evergreen.builders import shop

DAY = date(2024, 1, 2)
ORDERS = pd.DataFrame({"order_id": ["a", "b"], "amount": [1.5, None]})
RETURNS = pd.DataFrame({"order_id": ["a"], "returned": [True]})


def read_orders(day):
    return ORDERS.assign(day=str(day)), RETURNS


def read_nothing(day):
    raise ConnectionError("the shop is closed")


def read_one_frame(day):
    return ORDERS, None


def own(name):
    return PythonSource(kind="python", function=f"{__name__}:{name}")


@pytest.fixture
def deliver(tmp_path):
    """`deliver(ending)`: writes both tables of the day, and gives the config that points to them."""

    def write(ending):
        for kind, table in (("events", ORDERS), ("outcomes", RETURNS)):
            path = tmp_path / kind / f"{DAY}.{ending}"
            path.parent.mkdir(exist_ok=True)
            table.to_csv(path, index=False) if ending == "csv" else table.to_parquet(path, index=False)
        return FilesSource(kind="files", events=f"events/{{day}}.{ending}", outcomes=f"outcomes/{{day}}.{ending}")

    return write


@pytest.mark.parametrize(
    ("ending", "orders", "returned"),
    [
        ("parquet", ORDERS, RETURNS),
        ("csv", ORDERS.assign(amount=pd.Series(["1.5", None], dtype="str")), RETURNS.assign(returned="True")),
    ],
)
def test_a_days_files_are_read_as_they_are_and_say_where_they_came_from(tmp_path, deliver, ending, orders, returned):
    """A CSV file holds text; validation and labeling give it its types."""
    delivery = open_source(shop({"source": deliver(ending).model_dump()}), tmp_path).read(DAY)
    pd.testing.assert_frame_equal(delivery.events, orders)
    pd.testing.assert_frame_equal(delivery.outcomes, returned)
    path = tmp_path / "events" / f"{DAY}.{ending}"
    assert delivery.provenance["events"]["file"] == str(path)
    assert delivery.provenance["events"]["bytes"] == path.stat().st_size
    assert len(delivery.provenance["outcomes"]["sha256"]) == 64


def test_text_in_a_csv_file_keeps_its_zeros_and_its_names(tmp_path):
    """An id 007 that becomes 7 in one file and stays 007 beside an A8 in the other no longer finds its outcome."""
    path = tmp_path / "orders.csv"
    path.write_text("order_id,country\n007,NA\n008,DE\n")
    table = read_table(path)
    assert table.order_id.astype("str").tolist() == ["007", "008"]
    assert table.country.tolist() == ["NA", "DE"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("day.parquet", None, "has not been delivered: deliver it and run the day again"),
        ("day.csv", None, "has not been delivered: deliver it and run the day again"),
        ("day.csv", b"", "is empty: a day on which nothing happened is a file with a header and no rows"),
        ("day.parquet", b"", "is not readable as Parquet"),
        ("day.parquet", b"PAR1 and no more", "is not readable as Parquet"),
        ("day.csv", b"a,b\n1,2,3\n1,2,3,4\n", "is not readable as CSV in UTF-8"),
        ("day.csv", "a\nü\n".encode("latin-1"), "is not readable as CSV in UTF-8"),
    ],
)
def test_what_cannot_be_read_is_named_with_the_way_out(tmp_path, name, content, message):
    path = tmp_path / name
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError) as unreadable:
        read_table(path)
    assert str(unreadable.value).startswith(f"{path} {message}")


@pytest.mark.parametrize("ending", ["parquet", "csv"])
def test_a_day_on_which_nothing_happened_has_columns_and_no_rows(tmp_path, ending):
    path = tmp_path / f"day.{ending}"
    nothing = ORDERS.iloc[:0]
    nothing.to_csv(path, index=False) if ending == "csv" else nothing.to_parquet(path, index=False)
    assert read_table(path).columns.tolist() == ["order_id", "amount"]
    assert len(read_table(path)) == 0


def test_one_missing_file_of_two_is_an_error(tmp_path, deliver):
    config = deliver("parquet")
    (tmp_path / "outcomes" / f"{DAY}.parquet").unlink()
    with pytest.raises(SourceError, match=r"outcomes.*has not been delivered"):
        open_source(shop({"source": config.model_dump()}), tmp_path).read(DAY)


def test_a_clones_own_function_is_asked_for_the_day(tmp_path):
    delivery = open_source(shop({"source": own("read_orders").model_dump()}), tmp_path).read(DAY)
    assert delivery.events.day.tolist() == ["2024-01-02", "2024-01-02"]
    assert delivery.outcomes.equals(RETURNS)
    assert delivery.provenance["events"] == {"function": f"{__name__}:read_orders"}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("read_nothing", "read_nothing failed for 2024-01-02: ConnectionError: the shop is closed"),
        ("read_one_frame", r"must return two pandas frames, \(events, outcomes\), for 2024-01-02"),
    ],
)
def test_a_function_that_fails_is_named_with_its_day(tmp_path, name, message):
    with pytest.raises(SourceError, match=message):
        open_source(shop({"source": own(name).model_dump()}), tmp_path).read(DAY)


@pytest.mark.parametrize("path", ["no_such_module:read", "evergreen.sources:no_such_function"])
def test_a_function_that_cannot_be_imported_is_a_fault_of_the_config(path):
    with pytest.raises(ConfigError, match=f"{path}: cannot be imported .*write module:function"):
        import_function(path)
