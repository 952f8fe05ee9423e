"""The settings of the Dagster instance: `configs/dagster.yaml`, written to the home at every start."""

from pathlib import Path

from evergreen.storage import write_bytes
from pipelines import places

DAEMON = "dagster.yaml"
IN_PROCESS = "in_process.yaml"
WITHOUT_COMPUTE_LOGS = b"""
compute_logs: # what runs in a process of its own prints to its own terminal
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""


def write_settings() -> Path:
    """Write the settings, for the daemon and for runs in the calling process, where they differ; returns their folder, DAGSTER_HOME."""
    for name, content in _wanted().items():
        if _current(name) != content:
            write_bytes(content, _folder() / name)
    return _folder()


def settings_are_shipped() -> bool:
    """Whether the home has the settings that every start writes there."""
    return all(_current(name) == content for name, content in _wanted().items())


def _wanted() -> dict[str, bytes]:
    shipped = (places.REPOSITORY / "configs" / "dagster.yaml").read_bytes()
    return {DAEMON: shipped, IN_PROCESS: shipped + WITHOUT_COMPUTE_LOGS}


def _current(name: str) -> bytes | None:
    path = _folder() / name
    return path.read_bytes() if path.exists() else None


def _folder() -> Path:
    return places.home() / "dagster"
