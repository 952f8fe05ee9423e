"""Backup, restore, retention and doctor, on copies of one short life: each copy is the life's backup, restored elsewhere."""

import io
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat
from typer.testing import CliRunner

from evergreen.as_of import AsOf
from evergreen.checkup import Finding
from evergreen.digests import digest_file
from evergreen.errors import BackupError, EvergreenError
from evergreen.explain import explain
from evergreen.ledger import Ledger
from evergreen.product_files import load_product
from evergreen.storage import Store
from evergreen.summary import summarize_life
from pipelines import places
from pipelines.backup import write_backup
from pipelines.cli import app
from pipelines.doctor import cure, examine_home, load_each, visit
from pipelines.instance import opened_instance
from pipelines.products import build_definitions
from pipelines.registry import Registry
from pipelines.restore import restore_backup
from pipelines.retention import prunable, remove
from pipelines.tags import IN_PROCESS
from tests.loop.life import NO_NEW_PROCESS, Loop, enter, make_loop

LAST = "2013-01-12"  # refused on the 9th and 10th, promoted on the 11th and 12th
TWO_PROMOTIONS = {
    "training": {"at_least": "4d", "model": {"kind": "logistic", "C": 0.02}},
    "evaluation": {"window": "4d"},
    "retraining": {"schedule": "daily", "triggers": []},
    **NO_NEW_PROCESS,
}
NO_RETRAIN = {"retraining": {"schedule": "0 4 1 * *"}}
DAY = date(2013, 1, 5)


def silently(items: Any, what: str) -> Any:
    return items


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory, landing: Path) -> Iterator[Path]:
    """A folder with the backup and the configs of a life whose own home is gone: nothing can still lean on it."""
    folder = tmp_path_factory.mktemp("kept")
    with pytest.MonkeyPatch.context() as patch:
        loop = make_loop(folder / "life", landing, patch, TWO_PROMOTIONS)
        loop.live(LAST)
        write_backup(folder / "backup.tar.gz", {"flights": loop.product}, False, silently)
    shutil.rmtree(folder / "life" / "home")
    yield folder


@pytest.fixture
def loop(kept: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loop:
    """The life, restored into a folder of its own."""
    folder = tmp_path / "copy"
    shutil.copytree(kept / "life" / "configs", folder / "configs")
    enter(folder, monkeypatch)
    restore_backup(kept / "backup.tar.gz", folder / "home", False, silently)
    return Loop(folder, load_product(folder / "configs" / "products" / "flights.yaml"))


def examined(loop: Loop, mend: bool = False) -> list[Finding]:
    found = examine_home(places.home())
    if mend:
        cure(found)
    return found + visit(loop.product, silently, mend)


def champion(loop: Loop) -> dict[str, Any]:
    return dict(loop.decisions[-1]["serving"]["champion"])


def registry() -> Registry:
    return Registry(home=str(places.home()), tracking_uri=places.tracking_uri())


# what can go wrong: one function a damage


def lose_labels(loop: Loop) -> None:
    loop.store.path("labels", DAY).unlink()


def lose_a_day(loop: Loop) -> None:
    for path in [*loop.store.root.glob(f"*/day={DAY}"), *loop.store.root.glob(f"*/day={DAY}.json")]:
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def tear_a_batch(loop: Loop) -> None:
    path = loop.store.path("batch", DAY)
    path.write_bytes(path.read_bytes()[:-100])


def change_a(table: str, column: str) -> Callable[[Loop], None]:
    def change(loop: Loop) -> None:
        frame = loop.store.read(table, DAY)
        loop.store.write(table, DAY, frame.assign(**{column: frame[column].to_numpy()[::-1]}))

    return change


def change_rows_and_their_record(loop: Loop) -> None:
    with opened_instance() as instance:
        instance.wipe_assets([dg.AssetKey(["flights", "batch"])])
    frame = loop.store.read("batch", date(2013, 1, 7))
    loop.store.write("batch", date(2013, 1, 7), frame.assign(distance=1.0))


def garble_a_decision(loop: Loop) -> None:
    loop.store.document_path("retrain_decision", DAY).write_text("{")


def lose_a_manifest(loop: Loop) -> None:
    loop.store.document_path("training_set", date(2013, 1, 10)).unlink()


def change_a_manifest(loop: Loop) -> None:
    day = date(2013, 1, 10)
    loop.store.write_document("evaluation_set", day, loop.store.read_document("evaluation_set", day) | {"digest": "0"})


def change_the_ledger(loop: Loop) -> None:
    path = loop.store.root / "ledgers" / "promotions.jsonl"
    path.write_text(path.read_text().replace('"decision": "kept"', '"decision": "promoted"', 1))


def change_the_champion(loop: Loop) -> None:
    (loop.store.root / "models" / f"{champion(loop)['digest']}.skops").write_bytes(b"nothing")


def lose_the_champion(loop: Loop) -> None:
    (loop.store.root / "models" / f"{champion(loop)['digest']}.skops").unlink()


def change_the_registered_champion(loop: Loop) -> None:
    kept_file = (loop.store.root / "models" / f"{champion(loop)['digest']}.skops").read_bytes()
    [path] = [file for file in registry().local_files("flights") if file.read_bytes() == kept_file]
    path.write_bytes(b"nothing")


def move_an_alias(loop: Loop) -> None:
    from mlflow import MlflowClient

    MlflowClient(places.tracking_uri()).set_registered_model_alias("flights", "champion", "1")


def leave_a_temporary_file(loop: Loop) -> None:
    path = loop.store.root / "labels" / ".part-0.parquet.7.tmp"
    path.write_bytes(b"half")
    os.utime(path, (0, 0))


def interrupt_a_run(loop: Loop) -> None:
    job = build_definitions().resolve_job_def("flights_daily")
    tags = {IN_PROCESS: "true", "evergreen/product": "flights"}
    with opened_instance() as instance:
        instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED, tags=tags)


