"""The persistent Dagster instance of this installation."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import dagster as dg

from evergreen.cadence import parse_period
from evergreen.config import Product
from evergreen.errors import EvergreenError
from evergreen.periods import Periods
from pipelines import places, settings, tags
from pipelines.alive import is_held

SILENT_AFTER = timedelta(seconds=90)  # a living daemon reports every 30 s
UNFINISHED = [
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.CANCELING,
]
INTERRUPTED = "the process was stopped in the middle of this run; the next replay does the day again"


def prepare_home() -> None:
    """Make the home, and the Dagster folder in it with the shipped settings; point DAGSTER_HOME there.

    Raises EvergreenError where they cannot be written.
    """
    try:
        os.environ["DAGSTER_HOME"] = str(settings.write_settings())
    except OSError as problem:
        way_out = "EVERGREEN_HOME has to be a folder that can be written, on a disk with room"
        raise EvergreenError(f"{problem.filename}: {problem.strerror}; {way_out}") from None
    os.environ["EVERGREEN_HOME"] = str(places.home())


@contextmanager
def opened_instance() -> Iterator[dg.DagsterInstance]:
    """The instance, for as long as the block runs."""
    prepare_home()
    with dg.DagsterInstance.from_config(os.environ["DAGSTER_HOME"], settings.IN_PROCESS) as instance:
        yield instance


def unfinished_runs(instance: dg.DagsterInstance, tags: dict[str, str]) -> list[dg.DagsterRun]:
    """The runs with these tags that were started and have not ended."""
    return list(instance.get_runs(dg.RunsFilter(statuses=UNFINISHED, tags=dict(tags))))


def close_interrupted_runs(instance: dg.DagsterInstance, jobs: set[str], tag: str) -> int:
    """Mark runs that a killed process left as started: nobody works on them. `tag` marks the runs of such a process. Returns how many."""
    left = [run for run in unfinished_runs(instance, {tag: "true"}) if run.job_name in jobs]
    for run in left:
        instance.report_run_failed(run, INTERRUPTED)
    return len(left)


def days_left(instance: dg.DagsterInstance, product: Product, last: date) -> list[date]:
    """The days up to `last` that are not done; done means that its report, the last daily asset, exists on the instance."""
    done = instance.get_materialized_partitions(dg.AssetKey([product.name, "health_report"]))
    return [day for day in Periods.of(product.time).between(product.time.start, last) if str(day) not in done]


def days_underway(instance: dg.DagsterInstance, job: str) -> set[date]:
    """The days for which a run of the job waits or works."""
    waiting = dg.RunsFilter(job_name=job, statuses=[dg.DagsterRunStatus.QUEUED, *UNFINISHED])
    return {parse_period(run.tags[tags.PARTITION]) for run in instance.get_runs(waiting) if tags.PARTITION in run.tags}


def succeeded(instance: dg.DagsterInstance, run_key: str) -> bool:
    """Whether a request with this run key was carried out."""
    done = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], tags={tags.RUN_KEY: run_key})
    return instance.get_runs_count(done) > 0


def newest_heartbeat(instance: dg.DagsterInstance) -> datetime | None:
    """When the daemon last said that it lives; None where it never did."""
    beats = [status.timestamp for status in instance.get_daemon_heartbeats().values()]
    return datetime.fromtimestamp(max(beats), UTC) if beats else None


def daemon_lives(instance: dg.DagsterInstance) -> bool:
    newest = newest_heartbeat(instance)
    return newest is not None and datetime.now(UTC) - newest < SILENT_AFTER


def forget_daemon() -> None:
    """A daemon that was stopped is told from a living one at once; its last reports would be believed for a while. For who stopped
    the only daemon of the home: every report goes."""
    with opened_instance() as instance:
        instance.wipe_daemon_heartbeats()


def refuse_daemon(instance: dg.DagsterInstance, home: Path) -> None:
    """Raises EvergreenError where a daemon works on this home."""
    if daemon_lives(instance):
        raise EvergreenError(f"a Dagster daemon is running on {home}: stop it first, and wait {SILENT_AFTER.seconds} s")


def refuse_in_use(home: Path) -> None:
    """Raises EvergreenError where a replay or a daemon works on this home."""
    folder = home / "dagster"
    if any(is_held(lock) for lock in home.glob("*/replay.lock")):
        raise EvergreenError(f"a replay is running on {home}: stop it first")
    if (folder / "dagster.yaml").exists():
        with dg.DagsterInstance.from_config(str(folder)) as instance:
            refuse_daemon(instance, home)
