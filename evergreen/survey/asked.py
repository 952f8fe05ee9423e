"""What the user said before the survey, which then need not guess."""

from dataclasses import dataclass
from datetime import timedelta

from evergreen.cadence import Cadence


@dataclass(frozen=True)
class Asked:
    """What the user said; None, or nothing, where it is left to the survey."""

    label: str | None = None
    event_time: str | None = None
    id: str | None = None
    task: str | None = None
    positive: str | None = None
    known_at: str | None = None
    known_after: timedelta | None = None
    cadence: Cadence | None = None
    timezone: str = "UTC"
    time_format: str | None = None
    outcomes: tuple[str, ...] = ()
    known_before: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()
