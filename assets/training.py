"""Training: a manifest of mature rows, the baselines that must be beaten, the candidate, and what ships in its place."""

import time
from dataclasses import dataclass
from typing import Any

import dagster as dg

from assets.stage import Stage
from evergreen import charts
from evergreen.as_of import AsOf
from evergreen.config import Model, Product
from evergreen.digests import digest_json
from evergreen.gates import evidence_of, judge
from evergreen.golden import golden_key
from evergreen.ledger import Entry
from evergreen.promotion import decide, refuse_changed_rows, refuse_older_day
from evergreen.training import read_manifest_rows, training_manifest
from pipelines import places
from pipelines.registry import Registry, TrainingRun
from pipelines.resources import Home, git_commit

LOGGED = ("log_loss", "roc_auc", "accuracy", "mae", "rmse")
"""Measures on the training rows, as far as the task has them."""


@dataclass(frozen=True)
class Training:
    """One training that a retrain asks for: `model` fitted to the rows of `manifest`, as a candidate, baseline or refit (`role`), for a
    decision and in a Dagster run."""

    view: AsOf
    manifest: dict[str, Any]
    role: str
    model: Model
    decision: str
    dagster_run: str

    @property
    def model_digest(self) -> str:
        """Of the declared estimator: a baseline is no part of the recipe."""
        return digest_json(self.model.model_dump(mode="json", exclude={"threads"}))


