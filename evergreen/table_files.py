"""Reading one whole table: a CSV or Parquet file, from a path or a URL, or a query."""

import hashlib
import io
from pathlib import Path
from typing import Any, Literal
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import pandas as pd
import pyarrow as pa

from evergreen.config import CsvFormat, TableSource
from evergreen.databases import connected, hidden
from evergreen.digests import digest_json
from evergreen.errors import DatabaseError, SourceError

SECONDS_TO_ANSWER = 60
PACKED: dict[bytes, Literal["gzip", "zip"]] = {b"\x1f\x8b": "gzip", b"PK": "zip"}
EXCEL = "an Excel workbook: save the sheet as CSV or Parquet"


def read_source(source: TableSource, home: Path, timezone: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The whole table as it is, and where it came from. Raises SourceError."""
    if source.path is not None:
        content, name = read_bytes(home / source.path), str(home / source.path)
    elif source.url is not None:
        content, name = download(source.url), hidden(source.url)
    else:
        return _read_database(str(source.query), str(source.url_from), timezone)
    place = {"file": name, "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    return parse_table(content, source.csv, name), place


def read_bytes(path: Path) -> bytes:
    """A file's content. Raises SourceError with the way out."""
    if path.is_dir():
        raise SourceError(f"{path} is a folder: name one file, CSV or Parquet, that holds the whole table")
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise SourceError(f"{path}: there is no such file; correct the path, or put the table there") from None
    except OSError as problem:
        raise SourceError(f"{path} cannot be read ({problem.strerror}): correct the path, or its permissions") from None


def download(url: str) -> bytes:
    """The content behind an http(s) URL. Raises SourceError with what the server answered."""
    try:
        with urlopen(url, timeout=SECONDS_TO_ANSWER) as answer:
            return bytes(answer.read())
    except HTTPError as problem:
        problem.close()
        raise SourceError(
            f"{hidden(url)} answers {problem.code} {problem.reason}: open it in a browser, and correct the URL"
        ) from None
    except (URLError, OSError, ValueError) as problem:
        reason = getattr(problem, "reason", problem)
        raise SourceError(f"{hidden(url)} cannot be reached ({reason}): correct the URL, or try again") from None


def _read_database(query: str, url_from: str, timezone: str) -> tuple[pd.DataFrame, dict[str, Any]]:
    """The rows of a query, and which database they came from; a time without a zone is local in `timezone`."""
    from evergreen.sql import begin_snapshot, database_url, place_of, read_query

    url = database_url(url_from)
    try:
        with connected(url, url_from) as connection:
            begin_snapshot(connection, timezone)
            rows = read_query(connection, "query", query, {})
    except DatabaseError as problem:
        raise SourceError(str(problem)) from None
    return rows, {**place_of(url, url_from), "query": digest_json(query)}


def parse_table(content: bytes, csv: CsvFormat, name: str) -> pd.DataFrame:
    """A file's content; `name` says in errors what it is."""
    if not content.strip():
        raise SourceError(f"{name} is empty: a table has at least a line with the names of its columns")
    if is_workbook(content):
        raise SourceError(f"{name} is {EXCEL}")
    try:
        if content.startswith(b"PAR1"):
            return pd.read_parquet(io.BytesIO(content))
        return parse_csv(content, csv)
    except (pa.ArrowInvalid, pd.errors.ParserError, UnicodeError, OSError) as problem:
        kind = "Parquet" if content.startswith(b"PAR1") else f"CSV in {csv.encoding}, separated by {csv.delimiter!r}"
        raise SourceError(
            f"{name} is not readable as {kind} ({str(problem).splitlines()[0]:.120}): correct the file, or source.csv"
        ) from None


def is_workbook(content: bytes) -> bool:
    return content.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")) and (b"xl/" in content or content[0] == 0xD0)


def parse_csv(content: bytes, csv: CsvFormat, rows: int | None = None) -> pd.DataFrame:
    """The fields as text, as in the file; `rows` reads no more than so many, None all. gzip and zip are opened."""
    table: pd.DataFrame = pd.read_csv(
        io.BytesIO(content),
        sep=csv.delimiter,
        encoding=csv.encoding,
        dtype="str",
        keep_default_na=False,
        na_values=csv.missing,
        compression=PACKED.get(content[:2]),
        nrows=rows,
    )
    return table if isinstance(table.index, pd.RangeIndex) else _realigned(table)


def _realigned(table: pd.DataFrame) -> pd.DataFrame:
    """Lines with a field more than the header has names: numbered rows, as R writes them, or a delimiter that ends each line."""
    if isinstance(table.index, pd.MultiIndex):
        raise pd.errors.ParserError(f"lines have {table.index.nlevels} fields more than the header has names")
    if table.iloc[:, -1].isna().all():
        return table.reset_index().iloc[:, :-1].set_axis(table.columns, axis=1)
    return table.reset_index(drop=True)
