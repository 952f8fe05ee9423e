"""Rollback: an earlier version serves again, from the next period that is not yet scored.

A model's record names its file, its training set (and so its features) and its threshold: what comes back, comes back together.
The version that it replaces is withdrawn: nothing but a hand puts it back.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

from evergreen.config import Product
from evergreen.digests import digest_file
from evergreen.errors import ModelError, RollbackError, StorageError
from evergreen.ledger import Entry, Ledger
from evergreen.periods import Periods
from evergreen.promotion import ROLLED_BACK, WAITING, serving_now
from evergreen.recipes import recorded_recipe
from evergreen.storage import Store

Record = dict[str, Any]


@dataclass(frozen=True)
class Request:
    """`identity` tells this request from any other: made twice, it is carried out once. `to` is a version, None the one before.

    `evidence` is what an automatic rollback was decided on; None where a person asks.
    """

    identity: str
    to: int | None
    reason: str
    requested_by: str
    evidence: dict[str, Any] | None = None


def rollback_key(product: str, identity: str) -> str:
    """The ledger's key of a rollback; no decision on a candidate has such a one."""
    return f"{product}/rollback/{identity}"


def roll_back(
    ledger: Ledger, store: Store, product: Product, request: Request, at: str, fetch: Callable[[Record], None]
) -> Entry:
    """Record a rollback, or return what is recorded of this request; `at` is the moment, ISO; `fetch` gets a model file that is lost.

    Raises RollbackError where no reason is given, or the version never served, serves already, or cannot be loaded as it was.
    """

    def content(entries: list[Entry]) -> Entry:
        version = choose(entries, request.to)
        serving = state_after(entries, version)
        verify(store, server(serving), fetch)
        scored = store.days("predictions")
        if not scored:
            raise RollbackError(f"{product.name} has not scored a day yet: there is nothing to roll back")
        return _entry(request, serving_now(entries), serving, scored, product) | {"at": at}

    if not request.reason.strip():
        raise RollbackError("a rollback needs a reason, for those who read the ledger later: --reason TEXT")
    return ledger.append(rollback_key(product.name, request.identity), content)


def _entry(request: Request, before: Record, serving: Record, scored: list[date], product: Product) -> Entry:
    return {
        "kind": "rollback",
        "as_of": str(scored[-1]),
        "decision": ROLLED_BACK,
        "effective_from": str(Periods.of(product.time).after(max(scored))),
        "withdrawn": server(before)["version"],
        "reason": request.reason,
        "requested_by": request.requested_by,
        "evidence": request.evidence,
        "serving": serving,
        "config": product.digest,
    }


def server(serving: Record) -> Record:
    """The record of who answers first: the champion, or the baseline where there is none."""
    return dict(serving["champion"] or serving["baseline"])


def choose(entries: list[Entry], to: int | None) -> int:
    """The version to put back. Raises RollbackError, saying which there are, where there is none or it serves already."""
    if not entries:
        raise RollbackError("nothing has been decided yet: the heuristic serves, and there is nothing to roll back to")
    now = serving_now(entries)
    if to is None and now["previous"] is None:
        raise RollbackError(
            f"there is no version before {server(now)['version']}: choose with --to; {_choices(entries)}"
        )
    version = int(now["previous"]["version"]) if to is None else to
    if version == server(now)["version"]:
        raise RollbackError(f"version {version} serves already; {_choices(entries)}")
    if version not in _records(entries):
        raise RollbackError(f"version {version} never served; {_choices(entries)}")
    return version


def _records(entries: list[Entry]) -> dict[int, Record]:
    """What can be put back, by version: every champion, and the newest baseline."""
    now = serving_now(entries)
    found = [*_champions(entries), now["baseline"]]
    return {record["version"]: record for record in found}


def _champions(entries: list[Entry]) -> list[Record]:
    """The champions, in the order in which they came to serve; one that came back is there again."""
    reigns: list[Record] = []
    for entry in entries:
        champion = entry["serving"]["champion"]
        if champion and (not reigns or reigns[-1]["version"] != champion["version"]):
            reigns.append(champion)
    return reigns


def _choices(entries: list[Entry]) -> str:
    now = serving_now(entries)
    served = sorted(_records(entries).keys() - {server(now)["version"]})
    return f"these can be put back: {', '.join(map(str, served)) or 'none'} (version {now['baseline']['version']} is the baseline)"


def state_after(entries: list[Entry], version: int) -> Record:
    """The serving state once `version` is back.

    What it replaces is withdrawn, and a candidate that waits was judged against that: it waits no more. `previous` is the champion
    before the one put back, never one that is withdrawn. The baseline comes back as itself: then there is no champion.
    """
    before = serving_now(entries)
    withdrawn = {*before.get("withdrawn", []), server(before)["version"]} - {version, before["baseline"]["version"]}
    state = before | dict.fromkeys(WAITING.values()) | {"withdrawn": sorted(withdrawn)}
    if version == before["baseline"]["version"]:
        return state | {"champion": None, "previous": None}
    reigns = _champions(entries)
    last = max(place for place, record in enumerate(reigns) if record["version"] == version)
    earlier = [record for record in reigns[:last] if record["version"] not in {*withdrawn, version}]
    return state | {"champion": reigns[last], "previous": earlier[-1] if earlier else None}


def verify(store: Store, record: Record, fetch: Callable[[Record], None]) -> None:
    """Raises RollbackError unless the version can serve as it did: its file is the one that was judged, its features are known."""
    path, version = store.model_path(record["digest"]), record["version"]
    if not path.exists():
        fetch(record)
    if not path.exists():
        raise RollbackError(
            f"{path}, the file of version {version}, is missing, and MLflow has another: take it from a backup"
        )
    if digest_file(path) != record["digest"]:
        raise RollbackError(
            f"{path}, the file of version {version}, was changed since it was judged: `evergreen doctor --mend` fetches it again"
        )
    try:
        recorded_recipe(store, record)
    except (StorageError, ModelError) as problem:
        raise RollbackError(f"the features of version {version} are not known any more: {problem}") from None
