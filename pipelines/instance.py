"""The persistent Dagster instance of this installation."""

import os
from collections.abc import Iterator
from contextlib import contextmanager

import dagster as dg

from evergreen.storage import write_bytes
from pipelines import places

INTERRUPTED = "the process was stopped in the middle of this run; the next replay does the day again"


def prepare_home() -> None:
    """Make the home, and the Dagster folder in it with the shipped settings; point DAGSTER_HOME there."""
    folder = places.home() / "dagster"
    settings, shipped = folder / "dagster.yaml", (places.REPOSITORY / "configs" / "dagster.yaml").read_bytes()
    if not settings.exists() or settings.read_bytes() != shipped:
        write_bytes(shipped, settings)
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ["EVERGREEN_HOME"] = str(places.home())


@contextmanager
def opened_instance() -> Iterator[dg.DagsterInstance]:
    """The instance, for as long as the block runs."""
    prepare_home()
    with dg.DagsterInstance.get() as instance:
        yield instance


def close_interrupted_runs(instance: dg.DagsterInstance, jobs: set[str], tag: str) -> int:
    """Mark runs that a killed process left as started: nobody works on them. `tag` marks the runs of such a process. Returns how many."""
    unfinished = [
        dg.DagsterRunStatus.STARTED,
        dg.DagsterRunStatus.STARTING,
        dg.DagsterRunStatus.NOT_STARTED,
        dg.DagsterRunStatus.CANCELING,
    ]
    left = [
        run for run in instance.get_runs(dg.RunsFilter(statuses=unfinished, tags={tag: "true"})) if run.job_name in jobs
    ]
    for run in left:
        instance.report_run_failed(run, INTERRUPTED)
    return len(left)


def succeeded(instance: dg.DagsterInstance, run_key: str) -> bool:
    """Whether a request with this run key was carried out."""
    done = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], tags={"dagster/run_key": run_key})
    return instance.get_runs_count(done) > 0
