"""Everything on PostgreSQL: the product's rows, Dagster's runs and events, MLflow's runs and models."""

from pathlib import Path
from urllib.parse import quote_plus

import dagster as dg
import pandas as pd
from mlflow import MlflowClient
from sqlalchemy import create_engine

from evergreen.samples.nycflights import EVENT_COLUMNS
from pipelines import places
from pipelines.instance import opened_instance
from tests.loop.life import Loop
from tests.postgres import PASSWORD

DAYS = [f"2013-01-0{day}" for day in (1, 2, 3, 4, 5)]
FIRST_DECISION = {
    "training": {"at_least": "2d"},
    "evaluation": {"window": "2d"},
    "retraining": {"schedule": "daily", "triggers": []},
}
SOURCE = {
    "kind": "sql",
    "url_from": "FLIGHTS_DATABASE_URL",
    "events": f"SELECT {', '.join(EVENT_COLUMNS)} FROM events "
    "WHERE scheduled_departure >= :start AND scheduled_departure < :end ORDER BY arrival",
    "outcomes": "SELECT flight_id, outcome_at, cancelled, diverted, dep_delay, arr_delay, air_time FROM outcomes "
    "WHERE outcome_at >= :start AND outcome_at < :end ORDER BY arrival",
}


def delivered(landing: Path, kind: str, day: str) -> pd.DataFrame:
    return pd.read_parquet(landing / kind / f"{day}.parquet")


def fill(url: str, landing: Path) -> None:
    """The deliveries of DAYS as two tables, with the order in which they arrived."""
    engine = create_engine(url)
    for kind in ("events", "outcomes"):
        rows = pd.concat([delivered(landing, kind, day) for day in DAYS], ignore_index=True)
        rows.to_sql(kind, engine, index_label="arrival")
    engine.dispose()


def test_a_life_on_postgresql_is_the_life_that_files_and_sqlite_give(new_loop, landing, postgres, monkeypatch):
    """The rows arrive as the files hold them, to the type; all that follows from them is the same by the laws."""
    loop: Loop = new_loop("postgres", {"source": SOURCE, **FIRST_DECISION}, with_tables=False)
    names = {"FLIGHTS_DATABASE_URL": "rows", places.DAGSTER_DATABASE: "dagster", places.TRACKING_URI: "mlflow"}
    for variable, name in names.items():
        monkeypatch.setenv(variable, postgres.create(name))
    fill(postgres.url("rows"), landing)

    loop.live(DAYS[-1])

    for day in loop.store.days("predictions"):
        for kind in ("events", "outcomes"):
            pd.testing.assert_frame_equal(loop.store.read(f"raw_{kind}", day), delivered(landing, kind, str(day)))
    assert [str(day) for day in loop.store.days("predictions")] == DAYS
    assert [entry["as_of"] for entry in loop.decisions] == [DAYS[-1]]
    versions = MlflowClient(postgres.url("mlflow")).search_model_versions("name='flights'")
    assert sorted(version.tags["evergreen.role"] for version in versions) == ["baseline", "candidate"]
    with opened_instance() as instance:
        runs = instance.get_runs()
        kept = [dg.serialize_value(instance.get_job_snapshot(run.job_snapshot_id)) for run in runs]
    assert [run.status.value for run in runs] == ["SUCCESS"] * 6
    assert not [text for text in kept if quote_plus(PASSWORD) in text], "a run keeps the values of its resources"
    files = [path for path in (loop.folder / "home").rglob("*") if path.is_file()]
    assert not [path for path in files if path.suffix == ".db"]
    assert not [path for path in files if quote_plus(PASSWORD).encode() in path.read_bytes()]
