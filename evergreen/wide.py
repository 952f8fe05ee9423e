"""Wide tables: a table with more rows than a chunk is read, worked and written in chunks, so that memory follows the chunk.

What spans chunks goes by id, through hashes of ids: they only say which rows may belong together, and the text of the ids decides.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

CHUNK_ROWS = 2**18

Rows = TypeVar("Rows", pd.DataFrame, pd.Series)
Hashes = np.ndarray[Any, np.dtype[np.uint64]]


def slices(rows: Rows) -> Iterator[Rows]:
    """A frame or a column in chunks, at least one."""
    for first in range(0, max(1, len(rows)), CHUNK_ROWS):
        yield rows.iloc[first : first + CHUNK_ROWS]


def rechunked(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The same rows in tables of exactly a chunk, the last one smaller."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        while sum(map(len, held)) >= CHUNK_ROWS:
            joined = pa.concat_tables(held)
            yield joined.slice(0, CHUNK_ROWS)
            held = [joined.slice(CHUNK_ROWS)]
    if sum(map(len, held)):
        yield pa.concat_tables(held)


@dataclass(frozen=True)
class Columns:
    """A table whose columns are read one by one, each when it is asked for."""

    read: Callable[[list[str]], pd.DataFrame]

    def __getitem__(self, name: str) -> pd.Series:
        return self.read([name])[name]


@dataclass(frozen=True)
class Parts:
    """A table that is gone through part by part, as often as needed."""

    rows: int
    read: Callable[[], Iterable[pd.DataFrame]]

    def __len__(self) -> int:
        return self.rows

    def __iter__(self) -> Iterator[pd.DataFrame]:
        return iter(self.read())


def among(ids: pd.Series, others: Iterable[str]) -> pd.Series:
    """Whether each id is one of the others; a missing one is not. By Arrow: `Series.isin` goes through texts one by one."""
    wanted = pa.array(others, pa.large_string(), from_pandas=True)
    found = pc.is_in(pa.array(ids, pa.large_string(), from_pandas=True), wanted.drop_null())
    return pd.Series(found.to_numpy(zero_copy_only=False), ids.index)


def hashes_of(ids: pd.Series) -> Hashes:
    """A 64-bit hash for each id; equal ids have equal hashes, and now and then others do."""
    from pandas.util import hash_array

    return np.concatenate([hash_array(part.to_numpy(dtype="object"), categorize=False) for part in slices(ids)])


def repeated(hashes: Hashes) -> Hashes:
    """The hashes that occur more than once."""
    ordered = np.sort(hashes)
    return np.unique(ordered[1:][ordered[1:] == ordered[:-1]])


def may_repeat(ids: pd.Series) -> "np.ndarray[Any, np.dtype[np.bool_]]":
    """Whether each id may occur more than once; of no more than a chunk, all may."""
    if len(ids) <= CHUNK_ROWS:
        return np.ones(len(ids), dtype="bool")
    hashes = hashes_of(ids)
    return np.isin(hashes, repeated(hashes))


class ById:
    """A table in which the rows of some ids are looked for, again and again."""

    def __init__(self, rows: pd.DataFrame) -> None:
        self._rows = rows
        self._hashes: Hashes | None = None
        if len(rows) > CHUNK_ROWS:
            hashes = hashes_of(rows.id)
            self._order = np.argsort(hashes, kind="stable")
            self._hashes = hashes[self._order]

    def of(self, ids: pd.Series) -> pd.DataFrame:
        """At least the rows with these ids, in their order; of no more than a chunk, all rows."""
        if self._hashes is None:
            return self._rows
        wanted = np.unique(hashes_of(ids))
        first = np.searchsorted(self._hashes, wanted, side="left")
        found = np.searchsorted(self._hashes, wanted, side="right") - first
        places = np.repeat(first - np.cumsum(found) + found, found) + np.arange(found.sum())
        return self._rows.iloc[np.sort(self._order[places])]
