"""Who served when, by what evidence, moved by whom: read from the promotion ledger, and held against what really answered."""

from dataclasses import asdict, dataclass, field
from datetime import date
from itertools import pairwise
from typing import Any

from evergreen.cadence import just_before, parse_period
from evergreen.errors import LedgerError
from evergreen.ladder import HEURISTIC, NO_VERSION, first_rung
from evergreen.ledger import Entry
from evergreen.promotion import asked_for_by, sentence
from evergreen.storage import Store

Server = tuple[str, int]


@dataclass(frozen=True)
class Reign:
    """A stretch of days that one version was meant to serve. `last` is None for the one that goes on.

    `entry` is the key of the ledger entry that brought it, None for the heuristic of the first days. `otherwise` counts the scored
    days on which a lower rung answered instead, by that rung and version.
    """

    first: date
    last: date | None
    served_by: str
    version: int
    moved_by: str
    evidence: str
    entry: str | None
    days: int = 0
    otherwise: dict[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def timeline(entries: list[Entry], store: Store, start: date) -> list[Reign]:
    """Every reign since the product's start, oldest first.

    Raises LedgerError where a scored day names a ledger entry that is not there: entries were taken away from the end.
    """
    moves = [(start, (HEURISTIC, NO_VERSION), None), *_moves(entries)]
    ends = [just_before(following[0]) for _, following in pairwise(moves)]
    answered = _answered(store, {entry["digest"] for entry in entries})
    return [
        _reign(first, last, server, cause, answered)
        for (first, server, cause), last in zip(moves, [*ends, None], strict=True)
        if last is None or last >= first
    ]


def _moves(entries: list[Entry]) -> list[tuple[date, Server, Entry]]:
    """The first day of each server, and the entry that brought it; what was overtaken before it served a day is left out."""
    moves: list[tuple[date, Server, Entry]] = []
    current, cause = (HEURISTIC, NO_VERSION), None
    for number, entry in enumerate(entries):
        server = first_rung(entry["serving"])
        cause = entry if cause is None or server != first_rung(cause["serving"]) else cause
        following = entries[number + 1] if number + 1 < len(entries) else None
        overtaken = following is not None and following["effective_from"] == entry["effective_from"]
        if not overtaken and server != current:
            moves.append((parse_period(entry["effective_from"]), server, cause))
            current = server
    return moves


def _answered(store: Store, known: set[str]) -> dict[date, Server]:
    """Who answered on each scored day that has rows."""
    answered, strange = {}, []
    for day in store.days("predictions"):
        made = store.read("predictions", day, ["served_by", "version", "ledger_head"])
        strange += [day for head in made.ledger_head.unique() if head and head not in known]
        if len(made):
            answered[day] = (str(made.served_by.iloc[-1]), int(made.version.iloc[-1]))
    if strange:
        raise LedgerError(
            f"{len(strange)} scored day(s), the first {strange[0]}, were served on ledger entries that are not there: lines were "
            "taken away; restore the file from a backup"
        )
    return answered


def _reign(first: date, last: date | None, server: Server, cause: Entry | None, answered: dict[date, Server]) -> Reign:
    scored = [who for day, who in answered.items() if first <= day and (last is None or day <= last)]
    others = [server_name(who) for who in scored if who != server]
    return Reign(
        first,
        last,
        *server,
        moved_by=asked_for_by(cause) if cause else "nobody",
        evidence=sentence(cause) if cause else "Nothing had been decided yet.",
        entry=cause["key"] if cause else None,
        days=len(scored),
        otherwise={other: others.count(other) for other in sorted(set(others))},
    )


def server_name(server: Server) -> str:
    """A rung with its version, as people read it."""
    return f"{server[0]} v{server[1]}" if server[1] else server[0]
