"""Experiments as a job: the outcome goes to MLflow; the product's ledgers are never written."""

from datetime import date
from typing import Any

import dagster as dg

from evergreen.cadence import parse_period
from evergreen.config import Product
from evergreen.errors import NotEnoughEvidence
from evergreen.experiments import Outcome, changed_product, load_experiment, run_experiment
from evergreen.storage import Store
from pipelines import places
from pipelines.registry import Registry
from pipelines.resources import Home, git_commit


class ExperimentRequest(dg.Config):
    """Which experiment, and as of which day; no day means the newest one that was monitored."""

    name: str
    as_of: str = ""


def experiment_op(product: Product) -> dg.OpDefinition:
    @dg.op(
        name=f"{product.name}__experiment",
        description="Fit the overlay and the current recipe to the same cutoffs, judge both on the same rows.",
    )
    def experiment(
        context: dg.OpExecutionContext, config: ExperimentRequest, home: Home, registry: Registry
    ) -> dict[str, Any]:
        declared = load_experiment(places.configs() / "experiments", config.name)
        store = home.store(product)
        as_of = parse_period(config.as_of) if config.as_of else newest_day(store, product)
        changed = changed_product(product, declared.changes, declared.name)
        outcome = run_experiment(store, product, changed, as_of, context.log.info)
        looks = registry.log_experiment(
            f"{product.name}/experiments",
            declared.name,
            parameters={
                "hypothesis": declared.hypothesis,
                "as_of": str(as_of),
                "rows": outcome.rows,
                "days": len(outcome.days),
            },
            metrics=_metrics(outcome),
            tags={
                "evergreen.evaluation_digest": outcome.digest,
                "evergreen.changed_config": changed.digest,
                "evergreen.config": product.digest,
                "mlflow.source.git.commit": git_commit(),
                "evergreen.dagster_run": context.run_id,
            },
        )
        shown = {
            "hypothesis": declared.hypothesis,
            "sentence": sentence(outcome),
            "looks": looks,
            "as_of": str(as_of),
            "rows": outcome.rows,
        }
        context.add_output_metadata(shown)
        return {**shown, "means": outcome.means.to_dict("index")}

    return experiment


def sentence(outcome: Outcome) -> str:
    """What the difference says, with the effect that could have been seen."""
    difference = outcome.difference
    if difference is None:
        return "Not enough evidence: fewer than two days."
    if difference.high < 0:
        verdict = "the change is proven better"
    elif difference.low > 0:
        verdict = "the change is proven worse"
    else:
        verdict = "no difference is proven"
    seen = f"a difference of {difference.smallest_effect:.4f} would have been seen"
    return f"Log-loss, changed minus current: {difference}; {verdict} ({seen})."


def newest_day(store: Store, product: Product) -> date:
    days = store.document_days("retrain_decision")
    if not days:
        raise NotEnoughEvidence(f"{product.name} has no monitored day yet: run `evergreen replay {product.name}` first")
    return days[-1]


def _metrics(outcome: Outcome) -> dict[str, float]:
    metrics = {
        f"{name}_{measure}": float(value) for name, line in outcome.means.iterrows() for measure, value in line.items()
    }
    if outcome.difference:
        metrics |= {
            "difference": outcome.difference.mean,
            "low": outcome.difference.low,
            "high": outcome.difference.high,
        }
    return metrics