def training_assets(product: Product) -> list[dg.AssetsDefinition]:
    stage = Stage(product, "training")
    config = ["features", "label", "training", "evaluation"]

    @dg.asset(
        **stage.options(
            "training_set",
            "A manifest of the mature rows to train on, without the days that will judge, golden days and failure cases.",
            deps=["batch", "labels"],
            kinds={"json"},
            depends_on=config,
        ),
    )
    def training_set(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
        view, sets = stage.view_of_decision(home, context), home.evaluation_sets(product)
        made = training_manifest(view, sets.entries())
        decided = _decided(home.promotions(product).entries(), stage.decision(view.day), made)
        if made["golden"]:
            sets.append(golden_key(product), {"as_of": str(view.day), "days": made["golden"]})
        if not decided:
            view.store.write_document("training_set", view.day, {**made, "product": product.model_dump(mode="json")})
        shown = {name: made[name] for name in ("first_day", "last_day", "rows", "pending", "base_rate", "digest")}
        withheld = {f"withheld_{reason}": rows for reason, rows in made["withheld"].items()}
        return stage.result("training_set", {**shown, **withheld})

    def fit(
        context: dg.AssetExecutionContext, home: Home, registry: Registry, role: str, model: Model
    ) -> dg.MaterializeResult:
        view, decision = stage.view(home, context), stage.decision(stage.day(context))
        if home.promotions(product).find(decision):
            record = view.store.read_document(f"{role}_model", view.day)
        else:
            made = view.store.read_document("training_set", view.day)
            record = _fitted(Training(view, made, role, model, decision, context.run.run_id), registry)
        return shown(registry, role, record)

    def shown(registry: Registry, role: str, record: dict[str, Any]) -> dg.MaterializeResult:
        named = ("version", "rows", "base_rate", "fit_seconds", "training_digest")
        inside = {f"training_{name}": record[name] for name in ("log_loss", "roc_auc") if record[name] is not None}
        link = dg.MetadataValue.url(registry.run_url(record))
        return stage.result(f"{role}_model", {**{name: record[name] for name in named}, **inside, "mlflow": link})

    @dg.asset(
        **stage.options(
            "baseline_model",
            "The simple models that a candidate must beat: what labels say by themselves (the prior), and the declared baseline.",
            deps=["training_set"],
            kinds={"scikitlearn", "mlflow"},
            depends_on=config,
        ),
    )
    def baseline_model(context: dg.AssetExecutionContext, home: Home, registry: Registry) -> dg.MaterializeResult:
        return fit(context, home, registry, "baseline", product.baseline)

    @dg.asset(
        **stage.options(
            "candidate_model",
            "The declared model, fitted to the training set.",
            deps=["training_set"],
            kinds={"scikitlearn", "mlflow", "xgboost"},
            depends_on=config,
        ),
    )
    def candidate_model(context: dg.AssetExecutionContext, home: Home, registry: Registry) -> dg.MaterializeResult:
        return fit(context, home, registry, "candidate", product.training.model)

    @dg.asset(
        **stage.options(
            "refit_model",
            "The candidate's recipe fitted again, with the judging days, where the candidate passes: what ships in its place.",
            deps=["evaluation_report"],
            kinds={"scikitlearn", "mlflow", "xgboost"},
            depends_on=config,
        ),
    )
    def refit_model(context: dg.AssetExecutionContext, home: Home, registry: Registry) -> dg.MaterializeResult:
        view, decision = stage.view(home, context), stage.decision(stage.day(context))
        entry = home.promotions(product).find(decision)
        if entry is None:
            record = _refitted(view, registry, decision, context.run.run_id)
        else:
            record = view.store.read_document("refit_model", view.day) if "twin" in entry["candidate"] else None
        if record is None:
            return stage.result("refit_model", {"note": "not fitted: the candidate is not promoted as it was judged"})
        return shown(registry, "refit", record)

    always = [training_set, baseline_model, candidate_model]
    return [*always, refit_model] if product.training.refit_on_promotion else always


def _decided(entries: list[Entry], decision: str, made: dict[str, Any]) -> bool:
    """Whether the day is decided; it must then still give what was decided on, and what it wrote stands.

    Raises LedgerError where it does not, and where the day lies before the newest decision.
    """
    recorded = next((entry for entry in entries if entry["key"] == decision), None)
    if recorded is None:
        refuse_older_day(entries, made["as_of"])
        return False
    for name, manifest in (("training", made), ("refit", made["refit"])):
        if recorded.get(name) and manifest:
            refuse_changed_rows(recorded, name, manifest["digest"])
    return True


def _fitted(training: Training, registry: Registry) -> dict[str, Any]:
    """The record of a trained and registered version; one that this very manifest and recipe gave before is returned as it is."""
    store, day, name = training.view.store, training.view.day, f"{training.role}_model"
    if store.document_path(name, day).exists():
        record = store.read_document(name, day)
        made_by = record["training_digest"], record["recipe"], record.get("model")
        if made_by == (training.manifest["digest"], training.view.product.recipe, training.model_digest):
            return record
    record = _train(training, registry)
    store.write_document(name, day, record)
    return record


def _refitted(view: AsOf, registry: Registry, decision: str, dagster_run: str) -> dict[str, Any] | None:
    """The record of the model that ships, with what its `file` must prove; None where the gates do not let its twin pass."""
    product, store = view.product, view.store
    made, report = store.read_document("training_set", view.day), store.read_document("evaluation_report", view.day)
    if not made["refit"] or decide(judge(evidence_of(report, made), product)).outcome != "promoted":
        return None
    record = _fitted(Training(view, made["refit"], "refit", product.training.model, decision, dagster_run), registry)
    rows = read_manifest_rows(view, store.read_document("evaluation_set", view.day))
    record |= {"file": registry.examine(product, record, rows)}
    store.write_document("refit_model", view.day, record)
    _log_twin(registry, store.read_document("candidate_model", view.day), report, record)
    return record


def _log_twin(registry: Registry, twin: dict[str, Any], report: dict[str, Any], record: dict[str, Any]) -> None:
    """Say in the run of the model that ships what its twin was judged by: it was trained on the judging rows itself."""
    from evergreen.evaluation import judged_metrics, judged_tags

    numbers = {f"twin_{name}": value for name, value in judged_metrics(report, "candidate").items()}
    tags = {
        **judged_tags(report),
        "evergreen.twin_version": str(twin["version"]),
        "evergreen.twin": registry.run_url(twin),
    }
    registry.log_evaluation(record["run_id"], numbers, tags, {})


def _train(training: Training, registry: Registry) -> dict[str, Any]:
    from evergreen import models
    from evergreen.evaluation import summarize
    from evergreen.trust import packages_of

    product, model, made = training.view.product, training.model, training.manifest
    rows = read_manifest_rows(training.view, made)
    began = time.perf_counter()
    pipeline = models.fit(model, product.features, product.training.seed, rows, product.target)
    fit_seconds = round(time.perf_counter() - began, 3)
    inside = summarize(rows, models.predict(pipeline, rows), product)
    record = {
        "recipe": product.recipe,
        "model": training.model_digest,
        "training_digest": made["digest"],
        "config": product.digest,
        "commit": git_commit(),
        "packages": packages_of(model),
        "role": training.role,
        "as_of": str(training.view.day),
        "trained_through": made["last_day"],
        "rows": made["rows"],
        "base_rate": made["base_rate"],
        "log_loss": inside["log_loss"],
        "roc_auc": inside["roc_auc"],
        "fit_seconds": fit_seconds,
        "importances": models.importances(pipeline, product.features, rows),
    }
    measured = {f"training_{name}": inside[name] for name in LOGGED if inside.get(name) is not None}
    logged = registry.log(_training_run(training, record, measured), pipeline, rows[product.features.names].head(5))
    return {**logged, **record}


def _training_run(training: Training, record: dict[str, Any], measured: dict[str, float]) -> TrainingRun:
    """What MLflow is told of a training, from its record and what was `measured` on the training rows."""
    settings, shares = training.view.product.training, record["importances"]
    run_url = f"{places.dagster_url()}/runs/{training.dagster_run}"
    return TrainingRun(
        training.view.product.name,
        training.decision,
        training.role,
        parameters={
            **training.model.model_dump(exclude={"function": {"source"}}),
            "seed": settings.seed,
            "window": str(settings.window),
            "features": len(shares),
        },
        metrics={"training_rows": record["rows"], **measured, "fit_seconds": record["fit_seconds"]},
        tags={
            "evergreen.recipe": record["recipe"],
            "evergreen.model": record["model"],
            "evergreen.training_digest": record["training_digest"],
            "evergreen.config": record["config"],
            "mlflow.source.git.commit": record["commit"],
            "evergreen.as_of": record["as_of"],
            "evergreen.trained_through": record["trained_through"],
            "evergreen.dagster_run": training.dagster_run,
            "mlflow.note.content": f"Trained for {training.decision} by {run_url}",
        },
        pictures={"importances.svg": charts.as_file(charts.importances(shares))},
        packages=record["packages"],
    )
