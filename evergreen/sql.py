"""A source of two queries, on any database that SQLAlchemy speaks to."""

import os
import re
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

import pandas as pd

from evergreen.config import SqlSource
from evergreen.databases import EXAMPLE, connected, first_line, hidden, parsed
from evergreen.digests import digest_json
from evergreen.errors import DatabaseError, SourceError
from evergreen.periods import Periods
from evergreen.sources import Delivery

if TYPE_CHECKING:
    from sqlalchemy import Connection

BARE_BOUND = re.compile(r"(?<![:\w\\]):(start|end)\b")
SQLITE_TIME = re.compile(r"\b(?:datetime|julianday|strftime|unixepoch)\s*\([^()]*:(?:start|end)\b", re.IGNORECASE)


@dataclass(frozen=True)
class DailyQueries:
    """A day's events and outcomes from one snapshot of a database; `:start` and `:end` are when the day begins and ends, in UTC."""

    config: SqlSource
    periods: Periods

    def read(self, day: date) -> Delivery:
        queries = {"events": self.config.events, "outcomes": self.config.outcomes}
        bounds = {"start": self.periods.begins(day), "end": self.periods.ends(day)}
        url = database_url(self.config.url_from)
        try:
            with connected(url, self.config.url_from) as connection:
                begin_snapshot(connection, self.periods.timezone)
                tables = {kind: read_query(connection, kind, query, bounds) for kind, query in queries.items()}
        except DatabaseError as problem:
            raise SourceError(f"{problem}, and run {day} again") from None
        came_from = place_of(url, self.config.url_from)
        came_from |= {name: moment.isoformat() for name, moment in bounds.items()}
        provenance = {kind: {**came_from, "query": digest_json(query)} for kind, query in queries.items()}
        return Delivery(tables["events"], tables["outcomes"], provenance)


def database_url(variable: str) -> str:
    """What the environment variable holds. Raises SourceError where it is not set."""
    url = os.environ.get(variable)
    if not url:
        raise SourceError(
            f"{variable} is not set: source.url_from names it as the environment variable with the database's SQLAlchemy "
            f"URL; set it, such as {EXAMPLE}, for every process that runs the product"
        )
    return url


def place_of(url: str, variable: str) -> dict[str, str | None]:
    """Which database a URL leads to, as provenance records it: without secrets."""
    place = parsed(url, variable)
    return {"dialect": place.get_backend_name(), "host": place.host, "database": place.database}


def begin_snapshot(connection: "Connection", timezone: str) -> None:
    """One transaction that sees one state of the database and changes nothing.

    In PostgreSQL, a column without a time zone is then local in the product's zone, as everywhere else.
    """
    from sqlalchemy import text

    if connection.dialect.name == "postgresql":
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        connection.execute(text("SELECT set_config('TimeZone', :zone, true)"), {"zone": timezone})
    elif connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA query_only = ON")
        connection.exec_driver_sql("BEGIN")


def read_query(connection: "Connection", kind: str, query: str, bounds: dict[str, datetime]) -> pd.DataFrame:
    """A query's rows between the bounds, with aware times in UTC; `kind` is its key in the source.

    Raises DatabaseError with what the database said.
    """
    from sqlalchemy import DateTime, bindparam, text
    from sqlalchemy.exc import SQLAlchemyError

    if connection.dialect.name == "sqlite":
        _refuse_text_comparison(kind, query)
    statement = text(query).bindparams(*(bindparam(name, type_=DateTime(timezone=True)) for name in bounds))
    try:
        result = connection.execute(statement, bounds)
        table = pd.DataFrame.from_records(result.fetchall(), columns=list(result.keys()), coerce_float=True)
    except SQLAlchemyError as problem:
        url = connection.engine.url.render_as_string(hide_password=False)
        raise DatabaseError(
            f"source.{kind} fails on {hidden(url)} ({first_line(problem, url)}): correct the query in the product file, or "
            "what it reads"
        ) from None
    twice = sorted(set(table.columns[table.columns.duplicated()]))
    if twice:
        raise DatabaseError(f"source.{kind} gives {', '.join(twice)} twice: name the columns of the query, each once")
    return table.apply(_in_utc)


def _in_utc(values: pd.Series) -> pd.Series:
    """A driver gives each aware time the offset of its day, and the offsets of a column may differ."""
    aware = isinstance(values.dtype, pd.DatetimeTZDtype)
    mixed = values.dtype == "object" and pd.api.types.infer_dtype(values, skipna=True) == "datetime"
    return pd.to_datetime(values, utc=True) if aware or mixed else values


def _refuse_text_comparison(kind: str, query: str) -> None:
    """SQLite keeps times as text: compared letter by letter, 05:00:00 comes before 05:00:00.000000 and T after a space."""
    bare = BARE_BOUND.search(SQLITE_TIME.sub("", query))
    if bare:
        raise DatabaseError(
            f"source.{kind} compares with {bare.group()}, but SQLite keeps times as text, and the same moment can be written "
            f"in several ways: compare datetime(column) with datetime({bare.group()}), or julianday, unixepoch or strftime of both"
        )
