"""Restoring a backup: unpacked beside the home, verified, and only then put in its place."""

import hashlib
import json
import os
import shutil
import sqlite3
import tarfile
import tempfile
import zlib
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any

from evergreen.errors import BackupError
from pipelines.backup import MANIFEST, RESTORED_CONFIGS, VERSION, Progress
from pipelines.instance import refuse_in_use

FOLDERS = ("home", "configs")
UNFINISHED = ".restore.tmp"
MLFLOW_PATHS = {
    "experiments": "artifact_location",
    "runs": "artifact_uri",
    "logged_models": "artifact_location",
    "model_versions": "storage_location",
}


def restore_backup(source: Path, home: Path, replace: bool, progress: Progress) -> tuple[dict[str, Any], Path | None]:
    """Unpack beside the home, verify every digest, then put it in the home's place in one step.

    Returns the manifest and where the former home was moved, None where there was none. Raises BackupError, and leaves the home as it
    was, where the archive is damaged or the home is not empty and `replace` was not asked for.
    """
    occupied = home.exists() and (not home.is_dir() or any(home.iterdir()))
    if occupied and not replace:
        raise BackupError(
            f"{home} is not empty: restore --into another folder, or --replace it (it is moved aside, not deleted)"
        )
    if occupied:
        refuse_in_use(home)
    home.parent.mkdir(parents=True, exist_ok=True)
    unpacked = Path(tempfile.mkdtemp(prefix=f".{home.name}.", suffix=UNFINISHED, dir=home.parent))
    try:
        manifest = _unpack(source, unpacked, progress)
        fresh = unpacked / "home"
        fresh.mkdir(exist_ok=True)
        if (unpacked / "configs").exists():
            (unpacked / "configs").replace(fresh / RESTORED_CONFIGS)
        _move_mlflow_paths(fresh / "mlflow" / "mlflow.db", manifest["home"], str(home))
        aside = home.with_name(f"{home.name}.before-{datetime.now():%Y-%m-%dT%H%M%S}") if occupied else None
        os.sync()  # a restored home must outlive a power cut: its backup may be deleted next
        if aside:
            home.rename(aside)
        fresh.replace(home)
    finally:
        shutil.rmtree(unpacked, ignore_errors=True)
    return manifest, aside


def _unpack(source: Path, folder: Path, progress: Progress) -> dict[str, Any]:
    """Every member below `folder`, with the digests that the manifest names; returns the manifest."""
    try:
        with tarfile.open(source, "r:gz") as archive:
            members = archive.getmembers()
            for member in progress(members, "verifying"):
                _refuse_strange(member)
                archive.extract(member, folder, filter="data")
    except FileNotFoundError:
        raise BackupError(f"{source}: there is no such file") from None
    except (tarfile.TarError, zlib.error, EOFError, OSError) as problem:
        raise BackupError(
            f"{source} is not a whole backup ({problem!s:.120}): take another one; nothing was restored"
        ) from None
    try:
        manifest = json.loads((folder / MANIFEST).read_text())
        files = {name: held["sha256"] for name, held in manifest["files"].items()}
    except (OSError, ValueError, KeyError, TypeError):
        raise BackupError(
            f"{source} has no readable manifest: it is not a whole backup; nothing was restored"
        ) from None
    if manifest.get("version") != VERSION:
        raise BackupError(
            f"{source} has version {manifest.get('version')}, this code reads {VERSION}: use commit {manifest.get('commit')}"
        )
    found = {member.name: _digest(folder / member.name) for member in members if member.name != MANIFEST}
    wrong = sorted(name for name in files.keys() | found.keys() if files.get(name) != found.get(name))
    if wrong:
        raise BackupError(
            f"{source}: {len(wrong)} file(s) differ from the manifest, the first is {wrong[0]}; nothing was restored"
        )
    return manifest


def _refuse_strange(member: tarfile.TarInfo) -> None:
    parts = Path(member.name).parts
    if not member.isfile() or ".." in parts or not (member.name == MANIFEST or parts[0] in FOLDERS):
        raise BackupError(f"{member.name!r} does not belong into a backup: nothing was restored")


def _move_mlflow_paths(database: Path, old: str, new: str) -> None:
    """MLflow records absolute folders of artifacts: those of the former home now lie in the new one."""
    if not database.exists() or old == new:
        return
    with closing(sqlite3.connect(database)) as connection, connection:
        for table, column in MLFLOW_PATHS.items():
            for scheme in ("", "file://"):
                connection.execute(
                    f"UPDATE {table} SET {column} = ? || substr({column}, ?) WHERE substr({column}, 1, ?) = ?",
                    (f"{scheme}{new}", len(scheme + old) + 1, len(scheme + old) + 1, f"{scheme}{old}/"),
                )


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
