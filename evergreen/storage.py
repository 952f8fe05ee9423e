"""Where a product's tables and documents lie: one small module, the only one that knows paths.

A table is a folder of daily partitions, `TABLE/day=YYYY-MM-DD/part-0.parquet`; a document is `NAME/day=YYYY-MM-DD.json`.
Every write goes to a temporary file in the same folder, reaches the disk, and takes its final name in one step.
"""

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from evergreen.digests import digest_frame
from evergreen.errors import PartitionCorrupt, PartitionMissing
from evergreen.ledger import Ledger


def write_bytes(content: bytes, path: Path) -> None:
    """Replace a file in one step: a reader sees the old content or the new, never a part."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with temporary.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_parquet(frame: pd.DataFrame, path: Path) -> None:
    """Write a frame as one Parquet file, in one step; the index is dropped."""
    buffer = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pandas(frame, preserve_index=False, nthreads=1), buffer)
    write_bytes(buffer.getvalue().to_pybytes(), path)


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
        return self.root / table / f"day={day}" / "part-0.parquet"

    def write(self, table: str, day: date, frame: pd.DataFrame) -> str:
        """Write a day's partition; returns the digest of its content."""
        write_parquet(frame, self.path(table, day))
        return digest_frame(frame)

    def read(self, table: str, day: date, columns: list[str] | None = None) -> pd.DataFrame:
        """A day's partition. Raises PartitionMissing or PartitionCorrupt, each with the way out."""
        return self.read_days(table, [day], columns)

    def read_days(self, table: str, days: Iterable[date], columns: list[str] | None = None) -> pd.DataFrame:
        """The partitions of these days, one under the other in that order; no days gives an empty frame without columns."""
        paths = [self.path(table, day) for day in days]
        missing = [path for path in paths if not path.exists()]
        if missing:
            raise PartitionMissing(
                f"{len(missing)} partition(s) of {table} are missing, the first is {missing[0]}: materialise {table} for "
                "that day again (Dagster UI, or delete nothing and run the product's daily job for that partition)"
            )
        if not paths:
            return pd.DataFrame()
        try:
            dataset = ds.dataset([str(path) for path in paths], format="parquet")
            _refuse_older_schemas(dataset, table, columns)
            table_read = dataset.to_table(columns=columns, use_threads=False)
        except (pa.ArrowInvalid, OSError) as problem:
            bad = next((path for path in paths if not _readable(path)), paths[0])
            raise PartitionCorrupt(
                f"{bad} is not a readable Parquet file ({str(problem).splitlines()[0]:.120}): delete it and materialise "
                f"{table} for that day again; nothing else was touched"
            ) from None
        return table_read.to_pandas()

    def is_empty(self, table: str, day: date) -> bool:
        """Whether a day's partition exists and has no rows."""
        path = self.path(table, day)
        return path.exists() and _readable(path) and pq.read_metadata(path).num_rows == 0

    def rows(self, table: str, days: Iterable[date]) -> int:
        """How many rows the partitions of these days hold. Raises PartitionMissing or PartitionCorrupt."""
        return sum(len(self.read(table, day, [])) for day in days)

    def days(self, table: str) -> list[date]:
        """The days for which a table has a partition, in order."""
        folder = self.root / table
        return sorted(date.fromisoformat(place.name.removeprefix("day=")) for place in folder.glob("day=*"))

    def document_days(self, name: str) -> list[date]:
        """The days for which a document exists, in order."""
        return sorted(
            date.fromisoformat(path.stem.removeprefix("day=")) for path in (self.root / name).glob("day=*.json")
        )

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


def _refuse_older_schemas(dataset: ds.Dataset, table: str, columns: list[str] | None) -> None:
    """A column that some partition lacks would be read as missing values there: an error instead."""
    names = {fragment.path: set(fragment.physical_schema.names) for fragment in dataset.get_fragments()}
    wanted = set().union(*names.values()) if columns is None else set(columns)
    for path, present in names.items():
        absent = wanted - present
        if absent:
            raise PartitionCorrupt(
                f"{path} has no column {', '.join(sorted(absent))}: it was written under an older config; materialise {table} "
                "again for the days before the change (raw deliveries are kept, so a backfill from the Dagster UI is enough)"
            )


def _readable(path: Path) -> bool:
    try:
        pq.read_metadata(path)
    except (pa.ArrowInvalid, OSError):
        return False
    return True
