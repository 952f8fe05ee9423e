"""What is wrong with a product's data: each finding says what, how bad, and how to mend it. Nothing is changed here."""

import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import partial
from operator import itemgetter
from pathlib import Path
from typing import Any, Literal

from evergreen import backfill
from evergreen.as_of import AsOf
from evergreen.backfill import DOCUMENTS, RAW, TABLES, absent, command
from evergreen.cadence import parse_period
from evergreen.config import Product
from evergreen.errors import LedgerError, PartitionMissing, StorageError
from evergreen.ledger import Entry, Ledger
from evergreen.periods import Periods
from evergreen.promotion import decisions as decided
from evergreen.promotion import judged
from evergreen.recipes import as_it_was
from evergreen.storage import Store
from evergreen.training import manifest

DECISION_DOCUMENTS = (
    "training_set",
    "baseline_model",
    "candidate_model",
    "evaluation_set",
    "evaluation_report",
    "profile",
)
FROM_BACKUP = "take the file from a backup: evergreen restore FILE --into ANOTHER_FOLDER, and copy it from there"


@dataclass(frozen=True)
class Finding:
    """`bad` is broken (something is lost or wrong) or warning (something will go wrong). `mend` is words, or a command where there is
    one; `cure` mends it, None where only a person can."""

    what: str
    bad: Literal["broken", "warning"]
    mend: str
    cure: Callable[[], object] | None = None


def gaps(store: Store, product: Product, last: date) -> list[Finding]:
    """Partitions and documents that are missing between the product's start and `last`; those of the same days are one finding."""
    missing: dict[tuple[str, ...], list[date]] = {}
    for day in Periods.of(product.time).between(product.time.start, last):
        if names := tuple(absent(store, product, day, last)):
            missing.setdefault(names, []).append(day)
    return [
        Finding(f"missing for {_listed(days)}: {_named(names)}", "broken", command(product, names, days))
        for names, days in missing.items()
    ]


def outdated(store: Store, product: Product, last: date) -> list[Finding]:
    """Batches up to `last` that were made for other features than today's: one finding."""
    days = backfill.outdated(store, product, Periods.of(product.time).between(product.time.start, last))
    if not days:
        return []
    what = f"batch of {_listed(days)} was made for other features, or by code that was edited since: no training can read it"
    return [Finding(what, "warning", command(product, ["batch"], days))]


def _named(names: tuple[str, ...]) -> str:
    return "everything" if len(names) == len(TABLES) + len(DOCUMENTS) else ", ".join(names)


def _listed(days: list[date]) -> str:
    return str(days[0]) if len(days) == 1 else f"{len(days)} days, {days[0]} to {days[-1]}"


def contents(store: Store, product: Product, day: date, written: Mapping[tuple[str, date], str]) -> list[Finding]:
    """Partitions and documents of a day that cannot be read, or are not what was written.

    `written` has the digests that runs recorded, by table and day; raw deliveries carry theirs in `raw_batch`.
    """
    found: list[Finding] = []
    documents = {name: _document(store, product, name, day, found) for name in DOCUMENTS}
    digests = (documents["raw_batch"] or {}).get("digests", {})
    for table in TABLES:
        if not store.path(table, day).exists():
            continue
        expected = digests.get(RAW[table]) if table in RAW else written.get((table, day))
        try:
            digest = store.digest(table, day)
        except StorageError:
            found.append(
                Finding(f"{store.path(table, day)} is not readable", "broken", command(product, [table], [day], True))
            )
            continue
        if expected and digest != expected:
            what = f"{store.path(table, day)} was changed: its digest is {digest}, {expected} was recorded"
            found.append(Finding(what, "broken", f"{command(product, [table], [day], True)}; or {FROM_BACKUP}"))
    return found


def _document(
    store: Store, product: Product, name: str, day: date, found: list[Finding], mend: str = ""
) -> dict[str, Any] | None:
    """The document; None, with a finding, where it is not readable, and None alone where it is missing."""
    try:
        return store.read_document(name, day)
    except PartitionMissing:
        return None
    except StorageError:
        found.append(
            Finding(
                f"{store.document_path(name, day)} is not readable",
                "broken",
                mend or command(product, [name], [day], True),
            )
        )
        return None


