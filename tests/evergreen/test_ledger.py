import json
import subprocess
import sys
from datetime import date

import pytest

from evergreen.errors import LedgerError
from evergreen.ledger import Ledger
from tests.evergreen.builders import REPOSITORY

WRITER = """
import sys
from pathlib import Path
from evergreen.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for number in range(20):
    ledger.append(f"{sys.argv[2]}/{number}", {"writer": sys.argv[2]})
    ledger.append(f"shared/{number}", {"writer": sys.argv[2]})
"""


@pytest.fixture
def ledger(tmp_path):
    made = Ledger(tmp_path / "folder" / "promotions.jsonl")
    for key in ("a", "b", "c"):
        made.append(key, {"outcome": f"kept {key}"})
    return made


def test_a_ledger_that_was_never_written_is_empty(tmp_path):
    assert Ledger(tmp_path / "none.jsonl").entries() == []
    assert Ledger(tmp_path / "none.jsonl").find("a") is None


def test_entries_are_numbered_and_chained(ledger):
    entries = ledger.entries()
    assert [entry["number"] for entry in entries] == [1, 2, 3]
    assert [entry["previous"] for entry in entries] == [None, entries[0]["digest"], entries[1]["digest"]]
    assert len({entry["digest"] for entry in entries}) == 3


def test_a_key_is_written_once_and_what_is_recorded_wins(ledger):
    before = ledger.path.read_bytes()
    assert ledger.append("b", {"outcome": "promoted"})["outcome"] == "kept b"
    assert ledger.path.read_bytes() == before
    assert ledger.find("b")["outcome"] == "kept b"


def test_what_append_returns_is_what_is_read_back(ledger):
    returned = ledger.append("d", {"day": date(2024, 1, 1), "nested": {"value": 0.1}, "text": "ünïcode\nline"})
    assert returned == ledger.find("d")
    assert returned["day"] == "2024-01-01"


@pytest.mark.parametrize(
    "edit",
    [
        lambda lines: [lines[0].replace("kept a", "promoted"), *lines[1:]],
        lambda lines: [lines[0], lines[1].replace('"number": 2', '"number": 9'), lines[2]],
        lambda lines: [lines[0], lines[2]],
        lambda lines: [lines[1], lines[0], lines[2]],
        lambda lines: [*lines[:2], lines[1], lines[2]],
        lambda lines: [lines[0], "not json", lines[2]],
        lambda lines: [lines[0], "", lines[2]],
        lambda lines: [lines[0], "{}", lines[2]],
        lambda lines: [lines[0], "5", lines[2]],
        lambda lines: [lines[0], '{"key": "b"}', lines[2]],
    ],
    ids=["value", "number", "removed", "swapped", "repeated", "no json", "blank", "empty", "no mapping", "no digest"],
)
def test_an_edit_breaks_the_chain_and_nothing_is_appended_after_it(ledger, edit):
    lines = ledger.path.read_text().splitlines()
    ledger.path.write_text("\n".join(edit(lines)) + "\n")
    broken = ledger.path.read_bytes()
    with pytest.raises(LedgerError, match=r"promotions\.jsonl, line \d: .*restore the file from a backup"):
        ledger.entries()
    with pytest.raises(LedgerError):
        ledger.append("d", {})
    assert ledger.path.read_bytes() == broken


def test_an_entry_whose_own_digest_was_recomputed_still_breaks_the_next(ledger):
    from evergreen.ledger import _digest

    first, *rest = ledger.path.read_text().splitlines()
    forged = {**json.loads(first), "outcome": "promoted"}
    forged["digest"] = _digest(forged)
    ledger.path.write_text("\n".join([json.dumps(forged), *rest]) + "\n")
    with pytest.raises(LedgerError, match="line 2: changed after it was written"):
        ledger.entries()


@pytest.mark.parametrize("kept", [1, 10, -1], ids=["first byte", "ten bytes", "all but the line's end"])
def test_a_torn_last_line_never_happened_and_is_overwritten(ledger, kept):
    whole = ledger.path.read_bytes()
    last = whole.splitlines(keepends=True)[-1]
    ledger.path.write_bytes(whole[: -len(last)] + last[:kept])
    assert [entry["key"] for entry in ledger.entries()] == ["a", "b"]

    ledger.append("d", {"outcome": "promoted"})

    assert [entry["key"] for entry in ledger.entries()] == ["a", "b", "d"]
    assert ledger.path.read_bytes().count(b"\n") == 3


def test_two_processes_that_append_at_once_lose_nothing_and_write_a_shared_key_once(tmp_path):
    path = tmp_path / "ledger.jsonl"
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(path), name], cwd=REPOSITORY) for name in ("left", "right")
    ]
    assert [writer.wait() for writer in writers] == [0, 0]
    keys = [entry["key"] for entry in Ledger(path).entries()]
    assert len(keys) == 60
    assert set(keys) == {f"{owner}/{number}" for owner in ("left", "right", "shared") for number in range(20)}
