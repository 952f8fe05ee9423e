"""Promotion: every gate's verdict, one decision in the ledger, and the registry's aliases as its projection."""

import inspect
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import dagster as dg

from assets.stage import Stage, rounded, table
from evergreen import gates
from evergreen.config import Product
from evergreen.errors import LedgerError
from evergreen.ladder import AGAINST_PRIOR, unfit_baseline
from evergreen.ledger import Entry
from evergreen.model_card import render
from evergreen.periods import Periods
from evergreen.promotion import decide, effective_from, refuse_older_day, sentence, serving_after, serving_now
from evergreen.stages import after_gates
from evergreen.storage import Store, write_bytes
from evergreen.tasks import task_of
from pipelines import tags
from pipelines.registry import Registry
from pipelines.resources import Home


def promotion_assets(product: Product) -> list[dg.AssetsDefinition]:
    stage = Stage(product, "promotion")

    @dg.asset(
        **stage.options(
            "promotion",
            "The decision: promoted, kept or held, by which gate and why. A kept champion is a normal outcome.",
            deps=["evaluation_report", *(["refit_model"] if product.training.refit_on_promotion else [])],
            kinds={"json", "mlflow"},
            depends_on=["gates", "decision", "service_levels"],
        ),
        check_specs=[stage.gate("promotion", gate.__name__, inspect.getdoc(gate) or "") for gate in gates.GATES],
    )
    def promotion(
        context: dg.AssetExecutionContext, home: Home, registry: Registry
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        day, ledger = stage.day(context), home.promotions(product)
        entry = ledger.find(stage.decision(day))
        if entry is None:
            requested_by = context.run.tags.get(tags.REQUESTED_BY, "hand")
            request = {"requested_by": requested_by, "dagster_run": context.run.run_id}
            entry = ledger.append(stage.decision(day), lambda entries: _decide(stage, home, day, entries, request))
        card = _write_card(stage, home, registry, day, entry)
        tagged = partial(registry.tag_version, product.name)
        tagged(entry["candidate"]["version"], "evergreen.outcome", sentence(entry))
        tagged(entry["serving"]["baseline"]["version"], "evergreen.ladder", _baseline(entry))
        registry.project(product.name, serving_now(ledger.entries()))
        yield stage.result("promotion", _shown(entry) | {"model_card": dg.MetadataValue.md(card)})
        for gate in entry["gates"]:
            yield _check(stage, day, gate)

    return [promotion]


def _decide(stage: Stage, home: Home, day: date, entries: list[Entry], request: dict[str, Any]) -> dict[str, Any]:
    """The content of the ledger's next entry, after these."""
    product, store = stage.product, home.store(stage.product)
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
    refuse_older_day(entries, str(day))
    before = serving_now(entries)
    if report["champion"] != before.get("champion"):
        raise LedgerError(f"{stage.decision(day)} was judged against another champion: run the whole retrain job again")
    outcome = after_gates(decision.outcome, before, product)
    return {
        "as_of": str(day),
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "decision": outcome,
        "deciding_gate": decision.deciding_gate,
        "loss": task_of(product).words.loss,
        "effective_from": str(effective_from(day, store.days("predictions"), Periods.of(product.time))),
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


def _write_card(stage: Stage, home: Home, registry: Registry, day: date, entry: Entry) -> str:
    """The card of the decision's candidate, kept in the home and with the run that trained it; returns it."""
    store = home.store(stage.product)
    report = store.read_document("evaluation_report", day)
    card = render(entry, report["champion"], report, stage.product)
    write_bytes(card.encode(), store.card_path(entry["candidate"]["version"]))
    registry.log_text(entry["candidate"]["run_id"], card, "model_card.md")
    return card


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


def _baseline(entry: Entry) -> str:
    """What the newest baseline is for."""
    return unfit_baseline(entry["serving"]) or "It may serve, under champion and previous."


def _check(stage: Stage, day: date, gate: dict[str, Any]) -> dg.AssetCheckResult:
    numbers = {
        name: rounded(gate[name])
        for name in ("value", "low", "high", "bound", "smallest_effect")
        if gate[name] is not None
    }
    return dg.AssetCheckResult(
        asset_key=stage.key("promotion"),
        check_name=gate["name"],
        passed=gate["verdict"] in ("pass", "off"),
        severity=dg.AssetCheckSeverity.WARN,
        description=gate["sentence"],
        metadata={"as_of": str(day), "role": gate["role"], "verdict": gate["verdict"], **numbers},
    )


def _shown(entry: dict[str, Any]) -> dict[str, Any]:
    champion = entry["serving"]["champion"]
    return {
        "decision": sentence(entry),
        "outcome": entry["decision"],
        "deciding_gate": entry["deciding_gate"],
        "requested_by": entry["requested_by"],
        "effective_from": entry["effective_from"],
        "candidate_version": entry["candidate"]["version"],
        "champion_version": champion["version"] if champion else "none yet",
        "baseline": _baseline(entry),
        "promoted": int(entry["decision"] == "promoted"),
        "gates": table(
            [{name: gate[name] for name in ("name", "role", "verdict", "sentence")} for gate in entry["gates"]]
        ),
    }
