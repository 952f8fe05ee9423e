"""Promotion: every gate's verdict, one decision in the ledger, and the registry's aliases as its projection."""

import inspect
from collections.abc import Iterator
from datetime import date
from functools import partial
from typing import Any

import dagster as dg

from assets.stage import Stage, rounded, table
from evergreen import gates
from evergreen.config import Product
from evergreen.ladder import unfit_baseline
from evergreen.ledger import Entry
from evergreen.model_card import render
from evergreen.promotion import sentence, serving_now
from evergreen.retrain_entry import entry_of_retrain
from evergreen.storage import write_bytes
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
            decided = partial(entry_of_retrain, home.store(product), product, day, request)
            entry = ledger.append(stage.decision(day), decided)
        card = _write_card(stage, home, registry, day, entry)
        registry.describe_version(product.name, entry["candidate"]["version"], sentence(entry))
        registry.tag_version(
            product.name, entry["serving"]["baseline"]["version"], "evergreen.ladder", _baseline(entry)
        )
        registry.project(product.name, serving_now(ledger.entries()))
        yield stage.result("promotion", _shown(entry) | {"model_card": dg.MetadataValue.md(card)})
        for gate in entry["gates"]:
            yield _check(stage, day, gate)

    return [promotion]


def _write_card(stage: Stage, home: Home, registry: Registry, day: date, entry: Entry) -> str:
    """The card of the decision's candidate, kept in the home and with the run that trained it; returns it."""
    store = home.store(stage.product)
    report = store.read_document("evaluation_report", day)
    card = render(entry, report["champion"], report, stage.product)
    write_bytes(card.encode(), store.card_path(entry["candidate"]["version"]))
    registry.log_text(entry["candidate"]["run_id"], card, "model_card.md")
    return card


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
