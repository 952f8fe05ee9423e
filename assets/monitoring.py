"""Monitoring: what predictions were worth once labels were due, how far inputs moved, and whether to retrain."""

from collections.abc import Iterable, Iterator
from datetime import date

import dagster as dg
import pandas as pd

from assets.stage import ROW_COUNT, Stage, picture, table
from evergreen import charts, harm, retraining, wide
from evergreen import drift as drifting
from evergreen.as_of import AsOf, added_up
from evergreen.cadence import parse_period
from evergreen.config import Product
from evergreen.ledger import Entry
from evergreen.monitoring import LiveRows, coverage_line, daily_measures, empty_performance, headline, live_parts
from evergreen.monitoring import performance as measure_performance
from evergreen.promotion import in_effect, serving_as_of
from evergreen.recipes import recorded_recipe, with_features_of
from evergreen.tasks import task_of
from evergreen.validation import needed_columns
from pipelines.resources import Home

SHOWN = 28
PERFORMANCE = {
    "day": ("datetime64[us]", "the judged day: its labels fell due on the partition's day"),
    "slice": ("str", "all, or COLUMN=VALUE"),
    "scorer": ("str", "served, baseline, previous (the champion before), or first (never retraining)"),
    "rows": ("int64", "labelled rows"),
    "log_loss": (
        "float64",
        "mean, in nats; of numbers, the squared error in spreads, halved; this and the next measures are missing where too few "
        "labels arrived",
    ),
    "expected_cost": (
        "float64",
        "mean, in the product's currency: of what was done; of yardsticks, what today's costs would decide",
    ),
    "squared_error": ("float64", "mean"),
    "label": ("float64", "mean label; of several classes, the share of rows that were decided right"),
    "score": ("float64", "mean score; of several classes, the mean confidence in the decided one"),
    "calibration_gap": ("float64", "absolute difference of the last two; of numbers, in spreads of the label"),
    "coverage": ("float64", "labelled share of the day's mature rows"),
    "reference": (
        "float64",
        "log-loss of the serving version when it was promoted, of several the mean over rows; missing for the heuristic",
    ),
    "served_by": (
        "str",
        "champion, previous, baseline or heuristic; several where a day done again was answered by more than one",
    ),
}
DRIFT = {
    "feature": ("str", "name of an input, or prediction"),
    "importance": ("float64", "the feature's share in the model; missing for the prediction"),
    "psi": ("float64", "population stability index: over 0.1 is worth a look, over 0.25 a large shift"),
    "jensen_shannon": ("float64", "distance in 0 to 1"),
    "wasserstein": ("float64", "in standard deviations of the reference; missing for categories"),
    "rows": ("int64", "rows compared"),
}


