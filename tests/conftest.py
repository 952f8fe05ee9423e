"""What is made once a session, for whoever asks for it: the real deliveries of 2013, and a real PostgreSQL."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from evergreen.samples import nycflights
from tests.postgres import Postgres, running_postgres
from tests.sharing import shared

MEMORY, ROOM = Path("/dev/shm"), 4 * 2**30
"""A file system in memory, where the machine has one, and how much of it has to be free: the tests take 1.4 GiB."""


def pytest_configure(config: pytest.Config) -> None:
    """Homes lie in memory where there is room: how long a commit waits for the disk is not what is tested."""
    if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", str(MEMORY))


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as server:
        yield server


@pytest.fixture(scope="session")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the real deliveries of 2013: read alone, by every test that needs them."""
    with shared(tmp_path_factory, "landing") as folder:
        nycflights.deliver(str(folder / "events" / "{day}.parquet"), str(folder / "outcomes" / "{day}.parquet"))
    return folder