def ledgers(ledgers: Iterable[Ledger]) -> list[Finding]:
    """Ledgers whose chain of digests is broken."""
    found = []
    for ledger in ledgers:
        try:
            ledger.entries()
        except LedgerError as problem:
            found.append(Finding(str(problem), "broken", FROM_BACKUP))
    return found


def decisions(store: Store, product: Product, entries: list[Entry]) -> list[Finding]:
    """Documents of decided retrains that are missing, unreadable, or not those on which the ledger says it was decided."""
    found: list[Finding] = []
    for entry in decided(entries):
        day = parse_period(entry["as_of"])
        candidate = entry["candidate"]
        recorded = {
            "training_set": entry["training"]["digest"],
            "evaluation_set": entry["evaluation"]["digest"],
            "candidate_model": judged(candidate)["digest"],
            "baseline_model": entry["serving"]["baseline"]["digest"],
        } | ({"refit_model": candidate["digest"]} if "twin" in candidate else {})
        for name in dict.fromkeys([*DECISION_DOCUMENTS, *recorded]):
            path = store.document_path(name, day)
            document = _document(store, product, name, day, found, FROM_BACKUP)
            if not path.exists():
                found.append(Finding(f"{path} is missing, and {entry['key']} was decided on it", "broken", FROM_BACKUP))
            elif document and name in recorded and document["digest"] != recorded[name]:
                what = f"{path} is not what {entry['key']} was decided on: digest {document['digest']}, in the ledger {recorded[name]}"
                found.append(Finding(what, "broken", FROM_BACKUP))
    return found


def serving_rows(store: Store, entries: list[Entry]) -> list[Finding]:
    """Whether the days behind the serving versions, and behind the newest judgement, still give the rows that they gave."""
    if not entries:
        return []
    serving = [record for record in entries[-1]["serving"].values() if isinstance(record, dict)]
    manifests = {("training_set", record["as_of"]): record for record in serving}
    newest = decided(entries)[-1]
    manifests["evaluation_set", newest["as_of"]] = newest["candidate"]
    days: dict[bool, list[set[str]]] = {True: [], False: []}
    changed: dict[str, None] = {}
    for (name, as_of), record in sorted(manifests.items(), key=itemgetter(0)):
        for same, named in _give_their_rows(store, name, record):
            days[same].append(named)
            changed |= {} if same else {f"{name} of {as_of}": None}
    if not changed:
        return []
    suspects = sorted(set.intersection(*days[False]).difference(*days[True])) or sorted(set.union(*days[False]))
    what = (
        f"batch or labels changed on a day of {suspects[0]} to {suspects[-1]}: other rows now for {', '.join(changed)}"
    )
    return [Finding(what, "broken", FROM_BACKUP)]


def _give_their_rows(store: Store, name: str, record: Mapping[str, Any]) -> list[tuple[bool, set[str]]]:
    """Whether the days of a manifest, and of its refit's, still give its digest, and those days; what is lost is no change of rows."""
    try:
        view = as_it_was(store, record)
        document = store.read_document(name, view.day)
        recorded = [made for made in (document, document.get("refit")) if made]
        return [(_digest_again(view, made) == made["digest"], set(made["days"])) for made in recorded]
    except (StorageError, KeyError, ValueError):
        return []


def _digest_again(view: AsOf, recorded: dict[str, Any]) -> str:
    days = [parse_period(day) for day in recorded["days"]]
    return str(manifest(view, view.mature_on(days), days, recorded.get("left_out", []))["digest"])


def leftovers(paths: Iterable[Path]) -> list[Finding]:
    """What writes and restores that were killed left behind."""
    mend = "evergreen doctor --mend removes it"
    return [Finding(f"{path} was left by a killed process", "warning", mend, partial(_remove, path)) for path in paths]


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