def edit_the_settings(loop: Loop) -> None:
    (places.home() / "dagster" / "dagster.yaml").write_text("telemetry: {enabled: true}\n")


PERSON = False
ITSELF = True


@pytest.mark.parametrize(
    ("damage", "named", "mended_by"),
    [
        (lose_labels, "missing for 2013-01-05: labels", PERSON),
        (lose_a_day, "missing for 2013-01-05: everything", PERSON),
        (tear_a_batch, "batch/day=2013-01-05/part-0.parquet is not readable", PERSON),
        (change_a("raw_events", "temp"), "raw_events/day=2013-01-05/part-0.parquet was changed", PERSON),
        (change_a("labels", "label"), "labels/day=2013-01-05/part-0.parquet was changed", PERSON),
        (change_rows_and_their_record, "batch or labels changed on a day of 2013-01-07 to 2013-01-07", PERSON),
        (garble_a_decision, "retrain_decision/day=2013-01-05.json is not readable", PERSON),
        (lose_a_manifest, "training_set/day=2013-01-10.json is missing, and flights/2013-01-10 was decided", PERSON),
        (change_a_manifest, "evaluation_set/day=2013-01-10.json is not what flights/2013-01-10 was decided on", PERSON),
        (change_the_ledger, "promotions.jsonl, line 1: changed after it was written", PERSON),
        (change_the_champion, ".skops was changed: the file of champion", ITSELF),
        (lose_the_champion, ".skops is missing: the file of champion", ITSELF),
        (change_the_registered_champion, "is missing from MLflow's artifacts, or was changed there", PERSON),
        (move_an_alias, "MLflow's aliases champion of flights differ", ITSELF),
        (leave_a_temporary_file, ".part-0.parquet.7.tmp was left by a killed process", ITSELF),
        (interrupt_a_run, "left as started by a replay that was killed", ITSELF),
        (edit_the_settings, "dagster.yaml differs from configs/dagster.yaml", ITSELF),
    ],
    ids=lambda value: getattr(value, "__qualname__", None),
)
def test_the_doctor_names_one_damage_and_nothing_else(loop, damage, named, mended_by):
    damage(loop)

    found = examined(loop, mend=True)
    assert len(found) == 1, found
    [finding] = found
    assert named in finding.what
    assert (finding.cure is not None) == mended_by
    assert mended_by == PERSON or examined(loop) == []


