"""The persistent Dagster instance of this installation."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg

from evergreen.errors import EvergreenError
from evergreen.storage import write_bytes
from pipelines import places

SILENT_AFTER = timedelta(seconds=90)  # a living daemon reports every 30 s
INTERRUPTED = "the process was stopped in the middle of this run; the next replay does the day again"


def prepare_home() -> None:
    """Make the home, and the Dagster folder in it with the shipped settings; point DAGSTER_HOME there."""
    if not settings_are_shipped():
        write_bytes(_shipped_settings(), _settings())
    os.environ["DAGSTER_HOME"] = str(_settings().parent)
    os.environ["EVERGREEN_HOME"] = str(places.home())


def settings_are_shipped() -> bool:
    """Whether the home has the settings of `configs/dagster.yaml`, which every start writes there."""
    return _settings().exists() and _settings().read_bytes() == _shipped_settings()


def _settings() -> Path:
    return places.home() / "dagster" / "dagster.yaml"


def _shipped_settings() -> bytes:
    return (places.REPOSITORY / "configs" / "dagster.yaml").read_bytes()


@contextmanager
def opened_instance() -> Iterator[dg.DagsterInstance]:
    """The instance, for as long as the block runs."""
    prepare_home()
    with dg.DagsterInstance.get() as instance:
        yield instance


def unfinished_runs(instance: dg.DagsterInstance, tags: dict[str, str]) -> list[dg.DagsterRun]:
    """The runs with these tags that were started and have not ended."""
    unfinished = [
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    return list(instance.get_runs(dg.RunsFilter(statuses=unfinished, tags=dict(tags))))


def close_interrupted_runs(instance: dg.DagsterInstance, jobs: set[str], tag: str) -> int:
    """Mark runs that a killed process left as started: nobody works on them. `tag` marks the runs of such a process. Returns how many."""
    left = [run for run in unfinished_runs(instance, {tag: "true"}) if run.job_name in jobs]
    for run in left:
        instance.report_run_failed(run, INTERRUPTED)
    return len(left)


def succeeded(instance: dg.DagsterInstance, run_key: str) -> bool:
    """Whether a request with this run key was carried out."""
    done = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], tags={"dagster/run_key": run_key})
    return instance.get_runs_count(done) > 0


def is_held(lock: Path) -> bool:
    """Whether a living process holds this lock file."""
    if not lock.exists():
        return False
    with lock.open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


def newest_heartbeat(instance: dg.DagsterInstance) -> datetime | None:
    """When the daemon last said that it lives; None where it never did."""
    beats = [status.timestamp for status in instance.get_daemon_heartbeats().values()]
    return datetime.fromtimestamp(max(beats), UTC) if beats else None


def daemon_lives(instance: dg.DagsterInstance) -> bool:
    newest = newest_heartbeat(instance)
    return newest is not None and datetime.now(UTC) - newest < SILENT_AFTER


def refuse_in_use(home: Path) -> None:
    """Raises EvergreenError where a replay or a daemon works on this home."""
    folder = home / "dagster"
    if any(is_held(lock) for lock in home.glob("*/replay.lock")):
        raise EvergreenError(f"a replay is running on {home}: stop it first")
    if (folder / "dagster.yaml").exists():
        with dg.DagsterInstance.from_config(str(folder)) as instance:
            if daemon_lives(instance):
                raise EvergreenError(
                    f"a Dagster daemon is running on {home}: stop it first, and wait {SILENT_AFTER.seconds} s"
                )
