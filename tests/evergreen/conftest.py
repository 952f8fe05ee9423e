"""What every unit test has in common."""

import os

import pytest


@pytest.fixture(autouse=True)
def _no_wait_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here has to survive a power cut; the whole-loop tests, run in one session with these, wait for the disk."""
    monkeypatch.setattr(os, "fsync", lambda _: None)
