"""What is made once a session, for whoever asks for it: the real deliveries of 2013, and a real PostgreSQL."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from evergreen.samples import nycflights
from tests.postgres import Postgres, running_postgres
from tests.sharing import shared


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
