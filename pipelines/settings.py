"""The settings of the Dagster instance: `configs/dagster.yaml`, written to the home at every start."""

import json
from importlib.util import find_spec
from pathlib import Path

from evergreen.databases import EXAMPLE, connected, same_database
from evergreen.errors import ConfigError
from evergreen.storage import write_bytes
from pipelines import places

DAEMON = "dagster.yaml"
IN_PROCESS = "in_process.yaml"
WITHOUT_COMPUTE_LOGS = """
compute_logs: # what runs in a process of its own prints to its own terminal
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""
WITH_OPEN_FILES = """
run_storage:
  module: dagster._core.storage.runs
  class: SqliteRunStorage
  config: {{base_dir: {history}}}
event_log_storage: # the files of the default one, kept open
  module: pipelines.event_log
  class: OpenEventLog
  config: {{base_dir: {events}}}
schedule_storage:
  module: dagster._core.storage.schedules
  class: SqliteScheduleStorage
  config: {{base_dir: {schedules}}}
"""


def write_settings() -> Path:
    """Write the settings, for the daemon and for runs in the calling process, where they differ; returns their folder, DAGSTER_HOME."""
    for name, content in _wanted().items():
        if _current(name) != content:
            write_bytes(content, _folder() / name)
    return _folder()


def settings_are_shipped() -> bool:
    """Whether the home has the settings for the daemon that every start writes there."""
    return _current(DAEMON) == _base()


def _wanted() -> dict[str, bytes]:
    base = _base()
    open_files = "" if places.dagster_database() else _with_open_files()
    return {DAEMON: base, IN_PROCESS: base + (WITHOUT_COMPUTE_LOGS + open_files).encode()}


def _with_open_files() -> str:
    parts = {"history": "history", "events": "history/runs", "schedules": "schedules"}
    return WITH_OPEN_FILES.format_map({name: json.dumps(str(_folder() / part)) for name, part in parts.items()})


def _base() -> bytes:
    """The shipped settings; where Dagster's store is on PostgreSQL, with the name, not the content, of the variable that says so."""
    shipped, database = (places.REPOSITORY / "configs" / "dagster.yaml").read_bytes(), places.dagster_database()
    if database is None:
        return shipped
    _refuse_unusable(database)
    return shipped + f"\nstorage:\n  postgres:\n    postgres_url: {{env: {places.DAGSTER_DATABASE}}}\n".encode()


def _refuse_unusable(database: str) -> None:
    """Raises ConfigError or DatabaseError where Dagster would not come up on this database, or MLflow beside it."""
    if not database.startswith("postgresql+psycopg2://") or find_spec("dagster_postgres") is None:
        raise ConfigError(
            f"{places.DAGSTER_DATABASE} needs the extra evergreen[postgres], and a URL that spells the driver out, {EXAMPLE}"
        )
    tracking = places.tracking_uri()
    if tracking.startswith("postgresql") and same_database(database, tracking):
        raise ConfigError(
            f"{places.DAGSTER_DATABASE} and {places.TRACKING_URI} lead to one database, but Dagster and MLflow keep tables of "
            "the same names: give each a database of its own on that server"
        )
    with connected(database, places.DAGSTER_DATABASE):
        pass


def _current(name: str) -> bytes | None:
    path = _folder() / name
    return path.read_bytes() if path.exists() else None


def _folder() -> Path:
    return places.home() / "dagster"
