"""What of a product may go: pure rules over the ledger, the product's retention and a listing of what is held.

Only what is listed here can ever be removed: refused rows, logs of runs, and model files. A model file is needed as long as the
newest ledger entry or an alias names it, and so is its twin's; an event log, as long as its run is under way or took a decision.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any, Literal

from evergreen.cadence import just_before, parse_period
from evergreen.config import Retention
from evergreen.ledger import Entry
from evergreen.promotion import WAITING

Kind = Literal["quarantine", "event_logs", "refused_models", "superseded_models"]
WHY: dict[Kind, str] = {
    "quarantine": "quarantined on",
    "event_logs": "run of",
    "refused_models": "candidate that never served, decided as of",
    "superseded_models": "last named by the ledger on",
}


@dataclass(frozen=True)
class Held:
    """A thing that might go. `name` is a day, a run id or a model's digest; `since` is the day from which its age counts."""

    kind: Kind
    name: str
    since: date
    paths: tuple[Path, ...]
    bytes: int

    @property
    def why(self) -> str:
        return f"{WHY[self.kind]} {self.since}"


@dataclass(frozen=True)
class ModelUse:
    """What the ledger knows of a model file: its version, whether it ever served, and the last day on which an entry named it.

    `last_day` is None for what the newest entry names.
    """

    version: int
    served: bool
    last_day: date | None


def model_uses(entries: list[Entry]) -> dict[str, ModelUse]:
    """Every model file that the ledger names, by digest; a file that it does not name is not known here, and never goes."""
    uses: dict[str, ModelUse] = {}
    for number, entry in enumerate(entries):
        following = entries[number + 1] if number + 1 < len(entries) else None
        until = just_before(parse_period(following["effective_from"])) if following else None
        for role, state in entry["serving"].items():
            for record in _models([state]):
                uses[record["digest"]] = ModelUse(record["version"], role not in WAITING.values(), until)
        for record in _models([entry.get("candidate")]):
            decided = parse_period(entry["as_of"])
            uses.setdefault(record["digest"], ModelUse(record["version"], False, decided if following else None))
    return uses


def digests_of(entries: list[Entry]) -> dict[int, str]:
    """The model file of each version that the ledger names."""
    records = (record for entry in entries for record in _models([*entry["serving"].values(), entry.get("candidate")]))
    return {record["version"]: record["digest"] for record in records}


def removable(held: Iterable[Held], retention: Retention, today: date, needed: Collection[str]) -> list[Held]:
    """What is older than the product's retention and named by nothing in `needed` (run ids and digests)."""
    ages: dict[str, timedelta | None] = dict(retention)
    return [
        item
        for item in held
        if (age := ages[item.kind]) is not None and item.since < today - age and item.name not in needed
    ]


def needed_runs(entries: list[Entry]) -> set[str]:
    """The Dagster runs that took a decision: what they logged is part of why."""
    return {entry["dagster_run"] for entry in entries if entry.get("dagster_run")}


def _models(records: Iterable[Any]) -> list[dict[str, Any]]:
    """The model records among these, each with its twin's."""
    found = [record for record in records if isinstance(record, dict) and "digest" in record]
    return found + [record["twin"] for record in found if "twin" in record]
