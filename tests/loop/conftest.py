"""Fixtures of the whole-loop tests: homes of their own, and lives that many tests read."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from evergreen.product_files import overlay
from tests.loop.care import Kept, Restored, keep_a_life
from tests.loop.life import DAILY, HUNDRED, SHORT, Loop, enter, loop_in, make_loop
from tests.sharing import shared


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

    def make(
        name: str = "loop", changes: dict[str, Any] | None = None, deliveries: Path = landing, with_tables: bool = True
    ) -> Loop:
        return make_loop(tmp_path / name, deliveries, monkeypatch, overlay(SHORT, changes or {}), with_tables)

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


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory, landing: Path) -> Kept:
    with shared(tmp_path_factory, "kept") as folder:
        if not (folder / "lived").exists():
            keep_a_life(folder, landing)
            (folder / "lived").touch()
    return Kept(folder / "backup.tar.gz", folder / "life" / "configs")


@pytest.fixture(scope="session")
def _restored(tmp_path_factory: pytest.TempPathFactory, kept: Kept) -> Restored:
    return Restored(kept, tmp_path_factory.mktemp("restored"))


@pytest.fixture
def restored(_restored: Restored, monkeypatch: pytest.MonkeyPatch) -> Loop:
    """A life restored from its backup; a test may damage it."""
    return _restored.anew(monkeypatch)
