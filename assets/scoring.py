"""Scoring: every row of the day is answered by the ladder, and says by whom."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import date
from functools import partial

import dagster as dg
import pandas as pd

from assets.stage import ROW_COUNT, Columns, Stage, table
from evergreen import wide
from evergreen.config import Product
from evergreen.promotion import serving_as_of, serving_now
from evergreen.scoring import ask_models, keep_answers, predictions_in_parts, predictor, score_by_ladder
from evergreen.storage import Store
from evergreen.tasks import Task, task_of
from pipelines.registry import Registry
from pipelines.resources import Home

YARDSTICKS = {
    "baseline": "of the simple baseline, a yardstick; missing where there is none",
    "previous": "of the previous champion, which a rollback would put back; missing where there is none",
    "first": "of the first champion, the yardstick of never retraining; missing where there is none",
}


def _columns(product: Product) -> Columns:
    task = task_of(product)
    beside = {
        column: ("float64", meaning) for name, meaning in YARDSTICKS.items() for column in task.columns(f"score_{name}")
    }
    return {
        "id": ("str", "of the row in the batch"),
        "event_time": ("datetime64[us, UTC]", "when the row's event happens"),
        "predict_at": ("datetime64[us, UTC]", "the moment that the prediction is made for"),
        **dict.fromkeys(task.columns(), ("float64", f"what was served: {task.words.served}")),
        "action": task.action_column,
        "served_by": ("str", "champion, previous, baseline or heuristic"),
        "version": ("int64", "of the model in the registry; 0 for the heuristic"),
        "threshold": ("float64", "from which on acting costs less than not acting; missing where the task has none"),
        "ledger_head": ("str", "digest of the promotion ledger's entry in effect; empty before the first"),
        "rule": ("str", "of the heuristic, with the version of its rules; empty where a model answered"),
        **beside,
    }


def scoring_assets(product: Product) -> list[dg.AssetsDefinition]:
    stage = Stage(product, "scoring")

    @dg.asset(
        **stage.options(
            "predictions",
            "The score and the action for each row, by champion → previous → baseline → heuristic; the baseline and the first "
            "champion score beside it as yardsticks. A day that is done again keeps its answers. Reads the promotion ledger, not "
            "an asset: who serves was decided earlier.",
            deps=["batch"],
            kinds={"parquet", "scikitlearn"},
            depends_on=["features", "decision", "heuristic"],
            columns=_columns(product),
        ),
        freshness_policy=dg.FreshnessPolicy.time_window(fail_window=product.service_levels.freshness),
        check_specs=[
            stage.check("predictions", "fully_scored", "Every accepted row has a prediction.", blocking=True),
            stage.check("predictions", "no_rung_failed", "The best available rung of the ladder answered."),
        ],
    )
    def predictions(
        context: dg.AssetExecutionContext, home: Home, registry: Registry
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        day, store = stage.day(context), home.store(product)
        batch = store.parts("batch", day)
        entry = serving_as_of(home.promotions(product).entries(), day)
        serving = entry["serving"] if entry else {}
        task = task_of(product)
        answers = ask_models(batch, serving, predictor(store, partial(registry.load, product.name), day), product)
        scored = score_by_ladder(batch, serving, answers, product)
        yardsticks = {name: answers[serving[name]["version"]][0] if serving.get(name) else None for name in YARDSTICKS}
        head = entry["digest"] if entry else None
        made, served_by, digest = _write(
            store, day, predictions_in_parts(batch, scored, yardsticks, product, head), task
        )
        if problem := registry.follow(product.name, serving_now(home.promotions(product).entries())):
            context.log.warning(problem)
        yield stage.result(
            "predictions",
            {
                ROW_COUNT: len(made),
                "served_by": ", ".join(served_by) or "nobody",
                "version": scored.record["version"] if scored.record else "none",
                "rules": _rules(made),
                **task.of_day(made),
                "ledger_entry": entry["key"] if entry else "none yet",
                "digest": digest,
                **({"mlflow": dg.MetadataValue.url(registry.run_url(scored.record))} if scored.record else {}),
            },
        )
        for version, (_, failure) in answers.items():
            if failure:
                context.log.warning(f"version {version}: {failure}")
        complete = bool(made[task.columns()].notna().all(axis=None)) and len(made) == len(batch)
        yield from _checks(stage.key("predictions"), complete, scored.failures)

    return [predictions]


def _write(store: Store, day: date, parts: Iterable[pd.DataFrame], task: Task) -> tuple[pd.DataFrame, list[str], str]:
    """Write the day's predictions; rows that were answered before keep their answers.

    Returns scores, `action` and `rule` of every row, the rungs that answered, and the table's digest.
    """
    answered = wide.ById(store.read("predictions", day)) if store.path("predictions", day).exists() else None
    told, served_by = [], dict[str, None]()
    with store.writing("predictions", day) as written:
        for made in parts:
            kept = made if answered is None else keep_answers(made, answered.of(made.id))
            written.add(kept)
            told.append(kept[[*task.columns(), "action", "rule"]])
            served_by |= dict.fromkeys(kept.served_by.unique())
    return pd.concat(told), list(served_by), str(written.digest)


def _checks(predictions: dg.AssetKey, complete: bool, failures: Sequence[str]) -> Iterator[dg.AssetCheckResult]:
    yield dg.AssetCheckResult(asset_key=predictions, check_name="fully_scored", passed=complete)
    yield dg.AssetCheckResult(
        asset_key=predictions,
        check_name="no_rung_failed",
        passed=not failures,
        severity=dg.AssetCheckSeverity.WARN,
        metadata={"failures": table([{"failure": failure} for failure in failures])},
    )


def _rules(made: pd.DataFrame) -> dg.MetadataValue:
    """How many rows each rule of the heuristic answered."""
    counts = made.rule[made.rule != ""].value_counts()
    return table([{"rule": rule, "rows": rows} for rule, rows in counts.items()])
