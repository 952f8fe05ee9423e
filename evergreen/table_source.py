"""Deliveries taken from one table, in which a row holds both what is known before its event and its outcome.

A period's events are the rows whose event falls in it, without any outcome column; its outcomes are those that became known in it.
"""

import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pandas as pd

from evergreen.config import CsvFormat, Product, TableSource
from evergreen.digests import digest_json
from evergreen.errors import SourceError
from evergreen.expressions import columns_in
from evergreen.periods import Periods
from evergreen.sources import Delivery
from evergreen.table_files import read_source
from evergreen.validation import to_utc

SECONDS_KEPT = 900
UNITS: dict[str, Literal["s", "ms"]] = {"unix": "s", "unix_ms": "ms"}


@dataclass(frozen=True)
class Timed:
    """A table as read: its rows, and when each happened and its outcome was known (UTC; missing where the row does not say)."""

    rows: pd.DataFrame
    happened: pd.Series
    known: pd.Series
    outcomes: list[str]
    provenance: dict[str, Any]


@dataclass(frozen=True)
class OneTable:
    """The table of a product; a relative path starts at `home`."""

    product: Product
    home: Path

    def read(self, day: date) -> Delivery:
        table, periods = self.table(), Periods.of(self.product.time)
        begins, ends = periods.begins(day), periods.ends(day)
        happened = (table.happened >= begins) & (table.happened < ends)
        known = (table.known >= begins) & (table.known < ends)
        known_at = self.product.label.known_at
        told = table.rows[[self.product.id, *table.outcomes]].assign(**{known_at: table.known})
        return Delivery(
            table.rows[happened].drop(columns=[known_at, *table.outcomes], errors="ignore").reset_index(drop=True),
            told[known].reset_index(drop=True),
            {"events": table.provenance, "outcomes": table.provenance},
        )

    def table(self) -> Timed:
        """The whole table, read once a process: a file again when it changed, a URL and a query after a quarter of an hour."""
        parts = {"source", "time", "id", "label", "features", "validation"}
        key = digest_json([self.product.model_dump(mode="json", include=parts), str(self.home)])
        version, held = self._version(), _HELD.get(key)
        if held is None or held[0] != version:
            rows, provenance = read_source(self._source, self.home, self.product.time.timezone)
            held = _HELD[key] = (version, timed(rows, self.product, provenance))
        return held[1]

    @property
    def _source(self) -> TableSource:
        assert isinstance(self.product.source, TableSource)
        return self.product.source

    def _version(self) -> object:
        """What changes when the table has to be read again; None where the file is absent, which reading it says."""
        if self._source.path is None:
            return time.monotonic() // SECONDS_KEPT
        try:
            found = (self.home / self._source.path).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_size


_HELD: dict[str, tuple[object, Timed]] = {}
"""The tables of this process, by what is declared of them, each with the version that was read."""


def timed(rows: pd.DataFrame, product: Product, provenance: dict[str, Any]) -> Timed:
    """The table with times that validation and labeling read, and numbers in plain digits.

    Raises SourceError where columns are missing or no row has a time.
    """
    source, label = product.source, product.label
    assert isinstance(source, TableSource)
    rows = _with_id(rows, product, source)
    _refuse_absent(rows, product, source)
    outcomes = outcome_columns(rows, product, source)
    spelt = rows.assign(**{name: as_iso(rows[name], source.time_format) for name in _times(rows, product)})
    spelt = spelt.assign(**{name: plain_numbers(spelt[name], source.csv) for name in _numbers(rows, product, outcomes)})
    happened = to_utc(spelt[product.time.event], product.time.timezone)
    if len(rows) and happened.isna().all():
        raise SourceError(
            f"no row of the table has a time in {product.time.event}: the first is {rows[product.time.event].iloc[0]!r}; name "
            "the column with the event's time (time.event), and say how it is written (source.time_format)"
        )
    if source.known_after is None:
        known = to_utc(spelt[label.known_at], product.time.timezone)
    else:
        known = happened + pd.Timedelta(source.known_after)
    unknown = spelt[columns_in(label.expression, outcomes)].isna().all(axis=1)
    counts = {"rows": len(rows), "rows_without_a_time": int(happened.isna().sum())}
    return Timed(spelt, happened, known.mask(unknown), outcomes, {**provenance, **counts})


def outcome_columns(rows: pd.DataFrame, product: Product, source: TableSource) -> list[str]:
    """The columns of the table that are known only with the outcome, besides the moment when it was."""
    named = {*source.outcomes, *columns_in(product.label.expression, map(str, rows.columns))}
    return [name for name in rows.columns if name in named and name != product.label.known_at]


def as_iso(times: pd.Series, written: str | None) -> pd.Series:
    """Times in the declared format as times that ISO 8601 knows; what does not follow it stays as it is, and is no time later."""
    if written is None or times.dtype.kind == "M":
        return times
    if written in UNITS:
        seen = pd.to_datetime(pd.to_numeric(times, errors="coerce"), unit=UNITS[written], utc=True, errors="coerce")
    else:
        seen = pd.to_datetime(times, format=written, errors="coerce", utc="%z" in written)
    return seen.map(pd.Timestamp.isoformat, na_action="ignore").astype("str").where(seen.notna(), times)


def plain_numbers(values: pd.Series, csv: CsvFormat) -> pd.Series:
    """Text without grouped digits and with a decimal point; other values as they are."""
    if (csv.decimal, csv.thousands) == (".", None) or not pd.api.types.is_string_dtype(values):
        return values
    ungrouped = values.str.replace(csv.thousands, "", regex=False) if csv.thousands else values
    return ungrouped.str.replace(csv.decimal, ".", regex=False)


def _with_id(rows: pd.DataFrame, product: Product, source: TableSource) -> pd.DataFrame:
    if not source.number_rows:
        return rows
    if product.id in rows:
        raise SourceError(f"source.number_rows makes the column {product.id}, but the table has one: choose another id")
    return rows.assign(**{product.id: pd.RangeIndex(len(rows)).astype("str")})


def _refuse_absent(rows: pd.DataFrame, product: Product, source: TableSource) -> None:
    known_at = product.label.known_at
    if source.known_after is not None and known_at in rows:
        raise SourceError(
            f"the table has a column {known_at}, and source.known_after would write over it: leave known_after out, or "
            "choose another name in label.known_at"
        )
    needed = [product.id, product.time.event, *([known_at] if source.known_after is None else []), *source.outcomes]
    absent = [name for name in needed if name not in rows]
    if absent:
        present = ", ".join(map(str, rows.columns))
        raise SourceError(f"the table has no column {', '.join(absent)} (it has: {present}): correct the product file")


def _times(rows: pd.DataFrame, product: Product) -> list[str]:
    label = product.label
    named = [
        product.time.event,
        *product.time.known_at,
        *product.features.date,
        label.known_at,
        *([label.matures_at] if label.matures_at else []),
    ]
    return [name for name in named if name in rows]


def _numbers(rows: pd.DataFrame, product: Product, outcomes: list[str]) -> list[str]:
    ranged = [name for name, rule in product.validation.columns.items() if rule.between]
    return [name for name in (*product.features.numeric, *ranged, *outcomes) if name in rows]
