"""`evergreen new`: what it makes of a table, and the exact message that each odd one gets."""

import io
import sys
import threading
from datetime import date
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from sqlalchemy import create_engine

from evergreen.config import Product
from evergreen.durations import parse_span
from evergreen.product_files import load_product, overlay, read_yaml
from evergreen.survey.times import guess_cadence
from tests.loop.life import evergreen

ROWS_A_DAY, DAYS = 20, 21


def orders(days: int = DAYS) -> pd.DataFrame:
    """An ordinary table: what is known before, and whether the order came back, told a day later."""
    random, rows = np.random.default_rng(7), ROWS_A_DAY * days
    amount = random.uniform(0, 100, rows).round(2)
    moments = pd.date_range("2024-01-01T08:00", periods=days, freq="D").repeat(ROWS_A_DAY)
    ordered = moments + pd.to_timedelta(np.tile(np.arange(ROWS_A_DAY), days) * 7, unit="min")
    back = amount + random.normal(0, 40, rows) > 70
    return pd.DataFrame(
        {
            "order_id": [f"A{row}" for row in range(rows)],
            "ordered_at": ordered.strftime("%Y-%m-%dT%H:%M"),
            "amount": amount,
            "color": random.choice(["red", "blue"], rows),
            "returned": np.where(back, "yes", "no"),
        }
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where tables lie; configs and home are of its own, and nobody is at the terminal."""
    monkeypatch.setenv("EVERGREEN_CONFIGS", str(tmp_path / "configs"))
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path / "home"))
    return tmp_path


ANSWERS = ("--label", "returned", "--known-after", "1d", "--owner", "team:shop")


def new(folder: Path, table: "pd.DataFrame | bytes | None", *flags: str, name: str = "orders.csv", columns: int = 1000):
    """The command on a table, and what it said in one line each."""
    path = folder / name
    if isinstance(table, bytes):
        path.write_bytes(table)
    elif table is not None:
        table.to_parquet(path) if name.endswith("parquet") else table.to_csv(path, index=False)
    return evergreen("new", "returns", "--from", str(path), *flags, columns=columns)


def written(folder: Path) -> Product:
    return load_product(folder / "configs" / "products" / "returns.yaml")


def test_an_ordinary_table_makes_a_product(folder):
    done = new(folder, orders(), *ANSWERS)
    assert done.returncode == 0, done.stderr
    product = written(folder)
    assert product.task == "binary"
    assert product.label.when == 'returned == "yes"'
    assert (product.id, product.time.event) == ("order_id", "ordered_at")
    assert (product.time.start, product.time.end) == (date(2024, 1, 1), date(2024, 1, 21))
    assert product.features.numeric == ["amount"]
    assert product.features.categorical == ["color"]
    assert product.source.known_after == product.label.matures_after == pd.Timedelta(days=1)
    assert "evergreen replay returns" in done.stdout


def latin(table: pd.DataFrame) -> bytes:
    return table.assign(color="grün").to_csv(index=False).encode("latin-1")


def day_first(table: pd.DataFrame) -> pd.DataFrame:
    return table.assign(ordered_at=pd.to_datetime(table.ordered_at).dt.strftime("%d/%m/%Y %H:%M"))


def mixed_zones(table: pd.DataFrame) -> pd.DataFrame:
    zone = np.where(np.arange(len(table)) % 2 == 0, "+01:00", "+02:00")
    return table.assign(ordered_at=table.ordered_at + ":00" + zone)


def wide(table: pd.DataFrame) -> pd.DataFrame:
    noise = np.random.default_rng(7).normal(size=(len(table), 295)).round(3)
    return table.join(pd.DataFrame(noise, columns=[f"sensor_{number}" for number in range(295)]))


ODD = [
    ("no time column", orders().drop(columns="ordered_at"), "no column holds times, and Evergreen lives by them: it has to know when each event happened (columns: order_id, amount, color, returned)"),
    ("year, month, day", orders().drop(columns="ordered_at").assign(year=2024, month=1, day=2), "no column holds times, and Evergreen lives by them: it has to know when each event happened; make one of year, month, day, such as 2024-01-31T07:00"),
    ("constant label", orders().assign(returned="no"), "the label returned is always no: there is nothing to predict; choose another with --label"),
    ("all-null label", orders().assign(returned=None), "the label returned has no value in any row: choose another with --label"),
    ("empty file", b"", "is empty: a table has at least a line with the names of its columns"),
    ("header only", orders().head(0), "has a header and no rows: put in the rows of some weeks at least"),
    ("one row", orders().head(1), "the label returned is always"),
    ("three days", orders(3), "the table spans 3 day(s), of which the last 1 have no label yet: at least 10 are needed, to train on 4 and judge by 4 others; add rows, or choose a shorter period with --cadence"),
    ("no header", orders().to_csv(index=False, header=False).encode(), "the first line should name the columns, but holds values"),
    ("ragged lines", b"a,b\n1,2\n1,2,3\n", "is not readable as CSV in utf-8, separated by ','"),
    ("a web page", b"<!doctype html><html></html>", "is an HTML or XML page, no table: save the table as CSV or Parquet (of a web page, the raw file)"),
    ("a comment first", b"# from the shop\na,b\n1,2\n", "the first line is a comment (# from the shop): remove it, so that the first line names the columns"),
    ("two fields too many", b"a,b\n1,2,3,4\n", "lines have 2 fields more than the header has names"),
    ("JSON", b'[{"a": 1}]', "is JSON, no table"),
    ("an Excel workbook", b"\xd0\xcf\x11\xe0rest", "is an Excel workbook: save the sheet as CSV or Parquet"),
    ("binary rubbish", bytes(range(256)), "is neither text nor Parquet"),
    ("a time named as the loop's own", orders().rename(columns={"ordered_at": "day"}), "day: the loop has a column of that name itself"),
    ("no such file", None, "there is no such file; correct the path, or put the table there"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "message"), [case[1:] for case in ODD], ids=[case[0] for case in ODD])
def test_what_makes_no_product_is_told_with_the_way_out(folder, table, message):
    refused = new(folder, table, *ANSWERS)
    assert refused.returncode == 1
    assert message in refused.stderr
    assert not (folder / "configs").exists(), "nothing is written"


GOES_ON = [
    ("two string classes", orders(), "yes is the positive"),
    ("duplicate ids", orders().assign(order_id="A1"), "order_id repeats in 99.8% of rows, so it is no id: rows are numbered"),
    ("wrong delimiter", orders().to_csv(index=False, sep=";").encode(), "note: fields are separated by ';', not by commas"),
    ("decimal comma", orders().to_csv(index=False, sep=";", decimal=",").encode(), "note: numbers have a decimal comma: "),
    ("thousands", orders().assign(amount=[f"{value * 1000:,.2f}" for value in orders().amount]), "note: ',' groups digits: "),
    ("not UTF-8", latin(orders().assign(pad="x")), "note: not UTF-8: read as latin-1, which makes"),
    ("300 columns", wide(orders(11)), "not among the 60 that alone say most"),
    ("day-first times", day_first(orders()), "note: ordered_at: written as %d/%m/%Y %H:%M: 01/01/2024 08:00"),
    ("mixed time zones", mixed_zones(orders()), "note: ordered_at: offsets differ (+01:00, +02:00): all are turned into UTC"),
    ("missing labels", orders().assign(returned=orders().returned.mask(np.arange(420) % 20 == 0)), "note: 21 rows (5.0%) have no label: they are pending, never a class"),
    ("NA for a missing value", orders().assign(amount=orders().amount.astype(str).mask(np.arange(420) % 9 == 0, "NA")), "note: NA stand for missing values"),
    ("all-null column", orders().assign(coupon=None), "no row has a value"),
    ("constant column", orders().assign(country="DE"), "always DE"),
    ("personal data", orders().assign(contact=[f"a{row}@example.org" for row in range(420)]), "holds e-mail addresses, personal data: --personal contact uses it nevertheless"),
    ("a leak", orders().assign(score=(orders().returned == "yes") * 3 + np.arange(420) % 2), "alone it ranks later rows by the label at 1.00, where 0.5 is chance and 1 is perfect"),
    ("a column filled with the label", orders().assign(returned=orders().returned.mask(np.arange(420) % 9 == 0), reason=pd.Series("size", index=range(420)).mask(np.arange(420) % 9 == 0)), "empty wherever the label is missing"),
    ("nothing but time and label", orders()[["ordered_at", "returned"]], "note: nothing is left to predict from but the date and hour of ordered_at"),
    ("empty because of the outcome", orders().assign(kept_at_home=orders().amount.mask(orders().returned == "yes")), "the label is always the same"),
    ("a plan, and what it came to", orders().assign(sched_weight=orders().amount * 2, weight=np.arange(420) % 7), "what sched_weight was to be"),
    ("numbered rows, as R writes them", "\n".join(f"{row},{line}" if row else line for row, line in enumerate(orders().to_csv(index=False).splitlines())).encode(), "every row has another value"),
    ("a delimiter at each end", "\n".join(f"{line}," if row else line for row, line in enumerate(orders().to_csv(index=False).splitlines())).encode(), "every row has another value"),
    ("a column named as the loop's own", orders().assign(day=np.arange(420) % 31), "the loop has a column day itself: give it another name"),
    ("a later time", orders().assign(shipped_at="2024-03-01"), "a time later than the event in 100% of rows"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "said"), [case[1:] for case in GOES_ON], ids=[case[0] for case in GOES_ON])
def test_what_can_be_made_sense_of_goes_on_and_says_so(folder, table, said):
    done = new(folder, table, *ANSWERS)
    assert done.returncode == 0, done.stderr
    assert said in " ".join(done.stdout.split())
    assert written(folder).name == "returns"


class _Missing(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_error(404)

    def log_message(self, *_):
        pass


def test_a_url_that_is_not_there_says_what_the_server_answered(folder):
    server = HTTPServer(("127.0.0.1", 0), _Missing)
    thread = threading.Thread(target=server.handle_request)
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/orders.csv"
    refused = evergreen("new", "returns", "--from", url, *ANSWERS)
    thread.join()
    server.server_close()
    assert f"{url} answers 404 Not Found: open it in a browser, and correct the URL" in refused.stderr


def test_a_table_of_a_database_is_named_by_a_variable(folder, monkeypatch):
    monkeypatch.setenv("SHOP_DATABASE_URL", f"sqlite:///{folder / 'shop.db'}")
    orders().drop(columns="order_id").to_sql("orders", create_engine(f"sqlite:///{folder / 'shop.db'}"), index=False)
    done = evergreen("new", "returns", "--from", "orders", "--url-from", "SHOP_DATABASE_URL", *ANSWERS)
    assert done.returncode == 0, done.stderr
    source = written(folder).source
    assert source.query == "SELECT * FROM (SELECT * FROM orders) AS surveyed ORDER BY ordered_at"
    assert source.number_rows


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ((), "Which column is to be predicted? Say it with --label"),
        (("--label", "returnd"), "--label returnd: the table has no column returnd; did you mean returned?"),
        (("--label", "amount >"), "the table has no column amount >"),
        (
            ("--label", "returned"),
            "How long after its event is a row's outcome known? Say it with --known-after, such as --known-after 1d",
        ),
        ((*ANSWERS, "--known-after", "soon"), "--known-after: 'soon' is not a duration"),
        (
            (*ANSWERS, "--event-time", "color"),
            "--event-time color: holds no times that can be read (2 different values)",
        ),
        ((*ANSWERS, "--cadence", "yearly"), "--cadence yearly: one of hourly, daily, weekly, monthly is expected"),
        ((*ANSWERS, "--id", "color"), "--id color: 418 rows repeat an id"),
        ((*ANSWERS, "--positive", "maybe"), "--positive maybe: returned has no such value (it has: no, yes)"),
        ((*ANSWERS, "--task", "regression"), "--task regression: the label returned holds no numbers"),
        ((*ANSWERS, "--outcomes", "colour"), "--outcomes colour: the table has no such column; did you mean color?"),
        ((*ANSWERS, "--timezone", "Berlin"), "--timezone Berlin: no IANA time zone"),
        ((*ANSWERS, "--from", "postgresql://me:sesame@host/shop"), "--from holds a database's URL, which is a secret"),
        ((*ANSWERS, "--from", "."), "is a folder: name one file"),
    ],
)
def test_what_cannot_be_known_or_is_wrong_names_its_flag(folder, flags, message):
    refused = new(folder, orders(), *flags)
    assert refused.returncode == 1
    assert message in refused.stderr
    assert "sesame" not in refused.stderr


def test_a_file_is_written_over_only_when_told(folder):
    assert new(folder, orders(), *ANSWERS).returncode == 0
    before = (folder / "configs" / "products" / "returns.yaml").read_text()
    assert "exists: choose another name, or write over it with --force" in new(folder, orders(), *ANSWERS).stderr
    assert new(folder, orders().assign(size=1.5 * orders().amount), *ANSWERS, "--force").returncode == 0
    assert (folder / "configs" / "products" / "returns.yaml").read_text() != before


def test_a_name_that_no_product_can_have_is_refused(folder):
    refused = evergreen("new", "Late Orders", "--from", "orders.csv", *ANSWERS)
    assert "'Late Orders' is no product's name: lower case, digits and underscores" in refused.stderr


def test_a_number_makes_a_regression_and_a_class_of_several_a_multiclass(folder):
    several = orders().assign(size=np.resize(["L", "M", "S", "M"], len(orders())))
    assert new(folder, several, *ANSWERS, "--label", "amount").returncode == 0
    product = written(folder)
    assert (product.task, product.label.value) == ("regression", "amount")
    assert product.label.spread == pytest.approx(several.amount.std(), rel=1e-3)
    assert product.heuristic.before_training == pytest.approx(several.amount.median(), rel=1e-3)
    assert new(folder, several, *ANSWERS, "--label", "size", "--force").returncode == 0
    product = written(folder)
    assert (product.task, product.label.classes) == ("multiclass", ["L", "M", "S"])
    assert product.heuristic.before_training == {"L": 0.25, "M": 0.5, "S": 0.25}
    assert product.decision.good_enough.at_most == pytest.approx(0.99 * 0.5)


CONTRADICTIONS = [
    ({"features": {"numeric": ["amuont"]}}, 1, "wrong: events have no column amuont; did you mean amount?"),
    ({"label": {"when": 'returned == "maybe"'}}, 1, "wrong: the label is 0 in all"),
    ({"label": {"when": "returned >= 3"}}, 1, "wrong: label.when: 'returned >= 3' cannot be computed"),
    (
        {"validation": {"rows_per_period": {"at_least": 30, "at_most": 50}}},
        1,
        "would be refused as a whole: volume: 20 rows",
    ),
    ({"validation": {"columns": {"amount": {"between": [0, 99]}}}}, 0, "doubtful: "),
    (
        {"training": {"at_least": "60d"}},
        1,
        "the first decision would come on 2024-03-06, after the product's last day, 2024-01-21",
    ),
    ({"evaluation": {"window": "1d"}}, 1, "wrong: one day judges, and a comparison needs two"),
    ({"evaluation": {"slices": ["color"]}}, 0, "no slice of color would have 200 rows in the window"),
    (
        {"source": {"path": "nowhere.csv"}},
        0,
        "unknown: no delivery could be read, so the data are not checked: 2024-01-01: ",
    ),
    ({"id": "color"}, 1, "wrong: 418 rows repeat an id in color"),
]


@pytest.fixture(scope="module")
def product_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        place = tmp_path_factory.mktemp("written")
        patch.setenv("EVERGREEN_CONFIGS", str(place / "configs"))
        patch.setenv("EVERGREEN_HOME", str(place / "home"))
        assert new(place, orders(), *ANSWERS).returncode == 0
    return place / "configs" / "products" / "returns.yaml"


@pytest.mark.parametrize(("changes", "code", "message"), CONTRADICTIONS)
def test_a_product_file_is_checked_against_its_data(folder, product_file, changes, code, message):
    path = folder / "returns.yaml"
    path.write_text(yaml.safe_dump(overlay(read_yaml(product_file), changes)))
    checked = evergreen("validate-config", str(path), columns=1000)
    assert message in checked.stdout
    assert checked.returncode == code
    assert "  wrong: " not in evergreen("validate-config", str(path), "--schema-only").stdout


def test_a_product_file_that_fits_its_data_is_only_valid(folder, product_file):
    checked = evergreen("validate-config", str(product_file), columns=1000)
    assert checked.stdout.splitlines() == [f"{product_file}: valid, product returns"]


@pytest.mark.parametrize(
    ("cadence", "step", "periods", "start", "at_least", "known_after"),
    [
        ("hourly", "h", 24 * 12, "2024-01-01T00", "4d", "1h"),
        ("weekly", "7D", 40, "2024-01-01", "15w", "3d"),
        ("monthly", "MS", 36, "2024-01-01", "14mo", "20d"),
    ],
)
def test_a_cadence_is_declared_in_its_own_units(folder, cadence, step, periods, start, at_least, known_after):
    random = np.random.default_rng(7)
    moments = pd.date_range("2024-01-01", periods=periods, freq=step).repeat(3)
    load = pd.DataFrame({"at": moments, "temp": random.normal(size=len(moments)).round(2)})
    load["load"] = (load.temp + random.normal(size=len(moments))).round(2)
    done = new(folder, load, *ANSWERS[2:], "--label", "load", "--cadence", cadence, "--known-after", known_after)
    assert done.returncode == 0, done.stderr
    product = written(folder)
    assert product.time.cadence == cadence
    assert (str(product.time.start), str(product.training.at_least)) == (start, str(parse_span(at_least)))
    assert product.features.date == ["at"]


@pytest.mark.parametrize(("step", "cadence"), [("D", "daily"), ("W", "weekly"), ("MS", "monthly")])
def test_the_cadence_is_how_rows_fall(step, cadence):
    moments = pd.date_range("2024-01-01", periods=60, freq=step, tz="UTC").to_series()
    assert guess_cadence(moments, "UTC").value == cadence


class _Terminal(io.StringIO):
    def isatty(self):
        return True


def test_what_cannot_be_known_is_asked_at_a_terminal(folder, monkeypatch):
    monkeypatch.setattr(sys, "stdin", _Terminal("returned\n2d\n"))
    done = new(folder, orders(), "--owner", "team:shop")
    assert done.returncode == 0, done.stderr
    assert "Which column is to be predicted?" in done.stdout
    assert written(folder).source.known_after == pd.Timedelta(days=2)
