"""Backup of a whole home: data, ledgers, Dagster's and MLflow's stores, in one archive with a manifest of digests.

A backup is taken while everything runs. Its order makes it consistent: a ledger entry is written after the files that it names, and a
run's materialization after its partition, so ledgers are read first, then the SQLite databases, then all other files. What is newer
than the ledgers in an archive is what an interrupted run leaves, and is mended like one.
"""

import hashlib
import json
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import yaml

from evergreen.config import FilesSource, Product, TableSource
from evergreen.errors import BackupError
from evergreen.ledger import Ledger
from pipelines import places
from pipelines.resources import git_commit

Progress = Callable[[Sequence[Any], str], Iterable[Any]]
MANIFEST, VERSION = "manifest.json", 1
RESTORED_CONFIGS = "restored_configs"
PASSING = ("*.lock", ".*.tmp", "*.db-wal", "*.db-shm", "*.db-journal")


def default_name(moment: datetime) -> str:
    return f"evergreen-{moment:%Y-%m-%dT%H%M%S}.tar.gz"


def write_backup(
    target: Path, products: Mapping[str, Product], with_landing: bool, progress: Progress
) -> dict[str, Any]:
    """Write the archive under a temporary name, then give it its own; returns its manifest.

    Raises BackupError where the target exists or there is nothing to back up.
    """
    home = places.home()
    if target.exists():
        raise BackupError(f"{target} exists already: a backup never overwrites another; name another file with --to")
    if not home.is_dir():
        raise BackupError(f"{home} does not exist: there is nothing to back up (EVERGREEN_HOME names the home)")
    landing = _landing_folders(products, home)
    left_out = [] if with_landing else [folder for folder in landing if folder.is_relative_to(home)]
    manifest = {
        "version": VERSION,
        "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": git_commit(),
        "home": str(home),
        "products": sorted(products),
        "not_included": [*_stores_elsewhere(), *_landing_sentences(landing, home, with_landing)],
    }
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with (
            tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=target.parent) as scratch,
            tarfile.open(temporary, "w:gz", compresslevel=3) as archive,
        ):
            added = _Added(archive, Path(scratch))
            added.everything(home, places.configs(), left_out, progress)
            manifest["files"] = added.files
            _add_bytes(archive, MANIFEST, json.dumps(manifest, indent=1).encode())
        _to_disk(temporary)
        temporary.replace(target)
    except OSError as problem:
        raise BackupError(f"{target} cannot be written ({problem}): name another place with --to") from None
    finally:
        if target.parent.is_dir():
            temporary.unlink(missing_ok=True)
    return manifest


class _Added:
    """An archive that is being filled, and the digests of what is in it."""

    def __init__(self, archive: tarfile.TarFile, scratch: Path) -> None:
        self.files: dict[str, dict[str, Any]] = {}
        self._archive = archive
        self._scratch = scratch

    def everything(self, home: Path, configs: Path, left_out: list[Path], progress: Progress) -> None:
        self._ledgers(home)
        skipped = [*left_out, home / "backups", home / RESTORED_CONFIGS]
        for path in progress([path for path in _files(home, skipped) if _is_database(path)], "databases"):
            self._database(path, f"home/{path.relative_to(home)}")
        listed = [path for path in _files(home, skipped) if not _is_database(path)]
        rest = [(path, f"home/{path.relative_to(home)}") for path in listed]
        rest += [(path, f"configs/{path.relative_to(configs)}") for path in _files(configs, [])]
        for path, name in progress(rest, "files"):
            if name not in self.files:
                self._file(path, name)

    def _ledgers(self, home: Path) -> None:
        """All of them at one moment."""
        paths = sorted(home.glob("*/ledgers/*.jsonl"))
        with ExitStack() as locks:
            for path in paths:
                locks.enter_context(Ledger(path).locked())
            for path in paths:
                self._file(path, f"home/{path.relative_to(home)}")

    def _database(self, path: Path, name: str) -> None:
        """A copy as of one moment, whoever writes meanwhile: through SQLite's own backup."""
        copy = self._scratch / "copy.db"
        copy.unlink(missing_ok=True)
        try:
            with (
                closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", uri=True, timeout=30)) as live,
                closing(sqlite3.connect(copy)) as written,
            ):
                live.backup(written)
        except sqlite3.Error as problem:
            if path.exists():
                raise BackupError(
                    f"{path} is not a readable SQLite database ({problem}): run evergreen doctor"
                ) from None
            return
        self._file(copy, name)

    def _file(self, path: Path, name: str) -> None:
        """Add a file as it is at one moment; one that was removed since it was listed is left out."""
        try:
            with path.open("rb") as content:
                member = self._archive.gettarinfo(arcname=name, fileobj=content)
                hashed = _Hashed(content)
                self._archive.addfile(member, hashed)
        except FileNotFoundError:
            return
        self.files[name] = {"sha256": hashed.digest.hexdigest(), "bytes": member.size}


class _Hashed:
    """A file whose content is digested as it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        content = self._file.read(size)
        self.digest.update(content)
        return content


def _files(folder: Path, skipped: list[Path]) -> Iterator[Path]:
    """The files below a folder, without those that live only as long as a process."""
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not any(map(path.match, PASSING)) and not any(map(path.is_relative_to, skipped)):
            yield path


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(16) == b"SQLite format 3\0"
    except FileNotFoundError:
        return False


def _landing_folders(products: Mapping[str, Product], home: Path) -> list[Path]:
    """The folders in which deliveries arrive, as far as the patterns name them without a day; the home itself is never one."""
    patterns = [
        home / pattern
        for product in products.values()
        if isinstance(product.source, FilesSource)
        for pattern in (product.source.events, product.source.outcomes)
    ]
    patterns += [
        home / product.source.path
        for product in products.values()
        if isinstance(product.source, TableSource) and product.source.path
    ]
    return sorted({Path(str(pattern).split("{")[0] + "x").parent for pattern in patterns} - {home})


def _landing_sentences(landing: list[Path], home: Path, with_landing: bool) -> list[str]:
    inside = [folder for folder in landing if folder.is_relative_to(home)]
    outside = [folder for folder in landing if not folder.is_relative_to(home)]
    left = ([] if with_landing else [f"{folder} (deliveries; --with-landing includes them)" for folder in inside]) + [
        f"{folder} (deliveries, outside the home)" for folder in outside
    ]
    return [f"the landing zone {sentence}" for sentence in left]


def _stores_elsewhere() -> list[str]:
    """The stores that are not files of the home, in words."""
    sentences = []
    if places.tracking_uri() != f"sqlite:///{places.home() / 'mlflow' / 'mlflow.db'}":
        sentences.append(
            "MLflow's store and artifacts (MLFLOW_TRACKING_URI is set): back that server up by its own means"
        )
    settings = places.home() / "dagster" / "dagster.yaml"
    if settings.exists() and "storage" in (yaml.safe_load(settings.read_text()) or {}):
        sentences.append("Dagster's store (a storage block in dagster.yaml): back that database up by its own means")
    return sentences


def _add_bytes(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, BytesIO(content))


def _to_disk(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
