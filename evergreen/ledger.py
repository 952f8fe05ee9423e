"""Append-only ledgers: one JSON entry a line, each carrying the digest of the one before.

An entry has a key, and a key is written once: appending it again returns what is recorded. That makes a decision exactly-once,
whoever asks and however often a run is killed and repeated.
"""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from evergreen.digests import digest_json
from evergreen.errors import LedgerError
from evergreen.files import sync_folder

Entry = dict[str, Any]


@dataclass(frozen=True)
class Ledger:
    path: Path

    def entries(self) -> list[Entry]:
        """Every entry, oldest first. Raises LedgerError where the chain of digests is broken."""
        entries: list[Entry] = []
        for number, line in enumerate(self._whole_lines(), start=1):
            entry = _parse(line, self.path, number)
            if entry["previous"] != (entries[-1]["digest"] if entries else None) or entry["digest"] != _digest_of(line):
                raise LedgerError(
                    f"{self.path}, line {number}: changed after it was written; restore the file from a backup"
                )
            entries.append(entry)
        return entries

    def find(self, key: str) -> Entry | None:
        """The entry of a key; None where there is none."""
        return next((entry for entry in self.entries() if entry["key"] == key), None)

    def append(self, key: str, content: Entry | Callable[[list[Entry]], Entry]) -> Entry:
        """Record `content` under `key`, or return what is recorded under it already.

        A function is given the entries while nobody else appends: what follows from the newest one cannot be overtaken.
        """
        with self.locked():
            entries = self.entries()
            recorded = next((entry for entry in entries if entry["key"] == key), None)
            if recorded is not None:
                return recorded
            entry = {
                "number": len(entries) + 1,
                "key": key,
                **(content(entries) if callable(content) else content),
                "previous": entries[-1]["digest"] if entries else None,
            }
            entry = json.loads(json.dumps(entry, default=str))
            entry["digest"] = _digest(entry)
            self._write_line(json.dumps(entry))
            return entry

    def _whole_lines(self) -> list[str]:
        """The lines that were written to their end: a torn last line never happened."""
        if not self.path.exists():
            return []
        return self.path.read_text(encoding="utf-8").split("\n")[:-1]

    def _write_line(self, line: str) -> None:
        new = not self.path.exists()
        with self.path.open("w+b" if new else "r+b") as file:
            content = file.read()
            file.truncate(content.rfind(b"\n") + 1)
            file.seek(0, os.SEEK_END)
            file.write(line.encode() + b"\n")
            file.flush()
            os.fsync(file.fileno())
        if new:
            sync_folder(self.path.parent)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Nobody else appends while the block runs."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _digest(entry: Entry) -> str:
    return digest_json({name: value for name, value in entry.items() if name != "digest"})


@lru_cache(maxsize=4096)
def _digest_of(line: str) -> str:
    """A line's own digest: what a process has read before, it need not digest again."""
    return _digest(json.loads(line))


def _parse(line: str, path: Path, number: int) -> Entry:
    try:
        entry = json.loads(line)
    except ValueError:
        raise LedgerError(f"{path}, line {number}: not JSON; restore the file from a backup") from None
    if not (isinstance(entry, dict) and {"key", "previous", "digest"} <= entry.keys()):
        raise LedgerError(f"{path}, line {number}: not a ledger entry; restore the file from a backup")
    return entry
