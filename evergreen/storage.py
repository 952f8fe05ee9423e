"""Where a product's tables and documents lie: one small module, the only one that knows paths.

A table is a folder of daily partitions, `TABLE/day=YYYY-MM-DD/part-0.parquet`; a document is `NAME/day=YYYY-MM-DD.json`.
Every write goes to a temporary file in the same folder, reaches the disk, and takes its final name in one step.
"""

import json
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from functools import lru_cache, partial
from pathlib import Path
from typing import IO, Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evergreen import wide
from evergreen.cadence import parse_period
from evergreen.digests import FrameDigest
from evergreen.errors import PartitionCorrupt, PartitionMissing
from evergreen.files import sync_folder
from evergreen.ledger import Ledger

SMALL_FILE, SMALL_FILES = 2**17, 4096

Content = pd.DataFrame | Iterable[pd.DataFrame | pa.Table]
"""A table: a frame, or what is too wide for one, in parts."""


def write_bytes(content: bytes, path: Path) -> None:
    """Replace a file in one step: a reader sees the old content or the new, never a part."""
    with replacing(path) as file:
        file.write(content)


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """A file in the making, which takes its place in one step when the block ends; after an error the old one stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as one Parquet file, in one step; the index is dropped."""
    with replacing(path) as file, Partition(file) as partition:
        partition.add(frame)


class Partition:
    """A Parquet file in the making, part by part; the types of the first part are those of all."""

    def __init__(self, file: IO[bytes]) -> None:
        self.rows = 0
        self.digest = FrameDigest()
        self._file = file
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> "Partition":
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer:
            self._writer.close()

    def add(self, part: pd.DataFrame | pa.Table) -> None:
        """Append rows; the index of a frame is dropped, and a frame counts in the digest."""
        if isinstance(part, pd.DataFrame):
            self.digest.add(part)
            schema = self._writer.schema if self._writer else None
            part = pa.Table.from_pandas(part, schema, preserve_index=False, nthreads=1)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._file, part.schema)
        self._writer.write_table(part, row_group_size=wide.CHUNK_ROWS)
        self.rows += len(part)