def test_a_lost_partition_is_mended_by_the_command_that_the_doctor_gives(loop):
    lose_labels(loop)
    tear_a_batch(loop)
    selections = [finding.mend.partition("--select ")[2].split()[0] for finding in examined(loop)]
    assert selections == ["flights/labels", "flights/batch,flights/quarantine"]

    with loop.opened() as replay:
        job = replay.definitions.resolve_job_def("flights_daily")
        for selection in reversed(selections):
            chosen = [dg.AssetKey(name.split("/")) for name in selection.split(",")]
            assert job.execute_in_process(
                instance=replay.instance, partition_key=str(DAY), asset_selection=chosen
            ).success

    assert examined(loop) == []


def test_a_product_that_goes_on_needs_a_daemon_and_deliveries(loop):
    going_on = loop.changed({"time": {"end": None}, "source": {"events": "nowhere/{day}.parquet"}})

    assert [finding.what.partition(": ")[0] for finding in examined(going_on)] == [
        "the Dagster daemon never ran on this home",
        f"{places.home()}/nowhere/2013-01-13.parquet has not been delivered",
    ]


def test_a_living_daemon_is_no_finding_and_keeps_its_home(loop, kept):
    going_on = loop.changed({"time": {"end": None}})
    with opened_instance() as instance:
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SCHEDULER", "1", []))

    assert examined(going_on) == []
    with pytest.raises(EvergreenError, match="a Dagster daemon is running"):
        restore_backup(kept / "backup.tar.gz", places.home(), True, silently)


def test_a_product_file_that_does_not_load_is_a_finding(loop):
    folder = loop.folder / "configs" / "products"
    (folder / "bad.yaml").write_text("nam: bad\n")

    products, [finding] = load_each(folder)

    assert list(products) == ["flights"]
    assert "did you mean name?" in finding.what


def test_the_command_line_tells_well_from_ill(loop):
    well = CliRunner().invoke(app, ["doctor", "flights"])
    lose_labels(loop)
    ill = CliRunner().invoke(app, ["doctor"])

    assert (well.exit_code, "All is well" in well.output) == (0, True)
    assert (ill.exit_code, "1 finding(s)" in ill.output, "to mend: DAGSTER_HOME=" in ill.output) == (1, True, True)


def test_a_restored_home_is_whole_and_lives_on(loop):
    """The former home is gone: MLflow finds its artifacts in the new one."""
    import mlflow

    assert examined(loop) == []
    mlflow.set_tracking_uri(places.tracking_uri())
    loaded = mlflow.pyfunc.load_model("models:/flights@champion")
    rows = loop.store.read("batch", DAY)[loop.product.features.names]
    assert loaded.predict(rows).shape == (len(rows), 2)

    assert [str(day) for day in loop.changed(NO_RETRAIN).live("2013-01-13").days] == ["2013-01-13"]
    assert set(loop.store.read("predictions", date(2013, 1, 13)).served_by) == {"champion"}
    assert examined(loop) == []


def test_a_backup_of_the_restored_home_says_what_it_leaves_out(loop, tmp_path, monkeypatch):
    inside = loop.changed({"source": {"events": "landing/{day}.parquet", "outcomes": "elsewhere/{day}.parquet"}})
    (loop.folder / "home" / "landing").mkdir()
    (loop.folder / "home" / "landing" / "x.parquet").write_bytes(b"rows")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")

    without = write_backup(tmp_path / "1.tar.gz", {"flights": inside.product}, False, silently)
    with_it = write_backup(tmp_path / "2.tar.gz", {"flights": inside.product}, True, silently)

    assert ["home/landing/x.parquet" in made["files"] for made in (without, with_it)] == [False, True]
    assert "MLFLOW_TRACKING_URI" in without["not_included"][0]
    assert any("--with-landing" in sentence for sentence in without["not_included"])
    assert "configs/products/flights.yaml" in without["files"]
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    restore_backup(tmp_path / "1.tar.gz", tmp_path / "again", False, silently)
    assert [path.name for path in (tmp_path / "again" / "restored_configs").iterdir()] != []
    with pytest.raises(BackupError, match="never overwrites"):
        write_backup(tmp_path / "1.tar.gz", {"flights": inside.product}, False, silently)


RETENTION = {"quarantine": "2d", "event_logs": "1d", "refused_models": "1d", "superseded_models": "1d"}


