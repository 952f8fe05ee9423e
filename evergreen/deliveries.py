"""Late and corrected deliveries: the days that have to be done again because files arrived after they were tried."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import date

from evergreen.digests import digest_json
from evergreen.sources import DailyFiles
from evergreen.storage import Store


@dataclass(frozen=True)
class Arrival:
    """A day whose files differ from what was read (`corrected`), or came after it was tried in vain (`late`).

    `digest` identifies the files' content: the same content is asked for once.
    """

    day: date
    kind: str
    digest: str


@dataclass(frozen=True)
class Look:
    """What a look at the landing zone found; `newest` is when the newest file arrived, in nanoseconds since 1970: where the
    next look begins."""

    arrivals: list[Arrival]
    newest: int


def look_for_arrivals(
    source: DailyFiles, store: Store, days: Iterable[date], tried: Callable[[date], bool], since: int
) -> Look:
    """Compare the files that arrived from `since` on (nanoseconds since 1970) with the record of what was read.

    `tried(day)` says whether the daily job was asked for a day before: one that never was is the schedule's, not a late one. A file
    that was delivered again with the same content changes nothing.
    """
    arrivals, newest = [], since
    for day in days:
        arrived = source.arrived(day)
        if arrived is None or arrived < since:
            continue
        newest = max(newest, arrived)
        found = _compare(source, store, day, tried)
        if found:
            arrivals.append(found)
    return Look(arrivals, newest)


def _compare(source: DailyFiles, store: Store, day: date, tried: Callable[[date], bool]) -> Arrival | None:
    now = source.fingerprint(day)
    if not store.document_path("raw_batch", day).exists():
        return Arrival(day, "late", digest_json(now)) if tried(day) else None
    record = store.read_document("raw_batch", day)
    read = {kind: record.get(kind, {}).get("sha256") for kind in now}
    return Arrival(day, "corrected", digest_json(now)) if read != now else None
