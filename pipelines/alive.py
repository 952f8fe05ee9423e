"""Whether a run's process lives: it holds a lock for as long, and the kernel lets go of it however the process ends."""

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

from pipelines import places


class Sign(Enum):
    """HELD: the process lives. LEFT: it died. NONE: it has not come so far, or has finished."""

    HELD = "held"
    LEFT = "left"
    NONE = "none"


@contextmanager
def alive(run_id: str) -> Iterator[None]:
    """Hold a run's lock for as long as the block runs."""
    path = _path(run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def sign_of_life(run_id: str) -> Sign:
    try:
        with _path(run_id).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return Sign.NONE
    except BlockingIOError:
        return Sign.HELD
    return Sign.LEFT


def _path(run_id: str) -> Path:
    return places.home() / "dagster" / "alive" / run_id
