"""Dagster's event log for many runs in one process: its SQLite files stay open while it works on them.

Dagster's own log opens and closes a file for each of the 60 events of a daily run; SQLite folds the write-ahead log back into the file,
with several waits for the disk, whenever the last connection closes; and a new run's file is made by reading every migration that the
tables ever had. The files, their tables and what a commit waits for are the same here: the UI, the daemon and Dagster's own class
read them as ever.
"""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

from dagster._core.storage.event_log import SqliteEventLogStorage
from dagster._serdes import ConfigurableClassData
from sqlalchemy import Connection, Engine, create_engine

from evergreen.storage import write_bytes

INDEX = "index"
BUSY_SECONDS = 30  # how long another process's write is waited for, as in Dagster's own class


class OpenEventLog(SqliteEventLogStorage):
    """The index and the newest run's file are kept open, a file of an older run only while it is read."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        self._engines: dict[str, Engine] = {}
        self._tables: set[str] = set()
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(cls, inst_data: ConfigurableClassData | None, config_value: Any) -> "OpenEventLog":
        return cls(inst_data=inst_data, **config_value)

    def run_connection(self, run_id: str | None = None) -> Any:
        return self._begun(str(run_id))

    def index_connection(self) -> Any:
        return self._begun(INDEX)

    def has_table(self, table_name: str) -> bool:
        """Dagster asks 17 times in a daily run, each time through a connection of its own; what is there stays."""
        if table_name not in self._tables and super().has_table(table_name):
            self._tables.add(table_name)
        return table_name in self._tables

    def dispose(self) -> None:
        self._close_all_but()
        super().dispose()

    @contextmanager
    def _begun(self, file: str) -> Iterator[Connection]:
        if file not in self._engines:
            self._open(file)
        with self._engines[file].begin() as connection:
            yield connection

    def _open(self, file: str) -> None:
        path = Path(self.path_for_shard(file))
        if path.exists():
            with super().run_connection(file):  # completes a file that another process has only begun
                pass
        else:
            write_bytes(_empty_file(), path)
        self._close_all_but(INDEX)
        self._engines[file] = create_engine(f"sqlite:///{path}", connect_args={"timeout": BUSY_SECONDS})

    def _close_all_but(self, *files: str) -> None:
        for file in [file for file in self._engines if file not in files]:
            self._engines.pop(file).dispose()


@cache
def _empty_file() -> bytes:
    """A run's file before its first event, as Dagster makes it."""
    with tempfile.TemporaryDirectory() as folder:
        log = SqliteEventLogStorage(folder)
        with log.run_connection("empty"):
            pass
        return Path(log.path_for_shard("empty")).read_bytes()
