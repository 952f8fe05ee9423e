"""The event log that stays open writes what Dagster's own does, and others read it while it is open."""

import sqlite3

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from pipelines.event_log import OpenEventLog
from pipelines.instance import opened_instance


@dg.asset
def grain() -> None:
    pass


def lived_run(instance) -> str:
    return dg.materialize([grain], instance=instance).run_id


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path / "a home: of, one"))
    return tmp_path / "a home: of, one" / "dagster" / "history" / "runs"


def test_runs_in_one_process_are_read_by_dagsters_own_class_while_they_are_open(folder):
    with opened_instance() as instance:
        assert isinstance(instance.event_log_storage, OpenEventLog)
        runs = [lived_run(instance), lived_run(instance)]
        ours = [[log.dagster_event_type for log in instance.all_logs(run)] for run in runs]
        with dg.DagsterInstance.from_config(str(folder.parent.parent)) as other:
            assert type(other.event_log_storage) is SqliteEventLogStorage
            assert [[log.dagster_event_type for log in other.all_logs(run)] for run in runs] == ours
            assert (
                other.fetch_materializations(grain.key, limit=5).records
                == instance.fetch_materializations(grain.key, limit=5).records
            )
        assert ours[0][-1] == dg.DagsterEventType.RUN_SUCCESS
        assert {path.stem for path in folder.glob("*.db-wal")} == {"index", runs[1]}
    assert not list(folder.glob("*.db-wal")), "closed, each file holds everything"


def test_a_file_that_another_process_has_only_begun_is_completed(folder):
    with opened_instance() as instance:
        run = "11111111-1111-1111-1111-111111111111"
        (folder / f"{run}.db").touch()
        assert instance.all_logs(run) == []


def test_a_new_file_is_as_dagster_makes_it(tmp_path):
    def content(storage):
        with storage.run_connection("new"):
            pass
        storage.dispose()
        with sqlite3.connect(storage.path_for_shard("new")) as file:
            tables = file.execute("select name, sql from sqlite_master order by name").fetchall()
            return (
                tables,
                file.execute("select * from alembic_version").fetchall(),
                file.execute("pragma journal_mode").fetchone(),
            )

    ours, dagsters = OpenEventLog(str(tmp_path / "ours")), SqliteEventLogStorage(str(tmp_path / "dagsters"))
    assert content(ours) == content(dagsters)
