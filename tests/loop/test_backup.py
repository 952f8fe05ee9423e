"""Backup and restore: a restored home is whole, a damaged archive restores nothing, and nothing half is left."""

import io
import os
import sqlite3
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from datetime import date, timedelta

import pytest

from evergreen.errors import BackupError
from evergreen.ledger import Ledger
from evergreen.storage import Store
from pipelines import places
from pipelines.backup import write_backup
from pipelines.restore import restore_backup
from tests.loop.care import DAY, NO_RETRAIN, examined, silently
from tests.loop.life import enter


def test_a_restored_home_is_whole_and_lives_on(restored):
    """The former home is gone: MLflow finds its artifacts in the new one."""
    import mlflow

    assert examined(restored) == []
    mlflow.set_tracking_uri(places.tracking_uri())
    loaded = mlflow.pyfunc.load_model("models:/flights@champion")
    rows = restored.store.read("batch", DAY)[restored.product.features.names]
    assert loaded.predict(rows).shape == (len(rows), 2)

    assert [str(day) for day in restored.changed(NO_RETRAIN).live("2013-01-13").days] == ["2013-01-13"]
    assert set(restored.store.read("predictions", date(2013, 1, 13)).served_by) == {"champion"}
    assert examined(restored) == []


def test_a_backup_of_the_restored_home_says_what_it_leaves_out(restored, tmp_path, monkeypatch):
    inside = restored.changed({"source": {"events": "landing/{day}.parquet", "outcomes": "elsewhere/{day}.parquet"}})
    (restored.folder / "home" / "landing").mkdir()
    (restored.folder / "home" / "landing" / "x.parquet").write_bytes(b"rows")
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
    archive.write_bytes(damage(kept.backup.read_bytes()))

    with pytest.raises(BackupError, match=message):
        restore_backup(archive, tmp_path / "home", False, silently)

    assert list(tmp_path.iterdir()) == [archive]


def test_a_home_is_replaced_only_on_demand_and_never_deleted(kept, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    (home / "precious").write_text("data")

    with pytest.raises(BackupError, match="is not empty"):
        restore_backup(kept.backup, home, False, silently)
    assert (home / "precious").read_text() == "data"

    _, aside = restore_backup(kept.backup, home, True, silently)
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


def test_killed_halfway_nothing_half_is_left(restored, kept, tmp_path):
    home = restored.folder / "home"
    before = {path: path.read_bytes() for path in sorted((home / "flights").rglob("*.parquet"))}

    run_killed(f"write_backup(Path({str(tmp_path / 'new.tar.gz')!r}), {{}}, False, killed)")
    assert not (tmp_path / "new.tar.gz").exists()
    run_killed(f"restore_backup(Path({str(kept.backup)!r}), Path({str(home)!r}), True, killed)")
    assert {path: path.read_bytes() for path in sorted((home / "flights").rglob("*.parquet"))} == before

    for left in home.parent.glob(".home.*"):
        os.utime(left, (0, 0))
    assert [finding.what.endswith(".restore.tmp was left by a killed process") for finding in examined(restored)] == [
        True
    ]
    examined(restored, mend=True)
    assert examined(restored) == []


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
