"""The doctor: one damage at a time, in a life that was restored from its backup."""

import os
import shutil
import socket
import time
from collections.abc import Callable
from datetime import date
from typing import Any

import dagster as dg
import pytest
from dagster._daemon.types import DaemonHeartbeat
from typer.testing import CliRunner

from evergreen.errors import EvergreenError
from pipelines import places
from pipelines.cli import app
from pipelines.doctor import load_each
from pipelines.instance import forget_daemon, opened_instance
from pipelines.products import build_definitions
from pipelines.restore import restore_backup
from pipelines.tags import IN_PROCESS
from tests.loop.care import DAY, examined, lose_labels, registry, silently
from tests.loop.life import Loop, evergreen


def champion(loop: Loop) -> dict[str, Any]:
    return dict(loop.decisions[-1]["serving"]["champion"])


# what can go wrong: one function a damage


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
def test_the_doctor_names_one_damage_and_nothing_else(restored, damage, named, mended_by):
    damage(restored)

    found = examined(restored, mend=True)
    assert len(found) == 1, found
    [finding] = found
    assert named in finding.what
    assert (finding.cure is not None) == mended_by
    assert mended_by == PERSON or examined(restored) == []


def test_a_lost_partition_is_mended_by_the_command_that_the_doctor_gives(restored):
    lose_labels(restored)
    tear_a_batch(restored)
    commands = [finding.mend.split() for finding in examined(restored)]
    assert [command[:5] for command in commands] == [
        ["evergreen", "backfill", "flights", "--select", name] for name in ("labels", "batch")
    ]

    for _, *arguments in reversed(commands):
        assert evergreen(*arguments).returncode == 0

    assert examined(restored) == []


def test_a_product_that_goes_on_needs_a_daemon_and_deliveries(restored):
    going_on = restored.changed({"time": {"end": None}, "source": {"events": "nowhere/{day}.parquet"}})

    assert [finding.what.partition(": ")[0] for finding in examined(going_on)] == [
        "the Dagster daemon does not run",
        f"{places.home()}/nowhere/2013-01-13.parquet has not been delivered",
    ]


def test_a_living_daemon_is_no_finding_and_keeps_its_home(restored, kept):
    going_on = restored.changed({"time": {"end": None}})
    with opened_instance() as instance:
        instance.add_daemon_heartbeat(DaemonHeartbeat(time.time(), "SCHEDULER", "1", []))

    assert examined(going_on) == []
    with pytest.raises(EvergreenError, match="a Dagster daemon is running"):
        restore_backup(kept.backup, places.home(), True, silently)
    for command in ("backfill", "replay"):
        assert "a Dagster daemon is running" in evergreen(command, "flights").stderr
    with socket.create_server(
        ("127.0.0.1", 0)
    ) as taken:  # without the refusal the port would be what is told, and nothing starts
        assert "a Dagster daemon is running" in evergreen("ui", "--port", str(taken.getsockname()[1])).stderr
    forget_daemon()
    with going_on.opened():
        pass


def test_a_backfill_says_what_it_cannot_do(restored):
    assert "no such asset; did you mean labels?" in evergreen("backfill", "flights", "--select", "lables").stderr
    assert "flights has days from 2013-01-01 to 2013-01-12" in evergreen("backfill", "--to", "2013-01-13").stderr
    with restored.opened():
        assert "another replay or backfill of flights is running" in evergreen("backfill", "flights").stderr


def test_a_product_file_that_does_not_load_is_a_finding(restored):
    folder = restored.folder / "configs" / "products"
    (folder / "bad.yaml").write_text("nam: bad\n")

    products, [finding] = load_each(folder)

    assert list(products) == ["flights"]
    assert "did you mean name?" in finding.what


def test_the_command_line_tells_well_from_ill(restored):
    well = CliRunner().invoke(app, ["doctor", "flights"])
    lose_labels(restored)
    ill = CliRunner().invoke(app, ["doctor"])

    assert (well.exit_code, "All is well" in well.output) == (0, True)
    assert (ill.exit_code, "1 finding(s)" in ill.output, "to mend: evergreen backfill" in ill.output) == (1, True, True)
