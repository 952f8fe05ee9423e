"""A retrain's entry in the promotion ledger, from what the retrain wrote: its manifest, its models' records and the judge's report.

This is where a retrain is decided: the gates read the report on the candidate; where they promote it, and it ships refitted, they read
the refit's file too, and the candidate becomes its twin. What follows from the outcome, who serves from when, is in the same entry.
"""

from datetime import UTC, date, datetime
from typing import Any

from evergreen import gates
from evergreen.config import Product
from evergreen.errors import LedgerError
from evergreen.ladder import AGAINST_PRIOR
from evergreen.ledger import Entry
from evergreen.promotion import decide, decision_id, effective_from, refuse_older_day, serving_after, serving_now
from evergreen.storage import Store
from evergreen.tasks import task_of
from evergreen.waits import after_gates


def entry_of_retrain(
    store: Store, product: Product, day: date, request: dict[str, Any], entries: list[Entry]
) -> dict[str, Any]:
    """The content of the ledger's next entry, after `entries`; `request` says who asked, and in which run.

    Raises LedgerError where a later day is decided, another champion was judged, or what ships was fitted to other rows.
    """
    report = store.read_document("evaluation_report", day)
    training = store.read_document("training_set", day)
    evidence = gates.evidence_of(report, training)
    judged = gates.judge(evidence, product)
    decision = decide(judged)
    records = {
        name: _record(store.read_document(f"{name}_model", day), report["summary"][name], product)
        for name in ("candidate", "baseline")
    }
    records["baseline"][AGAINST_PRIOR] = gates.against_prior(evidence, product).as_dict()
    refit = None
    if decision.outcome == "promoted" and (refit := training.get("refit")):
        fitted = _refit(store, day, refit)
        judged = gates.judge(gates.evidence_of(report | fitted["file"], training), product)
        decision = decide(judged)
        records["candidate"] = _record(fitted, report["summary"]["candidate"], product) | {"twin": records["candidate"]}
    before = _serving_before(entries, product, day, report["champion"])
    outcome = after_gates(decision.outcome, before, product)
    return {
        "as_of": str(day),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "decision": outcome,
        "deciding_gate": decision.deciding_gate,
        "loss": task_of(product).words.loss,
        "effective_from": str(effective_from(day, store.days("predictions"), product.time)),
        "gates": [gate.as_dict() for gate in judged],
        "candidate": records["candidate"],
        "training": _named(training),
        "refit": refit and _named(refit),
        "evaluation": {
            "version": report["evaluation_version"],
            "digest": report["evaluation_digest"],
            "days": report["days"],
        },
        "serving": serving_after(outcome, before, records["candidate"], records["baseline"], training["base_rate"]),
        "config": product.digest,
        **request,
    }


def _serving_before(
    entries: list[Entry], product: Product, day: date, champion: dict[str, Any] | None
) -> dict[str, Any]:
    """Who serves after `entries`. Raises LedgerError where that is not the champion that was judged, or a later day is decided."""
    refuse_older_day(entries, str(day))
    before = serving_now(entries)
    if champion != before.get("champion"):
        raise LedgerError(
            f"{decision_id(product.name, day)} was judged against another champion: run the whole retrain job again"
        )
    return before


def _refit(store: Store, day: date, made: dict[str, Any]) -> dict[str, Any]:
    """The model that was fitted to this manifest to ship. Raises LedgerError where it was fitted to another."""
    record = store.read_document("refit_model", day)
    if record["training_digest"] != made["digest"]:
        raise LedgerError(f"the refit as of {day} was fitted to other rows: run the whole retrain job again")
    return record


def _named(manifest: dict[str, Any]) -> dict[str, Any]:
    return {name: manifest[name] for name in ("digest", "first_day", "last_day", "rows")}


def _record(model: dict[str, Any], summary: dict[str, Any], product: Product) -> dict[str, Any]:
    """What the ledger keeps of a version: enough to serve it, with its own threshold, to compare with it, and to trace it."""
    kept = (
        "version",
        "run_id",
        "experiment",
        "digest",
        "recipe",
        "config",
        "commit",
        "as_of",
        "trained_through",
        "training_digest",
    )
    record = {name: model[name] for name in kept} | {"packages": model.get("packages", [])}
    return record | {"threshold": task_of(product).threshold(), "reference_log_loss": summary["log_loss"]}
