"""The persistent Dagster instance of this installation."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date

import dagster as dg

from evergreen.config import Product
from evergreen.periods import days_between
from evergreen.storage import write_bytes
from pipelines import places, tags

IN_PROCESS_SETTINGS = "in_process.yaml"
WITHOUT_COMPUTE_LOGS = b"""
compute_logs: # what is run in this process prints to its own terminal
  module: dagster._core.storage.noop_compute_log_manager
  class: NoOpComputeLogManager
"""
INTERRUPTED = "the process was stopped in the middle of this run; the next replay does the day again"


def prepare_home() -> None:
    """Make the home, and the Dagster folder in it with the shipped settings; point DAGSTER_HOME there."""
    folder = places.home() / "dagster"
    shipped = (places.REPOSITORY / "configs" / "dagster.yaml").read_bytes()
    for name, content in (("dagster.yaml", shipped), (IN_PROCESS_SETTINGS, shipped + WITHOUT_COMPUTE_LOGS)):
        settings = folder / name
        if not settings.exists() or settings.read_bytes() != content:
            write_bytes(content, settings)
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ["EVERGREEN_HOME"] = str(places.home())


@contextmanager
def opened_instance() -> Iterator[dg.DagsterInstance]:
    """The instance, for as long as the block runs."""
    prepare_home()
    with dg.DagsterInstance.from_config(os.environ["DAGSTER_HOME"], IN_PROCESS_SETTINGS) as instance:
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


def days_left(instance: dg.DagsterInstance, product: Product, last: date) -> list[date]:
    """The days up to `last` that are not done; done means that its report, the last daily asset, exists on the instance."""
    done = instance.get_materialized_partitions(dg.AssetKey([product.name, "health_report"]))
    return [day for day in days_between(product.time.start, last) if str(day) not in done]


def succeeded(instance: dg.DagsterInstance, run_key: str) -> bool:
    """Whether a request with this run key was carried out."""
    done = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], tags={tags.RUN_KEY: run_key})
    return instance.get_runs_count(done) > 0