def monitoring_assets(product: Product) -> list[dg.AssetsDefinition]:
    stage = Stage(product, "monitoring")

    @dg.asset(
        **stage.options(
            "performance",
            "Realised measures of what was served, of the baseline and of the first champion (never retraining), for the days "
            "whose labels fell due; by slice.",
            deps=["predictions", "labels"],
            kinds={"parquet", "pandas"},
            depends_on=["decision", "label", "evaluation"],
            columns=PERFORMANCE,
        ),
    )
    def performance(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
        view = stage.view(home, context)
        days = view.newly_mature_days()
        if not days:
            view.store.write("performance", view.day, empty_performance())
            return stage.result("performance", {ROW_COUNT: 0, "judged_days": 0})
        coverages: list[pd.DataFrame] = []
        live = _counted(live_parts(view, days), coverages)
        card = measure_performance(live, _references(_known(home, view)), product)
        view.store.write("performance", view.day, card)
        numbers = {"judged_days": len(days), **coverage_line(added_up(coverages)), **headline(card)}
        return stage.result("performance", {ROW_COUNT: len(card), "live": _live_picture(view), **numbers})

    @dg.asset(
        **stage.options(
            "drift",
            "Distance of the newest days' inputs and predictions from the days on which the serving champion was judged.",
            deps=["batch", "predictions"],
            kinds={"parquet", "pandas"},
            depends_on=["features", "evaluation"],
            columns=DRIFT,
        ),
    )
    def drift(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
        view = stage.view(home, context)
        distances = _drift(view, _known(home, view))
        view.store.write("drift", view.day, distances)
        lines = table(distances.sort_values("psi", ascending=False).to_dict("records"))
        numbers = {
            "weighted_psi": drifting.weighted_psi(distances),
            "prediction_psi": drifting.prediction_psi(distances),
        }
        shown = {ROW_COUNT: len(distances), **numbers, "by_feature": _drift_picture(distances), "features": lines}
        return stage.result("drift", shown)

    @dg.asset(
        **stage.options(
            "retrain_decision",
            "Each trigger's value, threshold and evidence, and whether to retrain; whether the champion is so much worse than the one "
            "before it that it is rolled back. A line a day, also when nothing fired.",
            deps=["performance", "drift"],
            kinds={"json"},
            depends_on=["retraining", "rollback"],
        ),
    )
    def retrain_decision(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
        view = stage.view(home, context)
        entries = _known(home, view)
        card = view.read("performance", view.days(retraining.first_day_of_history(view.day, view.periods)))
        decision = retraining.decide(retraining.history_of(view, entries, card), product)
        rollback = harm.decide(card, entries, product)
        readings = [reading.as_dict() for reading in decision.readings]
        content = {
            "retrain": decision.retrain,
            "fired": decision.fired,
            "held_back_by": decision.held_back_by,
            "readings": readings,
        }
        content |= {"sentence": decision.sentence, "rollback": rollback.as_dict()}
        view.store.write_document("retrain_decision", view.day, content)
        values = {
            f"{reading['trigger']}_value": reading["value"] for reading in readings if reading["value"] is not None
        }
        shown = {"decision": decision.sentence, "retrain": int(decision.retrain), **values, "readings": table(readings)}
        return stage.result("retrain_decision", shown | {"rollback": rollback.sentence})

    return [performance, drift, retrain_decision]


def _counted(live: Iterable[LiveRows], coverages: list[pd.DataFrame]) -> Iterator[LiveRows]:
    for part in live:
        coverages.append(part.coverage)
        yield part


def _known(home: Home, view: AsOf) -> list[Entry]:
    return in_effect(home.promotions(view.product).entries(), view.day)


def _references(entries: list[Entry]) -> dict[int, float]:
    """The log-loss of each champion when it was promoted, by version."""
    champions = [entry["serving"]["champion"] for entry in entries if entry["serving"]["champion"]]
    return {record["version"]: record["reference_log_loss"] for record in champions}


def _drift(view: AsOf, entries: list[Entry]) -> pd.DataFrame:
    """Distances of the last evaluation window of days from the champion's profile; empty without a champion."""
    entry = serving_as_of(entries, view.day)
    champion = entry["serving"]["champion"] if entry else None
    if champion is None:
        return pd.DataFrame(columns=drifting.TABLE_COLUMNS)
    reference = view.store.read_document("profile", parse_period(champion["as_of"]))
    days = view.newest(view.product.count(view.product.evaluation.window) * view.periods.of_a_block)
    task = task_of(view.product)
    made = view.read("predictions", days, [*task.columns(), "version"])
    scores = task.watched(task.from_table(made[made.version == champion["version"]]))
    rows = _inputs(view, recorded_recipe(view.store, champion), days)
    return drifting.compare(reference, rows, scores)


def _inputs(view: AsOf, recipe: Product, days: list[date]) -> pd.DataFrame | wide.Columns:
    """The features of a recipe on these days; of wide days one by one, unless some have to be fetched from the deliveries."""
    wanted = [*recipe.features.names, *recipe.features.marks]
    held = [name for name in wanted if name in needed_columns(view.product)]
    if held == wanted and view.store.rows("batch", days) > wide.CHUNK_ROWS:
        return wide.Columns(lambda names: view.read("batch", days, names))
    return with_features_of(recipe, view.read("batch", days, [view.product.id, *held]), view.store, days)


def _live_picture(view: AsOf) -> dg.MetadataValue:
    """What was served against its yardsticks over the last four weeks, in the product's own measure."""
    target = view.product.decision.good_enough
    days = view.newest(SHOWN)
    card = view.read("performance", days)
    shown = daily_measures(card[card.day >= pd.Timestamp(days[0])], [target.metric])
    named = task_of(view.product).called(target.metric).replace("_", " ").capitalize()
    title = f"{named}, live, by {view.product.time.word}"
    return picture(charts.time_plot(title, days, charts.live_lines(shown[target.metric]), target.at_most))


def _drift_picture(distances: pd.DataFrame) -> dg.MetadataValue:
    ordered = distances.sort_values("psi", ascending=False)
    if ordered.empty:
        return dg.MetadataValue.md("not enough evidence: there is no champion to compare with")
    shares = [(str(name), float(psi)) for name, psi in zip(ordered.feature, ordered.psi, strict=True)]
    return picture(charts.bars("Population stability index, by feature", shares, bounds=[0.25]))
