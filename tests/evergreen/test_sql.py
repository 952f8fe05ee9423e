"""The SQL source on SQLite and on PostgreSQL: the same rows, the same bounds, and no secret in what it says."""

import traceback
from datetime import date

import pandas as pd
import pytest
from sqlalchemy import create_engine, text

from evergreen.config import SqlSource
from evergreen.databases import same_database
from evergreen.errors import ConfigError, SourceError
from evergreen.periods import Periods
from evergreen.sql import DailyQueries
from tests.evergreen.builders import shop

DAY = date(2024, 3, 31)  # clocks go forward in Berlin: the day lasts from 23:00 to 22:00 UTC
PERIODS = Periods(date(2024, 1, 1), None, "Europe/Berlin")
VARIABLE = "SHOP_DATABASE_URL"
MOMENTS = {
    "the moment before": "2024-03-30 22:59:59.999999+00:00",
    "the first": "2024-03-30 23:00:00+00:00",
    "winter": "2024-03-31 01:30:00+01:00",
    "summer": "2024-03-31 03:30:00+02:00",
    "the last": "2024-03-31 21:59:59.999999+00:00",
    "the end": "2024-03-31 22:00:00+00:00",
}
OF_THE_DAY = ["the first", "winter", "summer", "the last"]
POSTGRES = "SELECT * FROM {table} WHERE at >= :start AND at < :end ORDER BY number"
SQLITE = (
    "SELECT * FROM {table} WHERE datetime(at) >= datetime(:start) AND datetime(at) < datetime(:end) ORDER BY number"
)


def source(query: str, **changes: str) -> SqlSource:
    queries = {kind: query.format(table=kind) for kind in ("events", "outcomes")}
    return SqlSource(**{"kind": "sql", "url_from": VARIABLE, **queries, **changes})


def read(config: SqlSource, day: date = DAY):
    return DailyQueries(config, PERIODS).read(day)


def refusal(config: SqlSource) -> str:
    """The message of a refusal, after a look at everything that would be printed or kept of it."""
    with pytest.raises(SourceError) as refused:
        read(config)
    printed = "".join(traceback.format_exception(refused.value))
    assert not [secret for secret in ("p@ss", "p%40ss", "sesame") if secret in printed]
    return str(refused.value)


def fill(url: str, kind_of_time: str) -> str:
    engine = create_engine(url)
    with engine.begin() as connection:
        for table in ("events", "outcomes"):
            connection.execute(
                text(
                    f"CREATE TABLE {table} (number INTEGER, name TEXT, at {kind_of_time}, amount NUMERIC(6, 2), told BOOLEAN)"
                )
            )
            for number, (name, moment) in enumerate(MOMENTS.items()):
                values = {
                    "number": number,
                    "name": name,
                    "at": moment,
                    "amount": 1.5 if number % 2 else None,
                    "told": True,
                }
                connection.execute(text(f"INSERT INTO {table} VALUES (:number, :name, :at, :amount, :told)"), values)
    engine.dispose()
    return url


@pytest.fixture
def sqlite(tmp_path, monkeypatch):
    url = fill(f"sqlite:///{tmp_path / 'shop.db'}", "TEXT")
    monkeypatch.setenv(VARIABLE, url)
    return url


@pytest.fixture(scope="module")
def _filled(postgres):
    return fill(postgres.create("shop"), "TIMESTAMPTZ")


@pytest.fixture
def in_postgres(_filled, monkeypatch):
    monkeypatch.setenv(VARIABLE, _filled)
    return _filled


def test_sqlite_gives_the_rows_of_the_products_day(sqlite, tmp_path):
    delivery = read(source(SQLITE))
    assert delivery.events.name.tolist() == delivery.outcomes.name.tolist() == OF_THE_DAY
    assert delivery.events["at"].tolist() == [MOMENTS[name] for name in OF_THE_DAY]
    assert delivery.provenance["events"]["database"] == str(tmp_path / "shop.db")
    assert len(read(source(SQLITE), date(2024, 5, 1)).outcomes) == 0


