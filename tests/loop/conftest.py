"""Fixtures of the whole-loop tests: homes of their own, and a landing zone that all tests of a worker share."""

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from evergreen.product_files import overlay
from evergreen.samples import nycflights
from tests.loop.life import DAILY, HUNDRED, SHORT, Loop, enter, loop_in, make_loop


@contextmanager
def shared(tmp_path_factory: pytest.TempPathFactory, name: str) -> Iterator[Path]:
    """A folder that the workers of one test run share, for one of them at a time."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / name
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


@pytest.fixture(scope="session")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The real deliveries of 2013."""
    with shared(tmp_path_factory, "landing") as folder:
        nycflights.deliver(str(folder / "events" / "{day}.parquet"), str(folder / "outcomes" / "{day}.parquet"))
    return folder


@pytest.fixture(scope="session")
def lived_ten_days(tmp_path_factory: pytest.TempPathFactory, landing: Path) -> Loop:
    with shared(tmp_path_factory, "ten") as folder:
        if (folder / "lived").exists():
            return loop_in(folder / "days")
        with pytest.MonkeyPatch.context() as patch:
            loop = make_loop(folder / "days", landing, patch, overlay(SHORT, DAILY))
            loop.live("2013-01-10")
        (folder / "lived").touch()
    return loop


@pytest.fixture
def new_loop(tmp_path: Path, landing: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Loop]:
    """`new_loop(name, **changes)`: a loop in a folder of its own; the environment points to the newest one."""

    def make(name: str = "loop", changes: dict[str, Any] | None = None, deliveries: Path = landing) -> Loop:
        return make_loop(tmp_path / name, deliveries, monkeypatch, overlay(SHORT, changes or {}))

    return make


@pytest.fixture(scope="session")
def _hundred_days(tmp_path_factory: pytest.TempPathFactory, landing: Path) -> Iterator[Loop]:
    with pytest.MonkeyPatch.context() as patch:
        loop = make_loop(tmp_path_factory.mktemp("hundred") / "days", landing, patch, HUNDRED)
        for schedule, last in (("daily", "2013-01-28"), ("weekly", "2013-02-25"), ("0 4 1 7 *", "2013-04-10")):
            loop = loop.changed({"retraining": {"schedule": schedule}})
            loop.live(last)
        yield loop


@pytest.fixture
def hundred_days(_hundred_days: Loop, monkeypatch: pytest.MonkeyPatch) -> Loop:
    """A hundred days of life, retrained daily for four weeks, weekly for four more, and then when something asks for it.

    Tests that use it may read, and may repeat what was done; they change nothing.
    """
    enter(_hundred_days.folder, monkeypatch)
    return _hundred_days
