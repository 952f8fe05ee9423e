"""Where a day's rows come from: a source reads one delivery for one day and changes nothing."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date
from importlib import import_module
from itertools import chain
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from evergreen import wide
from evergreen.config import FilesSource, Product, PythonSource, SqlSource, TableSource
from evergreen.digests import digest_file
from evergreen.errors import ConfigError, SourceError
from evergreen.own_modules import reach_own_modules
from evergreen.periods import Periods
from evergreen.storage import Content


@dataclass(frozen=True)
class Delivery:
    """What a source handed over for one day: events of that day, outcomes that became known on it, and where both came from.

    A table that is wide comes in parts, which can be read once.
    """

    events: Content
    outcomes: Content
    provenance: dict[str, Any] = field(default_factory=dict)


class Source(Protocol):
    def read(self, day: date) -> Delivery:
        """The day's delivery. Raises SourceError, naming what could not be read."""
        ...


def open_source(product: Product, home: Path) -> Source:
    """The source that a product declares; relative paths start at `home`."""
    config = product.source
    if isinstance(config, SqlSource):
        from evergreen.sql import DailyQueries

        return DailyQueries(config, Periods.of(product.time))
    if isinstance(config, TableSource):
        from evergreen.table_source import OneTable

        return OneTable(product, home)
    if isinstance(config, PythonSource):
        return FunctionSource(import_function(config.function), config.function)
    return daily_files(config, home)


def daily_files(config: FilesSource, home: Path) -> "DailyFiles":
    """The files of a product; relative patterns start at `home`."""
    return DailyFiles(str(home / config.events), str(home / config.outcomes))


def import_function(path: str) -> Callable[..., Any]:
    """The function behind `module:function`. Raises ConfigError where there is none."""
    module, _, name = path.partition(":")
    reach_own_modules()
    try:
        function: Callable[..., Any] = getattr(import_module(module), name)
    except (ImportError, AttributeError) as problem:
        raise ConfigError(
            f"{path}: cannot be imported ({problem}); write module:function, importable from the repository"
        ) from None
    return function


@dataclass(frozen=True)
class DailyFiles:
    """Parquet or CSV files, one of events and one of outcomes a day."""

    events: str
    outcomes: str

    def read(self, day: date) -> Delivery:
        paths = self._paths(day)
        # before the content is read: a file that is replaced meanwhile shows as changed, and is read again
        provenance = {kind: _provenance(path) for kind, path in paths.items() if path.exists()}
        tables = {kind: read_table(path) for kind, path in paths.items()}
        return Delivery(tables["events"], tables["outcomes"], provenance)

    def arrived(self, day: date) -> int | None:
        """When the newer of a day's two files took its place, in nanoseconds since 1970; None while one is missing."""
        try:
            return max(path.stat().st_ctime_ns for path in self._paths(day).values())
        except FileNotFoundError:
            return None

    def fingerprint(self, day: date) -> dict[str, str]:
        """The SHA-256 of a day's two files, as provenance records them."""
        return {kind: digest_file(path) for kind, path in self._paths(day).items()}

    def _paths(self, day: date) -> dict[str, Path]:
        return {
            "events": Path(self.events.format(day=day, period=day)),
            "outcomes": Path(self.outcomes.format(day=day, period=day)),
        }


def _provenance(path: Path) -> dict[str, Any]:
    return {"file": str(path), "sha256": digest_file(path), "bytes": path.stat().st_size}


@dataclass(frozen=True)
class FunctionSource:
    """A clone's own function `read(day) -> (events, outcomes)`."""

    function: Callable[[date], tuple[pd.DataFrame, pd.DataFrame]]
    name: str

    def read(self, day: date) -> Delivery:
        try:
            events, outcomes = self.function(day)
        except Exception as problem:
            raise SourceError(
                f"{self.name} failed for {day}: {type(problem).__name__}: {problem}; mend it and run the day again"
            ) from problem
        if not (isinstance(events, pd.DataFrame) and isinstance(outcomes, pd.DataFrame)):
            raise SourceError(f"{self.name} must return two pandas frames, (events, outcomes), for {day}")
        return Delivery(events, outcomes, {"events": {"function": self.name}, "outcomes": {"function": self.name}})


def read_table(path: Path) -> Content:
    """A Parquet or CSV file (by its ending) as it is: a CSV holds text, and only an empty field is missing.

    Raises SourceError with the way out, and for a wide file, which comes in parts, when the part is read.
    """
    parts = _parts(path)
    first = next(parts)
    second = next(parts, None)
    return first if second is None else chain([first, second], parts)


def _parts(path: Path) -> Iterator[Any]:
    try:
        if path.suffix == ".csv":
            yield from pd.read_csv(path, dtype="str", keep_default_na=False, na_values=[""], chunksize=wide.CHUNK_ROWS)
            return
        with pq.ParquetFile(path) as file:
            if file.metadata.num_rows > wide.CHUNK_ROWS:
                yield from (pa.Table.from_batches([part]) for part in file.iter_batches(wide.CHUNK_ROWS))
                return
        yield pd.read_parquet(path)
    except FileNotFoundError:
        raise SourceError(
            f"{path} has not been delivered: deliver it and run the day again (a day on which nothing happened is a file without rows)"
        ) from None
    except pd.errors.EmptyDataError:
        raise SourceError(
            f"{path} is empty: a day on which nothing happened is a file with a header and no rows"
        ) from None
    except (pa.ArrowInvalid, pd.errors.ParserError, UnicodeDecodeError, OSError) as problem:
        kind = "CSV in UTF-8" if path.suffix == ".csv" else "Parquet"
        raise SourceError(
            f"{path} is not readable as {kind} ({str(problem).splitlines()[0]:.120}): deliver it again"
        ) from None