def test_a_pruned_home_still_serves_falls_back_and_explains(loop):
    pruned, tomorrow = loop.changed({"retention": RETENTION}), date.today() + timedelta(days=2)
    view = AsOf(loop.store, loop.product, date.fromisoformat(LAST))
    before = summarize_life(view, loop.decisions)
    entries = loop.decisions
    with opened_instance() as instance:
        gone = prunable(pruned.product, loop.home, registry(), instance, tomorrow)
        for held in gone:
            remove(held, pruned.product, loop.home, registry())
        assert prunable(pruned.product, loop.home, registry(), instance, tomorrow) == []

    kinds = {kind: {held.name for held in gone if held.kind == kind} for kind in RETENTION}
    assert kinds["quarantine"] == {f"2013-01-{number:02}" for number in range(1, 10)}
    assert kinds["refused_models"] == {entries[0]["candidate"]["digest"], entries[1]["candidate"]["digest"]}
    assert kinds["superseded_models"] == {entries[0]["serving"]["baseline"]["digest"]}
    assert len(kinds["event_logs"]) == 12  # daily runs; the four that decided stay
    assert all(path.parent != loop.store.root / "ledgers" for held in gone for path in held.paths)

    assert examined(pruned) == []
    assert summarize_life(view, loop.decisions) == before
    prediction = loop.store.read("predictions", date.fromisoformat(LAST)).id.iloc[0]
    assert explain(loop.store, loop.product, entries, prediction).model["digest"] == entries[2]["candidate"]["digest"]

    loop.changed(NO_RETRAIN).live("2013-01-13")
    day = date(2013, 1, 13)
    assert set(loop.store.read("predictions", day).served_by) == {"champion"}
    lost = entries[-1]["serving"]["champion"]["digest"]
    for path in [*registry().local_files("flights"), *registry().kept_files("flights")]:
        if digest_file(path) == lost:
            path.unlink()
    loop.store.path("predictions", day).unlink()  # what was answered would stay answered
    assert loop.run_again("daily", str(day), only="predictions").success
    assert set(loop.store.read("predictions", day).served_by) == {"previous"}


def test_care_runs_by_itself_only_where_a_retention_is_declared(loop):
    assert not build_definitions().get_repository_def().has_job("flights_care")

    loop.changed({"retention": {"quarantine": "2d"}})
    definitions = build_definitions()

    assert definitions.resolve_schedule_def("flights_care_schedule").default_status == dg.DefaultScheduleStatus.RUNNING
    with opened_instance() as instance:
        assert definitions.resolve_job_def("flights_care").execute_in_process(instance=instance).success
    assert len(loop.store.days("quarantine")) == 3


# archives that are not what they should be


def truncated(content: bytes) -> bytes:
    return content[: len(content) // 2]


def rewritten(
    content: bytes, change: Callable[[tarfile.TarInfo, bytes], tuple[tarfile.TarInfo, bytes] | None]
) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=io.BytesIO(content)) as old, tarfile.open(fileobj=written, mode="w:gz") as new:
        for member in old.getmembers():
            file = old.extractfile(member)
            kept_member = change(member, file.read() if file else b"")
            if kept_member:
                kept_member[0].size = len(kept_member[1])
                new.addfile(kept_member[0], io.BytesIO(kept_member[1]))
    return written.getvalue()


def changed_file(content: bytes) -> bytes:
    return rewritten(content, lambda member, body: (member, b"x" if "labels" in member.name else body))


def without_manifest(content: bytes) -> bytes:
    return rewritten(content, lambda member, body: None if member.name == "manifest.json" else (member, body))


def with_one_more(content: bytes) -> bytes:
    return rewritten(
        content,
        lambda member, body: (
            (member.replace(name="home/x"), body) if "2013-01-05.html" in member.name else (member, body)
        ),
    )


def climbing(content: bytes) -> bytes:
    return rewritten(
        content,
        lambda member, body: (
            (member.replace(name="home/../../x"), body) if "2013-01-05.html" in member.name else (member, body)
        ),
    )


