"""Evaluation: the set of rows that judge, in a ledger of versions, and what they say of each model."""

from functools import partial
from typing import Any

import dagster as dg

from assets.stage import Stage, table
from evergreen import evaluation
from evergreen.as_of import AsOf
from evergreen.config import Product
from evergreen.drift import profile
from evergreen.evaluation_sets import evaluation_manifest
from evergreen.judging import judge_models
from evergreen.promotion import refuse_changed_rows, serving_now
from evergreen.tasks import task_of
from pipelines.registry import Registry
from pipelines.resources import Home


def evaluation_assets(product: Product) -> list[dg.AssetsDefinition]:
    stage = Stage(product, "evaluation")
    config = ["features", "label", "training", "evaluation"]

    @dg.asset(
        **stage.options(
            "evaluation_set",
            "Portions of rows in a ledger of versions: the fresh days that decide; golden days, failure cases and slices that do not.",
            deps=["batch", "labels", "training_set"],
            kinds={"json"},
            depends_on=config,
        ),
    )
    def evaluation_set(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
        view, ledger = stage.view_of_decision(home, context), home.evaluation_sets(product)
        made = evaluation_manifest(view, ledger.entries())
        if decided := home.promotions(product).find(stage.decision(view.day)):
            refuse_changed_rows(decided, "evaluation", made["digest"])
        version = {**{name: value for name, value in made.items() if name != "digest"}, "rows_digest": made["digest"]}
        recorded = ledger.append(f"{stage.decision(view.day)}/{made['version_digest']}", version)
        view.store.write_document("evaluation_set", view.day, {**made, "version": recorded["number"]})
        named = ("first_day", "last_day", "rows", "pending", "coverage", "base_rate", "digest", "version_digest")
        portions = made["portions"]
        shown = {
            **{name: made[name] for name in named},
            "golden_rows": portions["golden"]["rows"],
            "failure_cases": portions["failures"]["rows"],
            "slices": f"{portions['slices']['enough']} of {len(portions['slices']['slices'])} can be judged",
        }
        return stage.result("evaluation_set", {"version": recorded["number"], **shown})

    @dg.asset(
        **stage.options(
            "evaluation_report",
            "Baseline, candidate and champion on the same rows: metrics by day and slice, calibration, cost, latency.",
            deps=["evaluation_set", "baseline_model", "candidate_model"],
            kinds={"json", "mlflow"},
            depends_on=[*config, "decision"],
        ),
    )
    def evaluation_report(context: dg.AssetExecutionContext, home: Home, registry: Registry) -> dg.MaterializeResult:
        from evergreen import plots
        from evergreen.tasks.figures import figures

        view = stage.view(home, context)
        recorded = home.promotions(product).find(stage.decision(view.day))
        if recorded:
            report = view.store.read_document("evaluation_report", view.day)
            return stage.result(
                "evaluation_report", {**_shown(report), "note": "decided already: the recorded report stands"}
            )
        champion = serving_now(home.promotions(product).entries()).get("champion")
        report, rows, scores = judge_models(
            view, champion, partial(registry.load, product.name), partial(registry.examine, product)
        )
        view.store.write_document("evaluation_report", view.day, report)
        candidate = view.store.read_document("candidate_model", view.day)
        watched = task_of(product).watched(scores["candidate"])
        known = profile(rows, product.features, candidate["importances"], watched)
        view.store.write_document("profile", view.day, known)
        models = {name: scores[name] for name in scores if name != "prior"}
        drawn = figures(rows.label.to_numpy(), models, product)
        pictures = {name: plots.as_png(figure) for name, figure in drawn.items()}
        _log(registry, view, report, candidate, pictures)
        shown = {name: dg.MetadataValue.md(plots.as_markdown(png)) for name, png in pictures.items()}
        return stage.result("evaluation_report", {**_shown(report), **shown})

    return [evaluation_set, evaluation_report]


def _shown(report: dict[str, Any]) -> dict[str, Any]:
    lines = [{"scorer": name, **summary} for name, summary in report["summary"].items()]
    candidate = report["summary"]["candidate"]
    return {
        "evaluation_version": report["evaluation_version"],
        "rows": candidate["rows"],
        "candidate_log_loss": candidate["log_loss"],
        "candidate_roc_auc": candidate["roc_auc"],
        "candidate_expected_cost": candidate["expected_cost"],
        "scorers": table(lines),
        "portions": dg.MetadataValue.md("\n".join(f"- {sentence}" for sentence in report.get("portions", []))),
    }


def _log(
    registry: Registry, view: AsOf, report: dict[str, Any], candidate: dict[str, Any], pictures: dict[str, bytes]
) -> None:
    baseline = view.store.read_document("baseline_model", view.day)
    for name, record in (("candidate", candidate), ("baseline", baseline)):
        files = {f"{picture}.png": png for picture, png in pictures.items()} if name == "candidate" else {}
        numbers, tags = evaluation.judged_metrics(report, name), evaluation.judged_tags(report)
        registry.log_evaluation(record["run_id"], numbers, tags, files)