@dataclass(frozen=True)
class Store:
    """The tables, documents, ledgers and model files of one product, below one folder."""

    root: Path

    def ledger(self, name: str) -> Ledger:
        return Ledger(self.root / "ledgers" / f"{name}.jsonl")

    def model_path(self, digest: str) -> Path:
        """Where scoring reads a model file; it is named by the SHA-256 of its content."""
        return self.root / "models" / f"{digest}.skops"

    def card_path(self, version: int) -> Path:
        return self.root / "cards" / f"version-{version}.md"

    def path(self, table: str, day: date) -> Path:
        return self.root / f"{table}/day={day}/part-0.parquet"

    def write(self, table: str, day: date, content: Content) -> str:
        """Write a day's partition; returns the digest of the frames in it."""
        with self.writing(table, day) as partition:
            for part in [content] if isinstance(content, pd.DataFrame) else content:
                partition.add(part)
        return str(partition.digest)

    @contextmanager
    def writing(self, table: str, day: date) -> Iterator[Partition]:
        """A day's partition, which takes its place when the block ends without an error."""
        with replacing(self.path(table, day)) as file, Partition(file) as partition:
            yield partition

    def digest(self, table: str, day: date) -> str:
        """The digest of a partition's content. Raises PartitionMissing or PartitionCorrupt."""
        digest = FrameDigest()
        for part in self.scan(table, [day]):
            digest.add(part)
        return str(digest)

    def read(self, table: str, day: date, columns: list[str] | None = None) -> pd.DataFrame:
        """A day's partition. Raises PartitionMissing or PartitionCorrupt, each with the way out."""
        return self.read_days(table, [day], columns)

    def read_days(self, table: str, days: Iterable[date], columns: list[str] | None = None) -> pd.DataFrame:
        """The partitions of these days, one under the other in that order; no days gives an empty frame without columns."""
        paths = self._paths(table, days)
        if not paths:
            return pd.DataFrame()
        with _named(paths, table):
            return pa.concat_tables(_tables(paths, table, columns)).to_pandas()

    def scan(self, table: str, days: Iterable[date], columns: list[str] | None = None) -> Iterator[pd.DataFrame]:
        """The same rows in frames of one chunk, at least one frame."""
        paths = self._paths(table, days)
        if self._count(paths, table) <= wide.CHUNK_ROWS:
            yield self.read_days(table, days, columns)
            return
        with _named(paths, table):
            schema = _common_schema(paths, table, columns)
            gaps = _columns_with_gaps(paths, schema)
            for part in wide.rechunked(_batches(paths, schema)):
                yield _as_frame(part, gaps)

    def parts(self, table: str, day: date) -> wide.Parts:
        """A day's partition to go through more than once; what is not wide is read once."""
        rows = self.rows(table, [day])
        if rows > wide.CHUNK_ROWS:
            return wide.Parts(rows, partial(self.scan, table, [day]))
        whole = self.read(table, day)
        return wide.Parts(rows, lambda: [whole])

    def _paths(self, table: str, days: Iterable[date]) -> list[Path]:
        paths = [self.path(table, day) for day in days]
        missing = [path for path in paths if not path.exists()]
        if missing:
            raise PartitionMissing(
                f"{len(missing)} partition(s) of {table} are missing, the first is {missing[0]}: materialise {table} for "
                f"that day again (evergreen doctor {self.root.name} names the command)"
            )
        return paths

    def _count(self, paths: list[Path], table: str) -> int:
        with _named(paths, table):
            return sum(pq.read_metadata(path).num_rows for path in paths)

    def kinds(self, table: str, day: date) -> dict[str, str]:
        """The columns of a partition, each with its type as pandas names it. Raises PartitionMissing or PartitionCorrupt."""
        [path] = self._paths(table, [day])
        with _named([path], table):
            held = pq.read_schema(path).empty_table().to_pandas()
        return {str(name): str(kind) for name, kind in held.dtypes.items()}

    def is_empty(self, table: str, day: date) -> bool:
        """Whether a day's partition exists and has no rows."""
        path = self.path(table, day)
        return path.exists() and _readable(path) and pq.read_metadata(path).num_rows == 0

    def rows(self, table: str, days: Iterable[date]) -> int:
        """How many rows the partitions of these days hold. Raises PartitionMissing or PartitionCorrupt."""
        return self._count(self._paths(table, days), table)

    def days(self, table: str) -> list[date]:
        """The days for which a table has a partition, in order."""
        written = (self.root / table).glob("day=*/part-0.parquet")  # a write that failed leaves a folder, and no day
        return sorted(parse_period(path.parent.name.removeprefix("day=")) for path in written)

    def document_days(self, name: str) -> list[date]:
        """The days for which a document exists, in order."""
        return sorted(parse_period(path.stem.removeprefix("day=")) for path in (self.root / name).glob("day=*.json"))

    def document_path(self, name: str, day: date) -> Path:
        return self.root / name / f"day={day}.json"

    def write_document(self, name: str, day: date, content: dict[str, Any]) -> None:
        write_bytes((json.dumps(content, indent=1, default=str) + "\n").encode(), self.document_path(name, day))

    def read_document(self, name: str, day: date) -> dict[str, Any]:
        """A day's document. Raises PartitionMissing or PartitionCorrupt."""
        path = self.document_path(name, day)
        try:
            return dict(json.loads(path.read_text()))
        except FileNotFoundError:
            raise PartitionMissing(f"{path} is missing: materialise {name} for {day} again") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as problem:
            raise PartitionCorrupt(
                f"{path} is not readable JSON ({problem}): delete it and materialise {name} for {day} again"
            ) from None


@contextmanager
def _named(paths: list[Path], table: str) -> Iterator[None]:
    """What cannot be read is named, with the way out."""
    try:
        yield
    except (pa.ArrowInvalid, OSError) as problem:
        bad = next((path for path in paths if not _readable(path)), paths[0])
        raise PartitionCorrupt(
            f"{bad} is not a readable Parquet file ({str(problem).splitlines()[0]:.120}): delete it and materialise "
            f"{table} for that day again; nothing else was touched"
        ) from None


def _tables(paths: list[Path], table: str, columns: list[str] | None) -> Iterator[pa.Table]:
    """These columns of each partition, or all, in the types of the first."""
    schema = None
    for path in paths:
        held = _columns_of(path, columns)
        if columns is None and schema:
            _schema_of(paths[0], schema, held.schema.names)
        schema = schema or _schema_of(path, held.schema, columns)
        _refuse_another_kind(path, _schema_of(path, held.schema, schema.names), schema, table)
        yield held if held.schema.equals(schema) else held.select(schema.names).cast(schema)