def linking(content: bytes) -> bytes:
    def link(member: tarfile.TarInfo, body: bytes) -> tuple[tarfile.TarInfo, bytes]:
        if "2013-01-05.html" in member.name:
            member.type, member.linkname = tarfile.SYMTYPE, "/etc/passwd"
            return member, b""
        return member, body

    return rewritten(content, link)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (truncated, "is not a whole backup"),
        (changed_file, "differ from the manifest"),
        (without_manifest, "no readable manifest"),
        (with_one_more, "differ from the manifest"),
        (climbing, "does not belong into a backup"),
        (linking, "does not belong into a backup"),
    ],
)
def test_a_damaged_backup_restores_nothing(kept, tmp_path, damage, message):
    archive = tmp_path / "damaged.tar.gz"
    archive.write_bytes(damage((kept / "backup.tar.gz").read_bytes()))

    with pytest.raises(BackupError, match=message):
        restore_backup(archive, tmp_path / "home", False, silently)

    assert list(tmp_path.iterdir()) == [archive]


def test_a_home_is_replaced_only_on_demand_and_never_deleted(kept, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "precious").write_text("data")

    with pytest.raises(BackupError, match="is not empty"):
        restore_backup(kept / "backup.tar.gz", home, False, silently)
    assert (home / "precious").read_text() == "data"

    _, aside = restore_backup(kept / "backup.tar.gz", home, True, silently)
    assert (aside / "precious").read_text() == "data"
    assert (home / "flights" / "ledgers" / "promotions.jsonl").exists()
    assert sorted(tmp_path.iterdir()) == sorted([home, aside])


KILLED = """
import os, signal, sys
from pathlib import Path
from pipelines.backup import write_backup
from pipelines.restore import restore_backup

def killed(items, what):
    for number, item in enumerate(items):
        if number == 20:
            os.kill(os.getpid(), signal.SIGKILL)
        yield item

{call}
"""


def run_killed(call: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED.format(call=call)], cwd=places.REPOSITORY, check=False)
    assert done.returncode == -9


def test_killed_halfway_nothing_half_is_left(loop, kept, tmp_path):
    home = loop.folder / "home"
    before = {path: path.read_bytes() for path in sorted((home / "flights").rglob("*.parquet"))}

    run_killed(f"write_backup(Path({str(tmp_path / 'new.tar.gz')!r}), {{}}, False, killed)")
    assert not (tmp_path / "new.tar.gz").exists()
    run_killed(f"restore_backup(Path({str(kept / 'backup.tar.gz')!r}), Path({str(home)!r}), True, killed)")
    assert {path: path.read_bytes() for path in sorted((home / "flights").rglob("*.parquet"))} == before

    for left in home.parent.glob(".home.*"):
        os.utime(left, (0, 0))
    assert [finding.what.endswith(".restore.tmp was left by a killed process") for finding in examined(loop)] == [True]
    examined(loop, mend=True)
    assert examined(loop) == []


def test_a_backup_while_others_write_is_consistent(tmp_path, monkeypatch):
    """The writer's order is the loop's: the file, then the row, then the ledger's entry that names both."""
    enter(tmp_path, monkeypatch)
    home, stop = tmp_path / "home", threading.Event()
    ledger, database = Ledger(home / "shop" / "ledgers" / "promotions.jsonl"), home / "dagster" / "rows.db"
    database.parent.mkdir(parents=True)

    def write() -> None:
        with closing(sqlite3.connect(database)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript("CREATE TABLE a (n INTEGER); CREATE TABLE b (n INTEGER);")
            for number in range(10_000):
                Store(home / "shop").write_document("named", date(2024, 1, 1) + timedelta(days=number), {})
                with connection:
                    connection.execute("INSERT INTO a VALUES (?)", (number,))
                    connection.execute("INSERT INTO b VALUES (?)", (number,))
                ledger.append(str(number), {})
                if stop.is_set():
                    return

    writer = threading.Thread(target=write)
    writer.start()
    try:
        while len(ledger.entries()) < 20:
            pass
        write_backup(tmp_path / "live.tar.gz", {}, False, silently)
    finally:
        stop.set()
        writer.join()

    restore_backup(tmp_path / "live.tar.gz", tmp_path / "copy", False, silently)
    decided = len(Ledger(tmp_path / "copy" / "shop" / "ledgers" / "promotions.jsonl").entries())
    with closing(sqlite3.connect(tmp_path / "copy" / "dagster" / "rows.db")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        [(a,), (b,)] = [connection.execute(f"SELECT count(*) FROM {table}").fetchone() for table in "ab"]
    files = len(Store(tmp_path / "copy" / "shop").document_days("named"))
    assert 20 <= decided <= a == b <= files