def test_postgresql_gives_the_rows_of_the_products_day_with_types(in_postgres):
    delivery = read(source(POSTGRES))
    assert delivery.events.name.tolist() == delivery.outcomes.name.tolist() == OF_THE_DAY
    expected = pd.to_datetime([MOMENTS[name] for name in OF_THE_DAY], utc=True, format="ISO8601").astype(
        "datetime64[us, UTC]"
    )
    pd.testing.assert_series_equal(delivery.events["at"], pd.Series(expected, name="at"))
    assert delivery.events.dtypes.astype("str").to_dict() == {
        "number": "int64", "name": "str", "at": "datetime64[us, UTC]", "amount": "float64", "told": "bool"
    }  # fmt: skip
    empty = read(source(POSTGRES), date(2024, 5, 1)).outcomes
    assert (empty.columns.tolist(), len(empty)) == (["number", "name", "at", "amount", "told"], 0)


def test_the_origin_is_told_without_the_secret(in_postgres):
    delivery = read(source(POSTGRES))
    digests = [delivery.provenance[kind].pop("query") for kind in ("events", "outcomes")]
    assert delivery.provenance["events"] == delivery.provenance["outcomes"] == {
        "dialect": "postgresql", "host": "127.0.0.1", "database": "shop",
        "start": "2024-03-30T23:00:00+00:00", "end": "2024-03-31T22:00:00+00:00",
    }  # fmt: skip
    assert digests[0] != digests[1]
    assert [len(digest) for digest in digests] == [16, 16]


def test_a_time_without_a_zone_is_local_in_the_products_zone(in_postgres):
    """The server's own zone is Tokyo's."""
    at = "SELECT moment AS at FROM (SELECT TIMESTAMP '2024-03-31 00:00:00' AS moment) AS one WHERE moment >= :start AND moment < :end"
    assert read(source(at)).events["at"].tolist() == [pd.Timestamp("2024-03-31")]


def test_events_and_outcomes_are_of_one_moment_and_nothing_is_changed(in_postgres, sqlite, monkeypatch):
    snapshot = "SELECT pg_current_snapshot()::text AS seen FROM events WHERE at >= :start AND at < :end"
    monkeypatch.setenv(VARIABLE, in_postgres)
    delivery = read(source(snapshot))
    assert delivery.events.seen.tolist() == delivery.outcomes.seen.tolist()
    deletes = "DELETE FROM events WHERE at >= :start AND at < :end RETURNING *"
    assert "cannot execute DELETE in a read-only transaction" in refusal(source(deletes))
    monkeypatch.setenv(VARIABLE, sqlite)
    deletes = "DELETE FROM events WHERE at >= datetime(:start) AND at < datetime(:end) RETURNING *"
    assert "attempt to write a readonly database" in refusal(source(deletes))


@pytest.mark.parametrize(
    ("where", "refused"),
    [
        ("datetime(at) >= datetime(:start) AND datetime(at) < datetime(:end)", False),
        ("unixepoch(at) >= unixepoch( :start ) AND unixepoch(at) < unixepoch(:end)", False),
        ("at >= strftime('%Y-%m-%d', :start) AND at < STRFTIME('%Y-%m-%d', :end)", False),
        ("at >= :start AND at < :end", True),
        ("datetime(at) >= datetime(:start) AND at < :end", True),
        ("at BETWEEN :start AND :end", True),
    ],
)
def test_sqlite_compares_moments_and_not_their_spelling(sqlite, where, refused):
    config = source("SELECT * FROM {table} WHERE " + where)
    if refused:
        assert "SQLite keeps times as text" in refusal(config)
    else:
        assert len(read(config).events) > 0