def _columns_of(path: Path, columns: list[str] | None) -> pa.Table:
    """Those of these columns that a file has, or all. Small files are read once in a process: a day goes through the same weeks of
    history again and again, and a partition is only ever replaced as a whole."""
    names, file = tuple(columns) if columns else None, path.stat()
    if file.st_size > SMALL_FILE:
        return _read(path, names)
    return _read_once(path, names, (file.st_ino, file.st_mtime_ns, file.st_size))


@lru_cache(maxsize=SMALL_FILES)
def _read_once(path: Path, columns: tuple[str, ...] | None, identity: tuple[int, ...]) -> pa.Table:
    return _read(path, columns)


def _read(path: Path, columns: tuple[str, ...] | None) -> pa.Table:
    with pq.ParquetFile(path) as file:
        return file.read(columns, use_threads=False)


def _schema_of(path: Path, held: pa.Schema, columns: list[str] | None) -> pa.Schema:
    """The types of these columns, or of all. A column that the partition lacks would be read as missing values: an error instead."""
    names = held.names if columns is None else columns
    absent = set(names).difference(held.names)
    if absent:
        raise _outdated(path, f"has no column {', '.join(sorted(absent))}")
    return pa.schema([held.field(name) for name in names], held.metadata)


def _refuse_another_kind(path: Path, held: pa.Schema, schema: pa.Schema, table: str) -> None:
    """Numbers of a batch that were texts in another, or the reverse, would be turned into each other without a word."""
    if table != "batch":
        return
    for field in schema:
        if pa.types.is_floating(held.field(field.name).type) != pa.types.is_floating(field.type):
            raise _outdated(path, f"has {field.name} in another kind than the days beside it")


def _outdated(path: Path, what: str) -> PartitionCorrupt:
    return PartitionCorrupt(
        f"{path} {what}: it was written under an older config, or by code that was edited since; evergreen backfill "
        f"{path.parents[2].name} makes it again from the raw deliveries"
    )


def _batches(paths: list[Path], schema: pa.Schema) -> Iterator[pa.Table]:
    for path in paths:
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(wide.CHUNK_ROWS, columns=schema.names, use_threads=False):
                yield pa.Table.from_batches([batch]).select(schema.names).cast(schema)


def _columns_with_gaps(paths: list[Path], schema: pa.Schema) -> set[str]:
    """Whole numbers and booleans with a missing value: pandas gives such a column another type, and each chunk has to have it."""
    doubtful = {field.name for field in schema if pa.types.is_integer(field.type) or pa.types.is_boolean(field.type)}
    gaps = set()
    for metadata in map(pq.read_metadata, paths):
        for group in map(metadata.row_group, range(metadata.num_row_groups)):
            for column in map(group.column, range(group.num_columns)):
                if column.path_in_schema in doubtful and column.statistics.null_count:
                    gaps.add(column.path_in_schema)
    return gaps


def _as_frame(part: pa.Table, gaps: set[str]) -> pd.DataFrame:
    """A part of a table in the types that pandas gives the whole: those with gaps are object and float64, or know missing values."""
    frame = part.to_pandas()
    plain = [
        name
        for name in gaps
        if frame[name].dtype.kind in "iub" and not pd.api.types.is_extension_array_dtype(frame[name])
    ]
    return frame.astype({name: "object" if frame[name].dtype == "bool" else "float64" for name in plain})


def _common_schema(paths: list[Path], table: str, columns: list[str] | None) -> pa.Schema:
    """The first partition's types of these columns, or of all columns that any has; each has to have them."""
    schemas = {path: pq.read_schema(path) for path in paths}
    names = columns or list(dict.fromkeys(name for schema in schemas.values() for name in schema.names))
    found = {path: _schema_of(path, schema, names) for path, schema in schemas.items()}
    first = next(iter(found.values()))
    for path, schema in found.items():
        _refuse_another_kind(path, schema, first, table)
    return first


def _readable(path: Path) -> bool:
    try:
        pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError):
        return False
    return True
