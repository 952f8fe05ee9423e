"""Reading a file of which nothing is known but its content: how it is written is found out, and said."""

import csv
import gzip
import io
import re
import zipfile
from collections import Counter
from dataclasses import dataclass, field

import pandas as pd

from evergreen.config import CsvFormat
from evergreen.errors import SourceError
from evergreen.table_files import PACKED, parse_table

DELIMITERS = ",;\t|"
LOOKED_AT = 2**20
MARKS_OF_NOTHING = ["NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "?", "-", "\\N"]
NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*")
GROUPED = r"[+-]?\d{{1,3}}(?:{thousands}\d{{3}})+(?:{decimal}\d+)?"
DIGITS = r"[+-]?[\d., ']+"
FRACTION = r"[+-]?\d+,\d+"
STARTS_THAT_ARE_NO_TABLE = {b"<": "an HTML or XML page", b"{": "JSON", b"[": "JSON", b"%PDF": "a PDF"}


@dataclass(frozen=True)
class Found:
    """A table, how its file is written, and what was done to read it that the reader should know."""

    rows: pd.DataFrame
    csv: CsvFormat = field(default_factory=CsvFormat)
    notes: list[str] = field(default_factory=list)


def find_table(content: bytes, name: str) -> Found:
    """The table in a file's content; `name` says in errors which. Raises SourceError where there is none, with the way out."""
    if not content.strip() or content.startswith((b"PAR1", b"\xd0\xcf\x11\xe0")) or b"xl/" in content[:4096]:
        return _usable(Found(parse_table(content, CsvFormat(), name)), name)
    text, encoding, notes = _decoded(_unpacked(content), name)
    delimiter = _delimiter(text)
    if delimiter != ",":
        notes.append(f"fields are separated by {delimiter!r}, not by commas")
    _refuse_no_header(text, delimiter, name)
    written = CsvFormat(delimiter=delimiter, encoding=encoding)
    rows = parse_table(content, written, name)
    missing = _marks_of_nothing(rows)
    if missing:
        notes.append(f"{', '.join(missing)} stand for missing values")
        written = written.model_copy(update={"missing": ["", *missing]})
        rows = parse_table(content, written, name)
    decimal, thousands, note = _marks_in_numbers(rows)
    notes += note
    return _usable(Found(rows, written.model_copy(update={"decimal": decimal, "thousands": thousands}), notes), name)


def _unpacked(content: bytes) -> bytes:
    kind = PACKED.get(content[:2])
    if kind == "gzip":
        return gzip.decompress(content)
    if kind == "zip":
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            return archive.read(archive.namelist()[0])
    return content


def _decoded(content: bytes, name: str) -> tuple[str, str, list[str]]:
    """The text, its encoding, and what to say of it."""
    for start, kind in STARTS_THAT_ARE_NO_TABLE.items():
        if content.lstrip().startswith(start):
            raise SourceError(
                f"{name} is {kind}, no table: save the table as CSV or Parquet (of a web page, the raw file)"
            )
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16"), "utf-16", ["the text is UTF-16"]
    if b"\0" in content[:LOOKED_AT]:
        raise SourceError(f"{name} is neither text nor Parquet: save the table as CSV or Parquet")
    try:
        return content.decode("utf-8-sig"), "utf-8-sig" if content.startswith(b"\xef\xbb\xbf") else "utf-8", []
    except UnicodeDecodeError as problem:
        text = content.decode("latin-1")
        around = " ".join(text[max(0, problem.start - 12) : problem.start + 12].split())
        return (
            text,
            "latin-1",
            [f"not UTF-8: read as latin-1, which makes {around!r}; if that is wrong, correct source.csv.encoding"],
        )


def _delimiter(text: str) -> str:
    """The character that cuts the first lines into the same number of fields, as many as possible; a comma where none does."""
    start = text[:LOOKED_AT]
    found = {}
    for delimiter in DELIMITERS:
        lengths = [
            len(row)
            for _, row in zip(range(200), csv.reader(io.StringIO(start), delimiter=delimiter), strict=False)
            if row
        ]
        whole = lengths[:-1] if len(lengths) > 2 and len(text) > LOOKED_AT else lengths
        width, count = Counter(whole).most_common(1)[0]
        if width > 1 and width == whole[0]:
            found[delimiter] = (count / len(whole), width)
    return max(found, key=lambda delimiter: found[delimiter]) if found else ","


def _refuse_no_header(text: str, delimiter: str, name: str) -> None:
    head = next(csv.reader(io.StringIO(text[:LOOKED_AT]), delimiter=delimiter), [])
    if head and head[0].startswith("#"):
        raise SourceError(
            f"{name}: the first line is a comment ({','.join(head)[:60]}): remove it, so that the first line names the columns"
        )
    numbers = [cell for cell in head if NUMBER.fullmatch(cell)]
    if numbers:
        raise SourceError(
            f"{name}: the first line should name the columns, but holds values ({', '.join(numbers[:3])}): add a line with "
            "the names"
        )


def _marks_of_nothing(rows: pd.DataFrame) -> list[str]:
    """Words in columns of which everything else is a number."""
    found = set()
    for name in rows.columns:
        values = rows[name].dropna()
        marks = values.isin(MARKS_OF_NOTHING)
        if marks.any() and not marks.all() and _all_match(values[~marks], rf"{NUMBER.pattern}|{FRACTION}|\d{{4}}-.*"):
            found |= set(values[marks])
    return sorted(found)


def _marks_in_numbers(rows: pd.DataFrame) -> tuple[str, str | None, list[str]]:
    """The decimal mark, what groups digits (None: nothing), and what to say of them."""
    texts = [rows[name].dropna() for name in rows.columns]
    texts = [
        values
        for values in texts
        if len(values) and _all_match(values, DIGITS) and not _all_match(values, NUMBER.pattern)
    ]
    for decimal, thousands in ((",", "."), (".", ","), (",", " "), (".", " "), (".", "'")):
        grouped = GROUPED.format(thousands=re.escape(thousands), decimal=re.escape(decimal))
        plain = rf"[+-]?\d+(?:{re.escape(decimal)}\d+)?"
        for values in texts:
            if values.str.fullmatch(grouped).any() and _all_match(values, f"{grouped}|{plain}"):
                example = values[values.str.fullmatch(grouped)].iloc[0]
                read = example.replace(thousands, "").replace(decimal, ".")
                return decimal, thousands, [f"{thousands!r} groups digits: {example} is {read}"]
    for values in texts:
        if _all_match(values, rf"{FRACTION}|[+-]?\d+"):
            example = values[values.str.contains(",")].iloc[0]
            return ",", None, [f"numbers have a decimal comma: {example} is {example.replace(',', '.')}"]
    return ".", None, []


def _all_match(values: pd.Series, pattern: str) -> bool:
    """Whether all values follow a pattern; most that do not show it at once."""
    return bool(values.head(500).str.fullmatch(pattern).all() and values.str.fullmatch(pattern).all())


def _usable(found: Found, name: str) -> Found:
    """The same. Raises SourceError where there are no rows."""
    if not len(found.rows):
        raise SourceError(f"{name} has a header and no rows: put in the rows of some weeks at least")
    return found
