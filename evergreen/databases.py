"""Databases that an installation is pointed to: a URL is a secret that only the environment holds, and nothing here shows it."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from evergreen.errors import DatabaseError

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection

EXAMPLE = "postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE"


@contextmanager
def connected(url: str, variable: str) -> "Iterator[Connection]":
    """A connection to the database of an SQLAlchemy URL, closed after the block; `variable` is where the URL was read.

    Raises DatabaseError where none can be had; its message holds no part of the URL that may be secret.
    """
    from sqlalchemy import create_engine
    from sqlalchemy.exc import NoSuchModuleError
    from sqlalchemy.pool import NullPool

    _refuse_absent_file(parsed(url, variable), variable)
    try:
        connection = create_engine(url, poolclass=NullPool).connect()
    except (NoSuchModuleError, ModuleNotFoundError) as problem:
        raise DatabaseError(
            f"{variable}: no driver for {hidden(url)} is installed ({first_line(problem, url)}): install one; for "
            f"PostgreSQL, evergreen[postgres], with the driver spelt out, {EXAMPLE}"
        ) from None
    except Exception as problem:  # whatever a driver raises may quote the URL
        raise DatabaseError(
            f"{variable}: {hidden(url)} cannot be opened ({first_line(problem, url)}): start it, or correct the URL in {variable}"
        ) from None
    with connection:
        yield connection


def parsed(url: str, variable: str) -> "URL":
    """The parts of an SQLAlchemy URL. Raises DatabaseError, which does not repeat it."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        return make_url(url)
    except (ArgumentError, ValueError):
        raise DatabaseError(
            f"{variable} does not hold an SQLAlchemy URL (it is not shown, it may hold a password): write it like {EXAMPLE}, "
            "with the characters / @ : ? of a password percent-encoded"
        ) from None


def hidden(text: str) -> str:
    """`text` without the user, the password and the options of a URL in it."""
    return re.sub(r"(://[^?]*)\?.*", r"\1", re.sub(r"//.*@", "//***@", text))


def first_line(problem: BaseException, url: str) -> str:
    """What the driver said, in a line, without the secrets of the URL."""
    text = next(iter(str(getattr(problem, "orig", None) or problem).strip().splitlines()), type(problem).__name__)
    for secret in _secrets(url):
        text = text.replace(secret, "***")
    return re.sub(r"//\S*@", "//***@", text)[:200]


def same_database(one: str, other: str) -> bool:
    """Whether two URLs lead to one database, whoever the user is."""
    from sqlalchemy import make_url

    places = [(url.host, url.port or 5432, url.database, url.query.get("host")) for url in map(make_url, (one, other))]
    return places[0] == places[1]


def _secrets(url: str) -> list[str]:
    """The password and the options, as they are and percent-encoded; a host among the options is none."""
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    try:
        parts = make_url(url)
    except (ArgumentError, ValueError):
        return []
    options = [value for name, values in parts.normalized_query.items() if name != "host" for value in values]
    found = [text for text in (parts.password, *options) if text]
    return [*found, *(quote(text, safe="") for text in found)]


def _refuse_absent_file(url: "URL", variable: str) -> None:
    """SQLite would make an empty database where a path is wrong."""
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:") or url.query:
        return
    path = Path(str(url.database)).absolute()
    if not path.exists():
        raise DatabaseError(f"{variable}: there is no database file {path}: correct the URL in {variable}")
