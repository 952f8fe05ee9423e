"""Where a clone's own modules lie: beside `evergreen`, and in no list of ours."""

import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]


def reach_own_modules() -> None:
    """Let them be imported from wherever a process was started."""
    if str(REPOSITORY) not in sys.path:
        sys.path.append(str(REPOSITORY))
