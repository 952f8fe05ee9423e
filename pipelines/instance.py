"""The persistent Dagster instance of this installation."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import dagster as dg

from evergreen.databases import EXAMPLE, connected, same_database
from evergreen.errors import ConfigError
from evergreen.storage import write_bytes
from pipelines import places

INTERRUPTED = "the process was stopped in the middle of this run; the next replay does the day again"


def prepare_home() -> None:
    """Make the home, and the Dagster folder in it with the shipped settings; point DAGSTER_HOME there."""
    folder = places.home() / "dagster"
    settings, wanted = folder / "dagster.yaml", _settings()
    if not settings.exists() or settings.read_bytes() != wanted:
        write_bytes(wanted, settings)
    os.environ["DAGSTER_HOME"] = str(folder)
    os.environ["EVERGREEN_HOME"] = str(places.home())


def _settings() -> bytes:
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
