"""Shadow: a candidate that passed the gates scores beside the champion, and the day on which its trial ends is recorded."""

from datetime import UTC, date, datetime
from functools import partial
from typing import Any

import dagster as dg

from assets.stage import ROW_COUNT, Columns, Stage, table
from evergreen import wide
from evergreen.config import Product
from evergreen.latency import one_row_p99
from evergreen.promotion import in_effect, sentence, serving_now
from evergreen.recipes import recorded_recipe, with_features_of
from evergreen.scoring import Answer, predictor, try_model
from evergreen.shadow import TABLE, decide, end, in_shadow, judge, scores_table, trial
from evergreen.storage import Store
from evergreen.tasks import task_of
from pipelines.registry import Registry
from pipelines.resources import Home

NOBODY = "nobody is in shadow"


def _columns(product: Product) -> Columns:
    answered = ("float64", "what it would have answered; missing where it failed")
    return {
        "id": ("str", "of the row in the batch"),
        "version": ("int64", "in shadow"),
        **dict.fromkeys(task_of(product).columns(), answered),
        "latency": ("float64", "seconds of one row through it, 99th percentile; missing where it failed"),
        "failure": ("str", "what it did wrong; empty where it answered"),
    }


def shadow_assets(product: Product) -> list[dg.AssetsDefinition]:
    """None where the product declares no shadow."""
    stage = Stage(product, "shadow")

    @dg.asset(
        **stage.options(
            TABLE,
            "What the candidate in shadow would have answered. It answers nobody; on a day without one there is no table.",
            deps=["batch"],
            kinds={"parquet", "scikitlearn"},
            depends_on=["features", "shadow"],
            columns=_columns(product),
        ),
    )
    def shadow_scores(context: dg.AssetExecutionContext, home: Home, registry: Registry) -> dg.MaterializeResult:
        day, store = stage.day(context), home.store(product)
        record = in_shadow(home.promotions(product).entries(), day)
        if record is None:
            return stage.result(TABLE, {ROW_COUNT: 0, "shadow": NOBODY})
        batch = store.parts("batch", day)
        (scores, failure), latency = _ask(store, registry, record, batch, product, day)
        with store.writing(TABLE, day) as written:
            first = 0
            for rows in batch:
                part = None if scores is None else scores[first : first + len(rows)]
                written.add(
                    scores_table(rows[product.id].rename("id"), record["version"], (part, failure), latency, product)
                )
                first += len(rows)
        if failure:
            context.log.warning(f"version {record['version']}: {failure}")
        shown = {"shadow": f"version {record['version']}", "failure": failure or "none", "latency_p99": latency}
        return stage.result(TABLE, {ROW_COUNT: first, **shown})

    @dg.asset(
        **stage.options(
            "shadow_check",
            "Whether the candidate in shadow is sound, fast, spread like the champion and without gross harm on days that it has "
            "not seen. When its days are over, the outcome is entered in the promotion ledger, once.",
            deps=[TABLE, "predictions", "labels"],
            kinds={"json"},
            depends_on=["shadow", "gates", "service_levels"],
        ),
    )
    def shadow_check(context: dg.AssetExecutionContext, home: Home, registry: Registry) -> dg.MaterializeResult:
        view, ledger = stage.view(home, context), home.promotions(product)
        found = trial(view, in_effect(ledger.entries(), view.day))
        if found is None:
            return stage.result("shadow_check", {"outcome": NOBODY})
        readings = judge(found, product)
        outcome = decide(readings, product)
        at = datetime.now(UTC).isoformat(timespec="seconds")
        entry = end(ledger, view.store, product, found, readings, outcome, at) if outcome else None
        if entry and (problem := registry.follow(product.name, serving_now(ledger.entries()))):
            context.log.warning(problem)
        numbers = {reading.name: reading.value for reading in readings}
        lines = [{name: getattr(reading, name) for name in ("name", "verdict", "sentence")} for reading in readings]
        said = sentence(entry) if entry else f"version {found.version} goes on: {readings[-1].sentence}"
        return stage.result("shadow_check", {"outcome": said, **numbers, "readings": table(lines)})

    return [shadow_scores, shadow_check] if product.shadow.days else []


def _ask(
    store: Store, registry: Registry, record: dict[str, Any], batch: wide.Parts, product: Product, day: date
) -> tuple[Answer, float | None]:
    """What a version says of a day, and how long one row takes; None where it failed, or there is no row."""
    answer = try_model(record, batch, predictor(store, partial(registry.load, product.name), day), product)
    if answer[0] is None:
        return answer, None
    some = with_features_of(recorded_recipe(store, record), next(iter(batch)), store, [day])
    return answer, one_row_p99(registry.load(product.name, record), some, product.service_levels.scoring_latency_p99)
