"""Evaluation: the set of rows that judge, in a ledger of versions, and what they say of each model."""

from functools import partial
from typing import Any

import dagster as dg
import pandas as pd

from assets.stage import Stage, table
from evergreen import evaluation
from evergreen.as_of import AsOf
from evergreen.cadence import parse_period
from evergreen.config import Product
from evergreen.drift import profile
from evergreen.evaluation_portions import measure_portions
from evergreen.evaluation_sets import evaluation_manifest
from evergreen.prequential import compare_recipes
from evergreen.promotion import judged, refuse_changed_rows, serving_now
from evergreen.recipes import recorded_recipe, with_features_of
from evergreen.scoring import try_model
from evergreen.tasks import Floats, task_of
from evergreen.training import manifest_of, possible_training_ids, read_manifest_rows
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
        report, rows, scores = _measure(view, registry, champion)
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


def _measure(
    view: AsOf, registry: Registry, champion: dict[str, Any] | None
) -> tuple[dict[str, Any], pd.DataFrame, dict[str, Floats]]:
    """The report, the judging rows and every scorer's scores on them. A refitted champion is judged as its twin."""
    from evergreen import models

    product, store = view.product, view.store
    judging = store.read_document("evaluation_set", view.day)
    rows = read_manifest_rows(view, judging)
    records = {name: store.read_document(f"{name}_model", view.day) for name in ("candidate", "baseline")}
    records |= {"champion": judged(champion)} if champion else {}
    champion_error = _champion_error(view, registry, records.get("champion"), judging["first_day"], rows)
    names = [name for name in records if name != "champion" or not champion_error]
    trained = {name: _trained_on(view, records[name]) for name in names}
    compared = evaluation.refuse_overlap(rows[product.id], trained)
    pipelines = {name: registry.load(product.name, records[name]) for name in names}
    score = partial(_scores, view, pipelines, records.get("champion"))
    ask = partial(models.predict, pipelines["candidate"])
    scores = score(rows)
    for values in scores.values():
        task_of(product).check(values, len(rows))
    scores["prior"] = task_of(product).constant(records["candidate"]["base_rate"], len(rows))
    report = {
        "evaluation_version": judging["version"],
        "evaluation_digest": judging["digest"],
        "coverage": judging["coverage"],
        "days": judging["days"],
        "trained_ids_compared": compared,
        **registry.examine(product, records["candidate"], rows),
        "training_log_loss": {name: records[name]["log_loss"] for name in ("candidate", "baseline")},
        "champion": champion,
        "champion_error": champion_error,
        "summary": {name: evaluation.summarize(rows, values, product) for name, values in scores.items()},
        "card": evaluation.score_card(rows, scores, product)
        .assign(day=lambda card: card.day.astype("str"))
        .to_dict("records"),
        "ranking": evaluation.daily_ranking(rows, scores, product).reset_index(drop=True).to_dict("records"),
        "change": _change(view, champion, judging["portions"]["golden"]["days"]),
        **measure_portions(view, judging["portions"], score, ask, trained, rows, scores),
    }
    return report, rows, scores


def _champion_error(
    view: AsOf, registry: Registry, champion: dict[str, Any] | None, first_day: str, rows: pd.DataFrame
) -> str | None:
    """Why the champion cannot be judged on these rows, of days from the first one on; None where it can, or there is none."""
    if champion and champion["trained_through"] >= first_day:
        return (
            f"it was trained through {champion['trained_through']} and the judging days begin with {first_day}, as after a wider "
            "evaluation.window: they leave its training days behind by themselves"
        )

    def predict(record: dict[str, Any], batch: pd.DataFrame) -> Floats:
        return _scores(view, {"champion": registry.load(view.product.name, record)}, record, batch)["champion"]

    return try_model(champion, rows, predict, view.product)[1] if champion else None


def _scores(
    view: AsOf, pipelines: dict[str, Any], champion: dict[str, Any] | None, rows: pd.DataFrame
) -> dict[str, Floats]:
    """Every model's scores of the same rows; the champion gets the features that its own recipe needs."""
    from evergreen import models

    fed = dict.fromkeys(pipelines, rows)
    if champion and "champion" in pipelines:
        days = sorted(view.periods.at(stamp) for stamp in rows.day.unique())
        fed["champion"] = with_features_of(recorded_recipe(view.store, champion), rows, view.store, days)
    return {name: models.predict(pipelines[name], fed[name]) for name in fed}


def _trained_on(view: AsOf, record: dict[str, Any]) -> pd.Series:
    made = view.store.read_document("training_set", parse_period(record["as_of"]))
    return possible_training_ids(view, manifest_of(made, record))


def _change(view: AsOf, champion: dict[str, Any] | None, golden: list[str]) -> list[dict[Any, Any]] | None:
    """Daily log-loss of the candidate's recipe and of the champion's on prequential days; None where the recipes are the same."""
    if champion is None or champion["recipe"] == view.product.recipe:
        return None
    history, product = view.mature(view.product.time.start), view.product
    before = recorded_recipe(view.store, champion)
    fed = with_features_of(before, history.rows, view.store, view.days(product.time.start))
    days = [day for day in history.whole_days(product.label.coverage_at_least) if str(day) not in golden]
    recipes = {"candidate": product, "champion": before}
    needed = product.count(product.gates.change.days)
    card = compare_recipes(history.rows, days, recipes, needed, fed={"champion": fed})
    daily = evaluation.by_day(card, "log_loss").reset_index()
    return daily.assign(day=daily.day.astype("str")).to_dict("records")


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