@pytest.mark.parametrize(
    ("url", "message"),
    [
        (None, "SHOP_DATABASE_URL is not set: source.url_from names it as the environment variable"),
        ("", "SHOP_DATABASE_URL is not set"),
        ("p@ss", "SHOP_DATABASE_URL does not hold an SQLAlchemy URL (it is not shown, it may hold a password)"),
        ("postgresql+psycopg2://me:p@ss@host:port/shop", "does not hold an SQLAlchemy URL"),
        ("postgresql://me:p%40ss@127.0.0.1:9/shop", "no driver for postgresql://***@127.0.0.1:9/shop is installed"),
        ("postgers://me:p%40ss@127.0.0.1:9/shop", "no driver for postgers://***@127.0.0.1:9/shop is installed"),
        ("postgresql+psycopg2://me:p%40ss@127.0.0.1:9/shop", "***@127.0.0.1:9/shop cannot be opened (connection to server"),
        ("postgresql+psycopg2://me:p%40ss@127.0.0.1:9/shop?sslmode=sesame", 'cannot be opened (invalid sslmode value: "***")'),
        ("postgresql+psycopg2://127.0.0.1:9/shop?sesame=sesame", "cannot be opened (invalid dsn: invalid connection option"),
        ("sqlite:////no/such/folder/shop.db", "there is no database file /no/such/folder/shop.db"),
    ],
)  # fmt: skip
def test_a_database_that_cannot_be_opened_is_named_without_the_secret(monkeypatch, url, message):
    monkeypatch.delenv(VARIABLE, raising=False)
    if url is not None:
        monkeypatch.setenv(VARIABLE, url)
    assert message in refusal(source(POSTGRES))


def test_a_wrong_password_is_said_and_not_shown(postgres, monkeypatch):
    monkeypatch.setenv(VARIABLE, postgres.url("shop", "sesame"))
    message = refusal(source(POSTGRES))
    assert 'password authentication failed for user "evergreen"' in message
    assert message.endswith("start it, or correct the URL in SHOP_DATABASE_URL, and run 2024-03-31 again")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"events": "SELECT nothing FROM events WHERE at >= :start AND at < :end"}, 'source.events fails on postgresql+psycopg2://***@'),
        ({"outcomes": "SELECT * FROM outcome WHERE at >= :start AND at < :end"}, 'relation "outcome" does not exist'),
        (
            {"events": "SELECT * FROM events JOIN outcomes USING (number) WHERE events.at >= :start AND events.at < :end"},
            "gives amount, at, name, told twice: name the columns of the query, each once, and run 2024-03-31 again",
        ),
    ],
)  # fmt: skip
def test_a_query_that_fails_is_named_with_what_the_database_said(in_postgres, changes, message):
    assert message in refusal(source(POSTGRES, **changes))


BOUNDED = "SELECT * FROM orders WHERE at >= :start AND at < :end"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, None),
        ({"events": BOUNDED.replace(":end", "CAST(:end AS date)::date") + r" AND clock = 'HH24\:MI' AND at < '12:30'"}, None),
        ({"url_from": "postgresql+psycopg2://me:sesame@host/shop"}, "the name of an environment variable is expected, never the secret"),
        ({"events": BOUNDED.replace(":end", ":end::date")}, ":start::date is written CAST(:start AS date)"),
        ({"events": "SELECT * FROM orders"}, "source.events: a query has the two parameters :start and :end"),
        ({"outcomes": BOUNDED.replace(":end", "'2024-01-01'")}, "source.outcomes: a query has the two parameters"),
        ({"events": BOUNDED + " AND shop = :shop"}, "and no others, such as SELECT * FROM flights WHERE departure >= :start"),
        ({"url": "sqlite://"}, "source.url: unknown key"),
    ],
)  # fmt: skip
def test_a_source_names_its_variable_and_bounds_its_queries(changes, message):
    declared = {"kind": "sql", "url_from": VARIABLE, "events": BOUNDED, "outcomes": BOUNDED, **changes}
    if message is None:
        assert isinstance(shop({"source": declared}).source, SqlSource)
        return
    with pytest.raises(ConfigError) as refused:
        shop({"source": declared})
    assert message in str(refused.value)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ("postgresql+psycopg2://you:else@host:5432/one", True),
        ("postgresql+psycopg2://me:sesame@host/two", False),
        ("postgresql+psycopg2://me:sesame@elsewhere/one", False),
        ("postgresql+psycopg2://me:sesame@host:5433/one", False),
    ],
)
def test_two_urls_lead_to_one_database_whoever_the_user_is(other, same):
    assert same_database("postgresql+psycopg2://me:sesame@host/one", other) == same
