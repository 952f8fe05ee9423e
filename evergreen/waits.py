"""From the gates to the champion: what becomes of a candidate that passes, how a wait ends, and how long each took.

One candidate waits at a time. One in shadow is left to its days, and a newer one that passes the gates meanwhile is recorded as
superseded: if the newer took its place, a shadow longer than the time between two retrains would never end. One that awaits a person
gives way to a newer one: silence must not keep fresh data out. A rollback ends either wait, since the candidate was judged against
the champion that is gone.
"""

from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from evergreen.cadence import just_before, parse_period
from evergreen.config import Product
from evergreen.errors import StageError
from evergreen.ledger import Entry
from evergreen.promotion import (
    AWAITING,
    IN_SHADOW,
    PROMOTED,
    SUPERSEDED,
    WAITING,
    decisions,
    effective_from,
    moved,
    serving_now,
)

Record = dict[str, Any]
Waiting = tuple[str, Record, Entry]
"""Who waits: the role, its record, and the decision on that candidate."""
NAMES = {"shadow": "shadow", "awaiting": "approval"}


@dataclass(frozen=True)
class Wait:
    """A candidate's wait: `shadow` or `approval`, from the first day on which it could have served to the last.

    `last` and `ended` (what became of it) are None while it lasts; `last` is the day before `first` where it ended before a day
    was scored. `began_at` and `ended_at` are moments, ISO, None where they were not recorded or are to come.
    """

    version: int
    stage: str
    decision: str
    first: date
    last: date | None
    ended: str | None
    began_at: str | None
    ended_at: str | None

    @property
    def days(self) -> int | None:
        """Whole days that it took; None while it lasts."""
        return None if self.last is None else (self.last - self.first).days + 1

    def as_dict(self) -> dict[str, Any]:
        return asdict(self) | {"days": self.days}


def after_gates(outcome: str, before: Record, product: Product) -> str:
    """What a decision becomes where the product lets nothing through at once; `before` is the serving state.

    A first champion has nobody to be in shadow of.
    """
    if outcome != PROMOTED:
        return outcome
    if product.shadow.days and before.get("champion"):
        return SUPERSEDED if before.get("shadow") else IN_SHADOW
    return after_shadow(product)


def after_shadow(product: Product) -> str:
    """What is left for a candidate that has nothing to prove any more."""
    return AWAITING if product.gates.approval == "required" else PROMOTED


def waiting(entries: list[Entry]) -> Waiting | None:
    """Who waits; None where nobody does."""
    serving = serving_now(entries)
    for role in WAITING.values():
        if record := serving.get(role):
            decided = [entry for entry in decisions(entries) if entry["candidate"]["version"] == record["version"]]
            return role, record, decided[-1]
    return None


def ending(
    kind: str, outcome: str, entries: list[Entry], scored: list[date], product: Product, content: Record
) -> Entry:
    """The entry that ends a wait, or turns it into the next one, from the first day not yet scored on.

    `content` has at least `reason`, `requested_by` and `at`. Raises StageError where nobody waits.
    """
    found = waiting(entries)
    if found is None:
        raise StageError(f"no candidate of {product.name} waits; {_last(entries)}")
    _, record, decided = found
    return {
        "kind": kind,
        "as_of": str(scored[-1]),
        "decision": outcome,
        "effective_from": str(effective_from(parse_period(decided["as_of"]), scored, product.time)),
        "candidate": record,
        "decided": decided["key"],
        "serving": moved(outcome, serving_now(entries), record),
        "config": product.digest,
        **content,
    }


def _last(entries: list[Entry]) -> str:
    ends = [entry for entry in entries if "decided" in entry]
    if not ends:
        return "nobody has waited yet"
    return f"version {ends[-1]['candidate']['version']} was {ends[-1]['decision']} ({ends[-1]['requested_by']})"


def waits_of(entries: list[Entry]) -> list[Wait]:
    """Every wait, in the order in which they began."""
    found: list[Wait] = []
    began: Entry | None = None
    for entry in entries:
        if began is not None and _who(entry) != _who(began):
            found.append(_wait(began, entry))
            began = None
        if began is None and _who(entry):
            began = entry
    return [*found, _wait(began, None)] if began else found


def _who(entry: Entry) -> tuple[str, int] | None:
    """The role and the version that wait once this is entered."""
    serving = entry["serving"]
    return next(((role, serving[role]["version"]) for role in WAITING.values() if serving.get(role)), None)


def _wait(began: Entry, end: Entry | None) -> Wait:
    who = _who(began)
    assert who is not None, "a wait begins with an entry after which somebody waits"
    role, version = who
    return Wait(
        version,
        NAMES[role],
        str(began.get("decided", began["key"])),
        parse_period(began["effective_from"]),
        just_before(parse_period(end["effective_from"])) if end else None,
        _fate(version, end) if end else None,
        began.get("at"),
        end.get("at") if end else None,
    )


def _fate(version: int, end: Entry) -> str:
    return str(end["decision"]) if end.get("candidate", {}).get("version") == version else SUPERSEDED
