"""The rollback job of a product: what `evergreen rollback` does, as a run in the Dagster UI; the rollback sensor asks for it too."""

from datetime import UTC, datetime
from typing import Any

import dagster as dg
from pydantic import Field

from evergreen.cadence import parse_period
from evergreen.config import Product
from evergreen.promotion import SENSOR, sentence
from evergreen.rollback import Request, roll_back
from pipelines import tags
from pipelines.jobs import rollback_name
from pipelines.registry import Registry
from pipelines.resources import Home


class RollbackConfig(dg.Config):
    reason: str = Field(description="why, for those who read the ledger later")
    to: int | None = Field(None, description="the version to put back; none: the champion before this one")
    by: str = Field("hand", description="who asks")
    proven_on: str | None = Field(None, description="the day whose retrain_decision asks; none: a person does")


def rollback_config(product: Product, reason: str, to: int, day: str) -> dict[str, Any]:
    """The run config of a rollback that a day's decision asks for."""
    return {"ops": {_op_name(product): {"config": {"reason": reason, "to": to, "by": "sensor", "proven_on": day}}}}


def rollback_job(product: Product) -> dg.JobDefinition:
    @dg.op(
        name=_op_name(product),
        description="Put an earlier version back; the next period that is scored is served by it.",
    )
    def rollback(context: dg.OpExecutionContext, config: RollbackConfig, home: Home, registry: Registry) -> None:
        store, ledger = home.store(product), home.promotions(product)
        entry = roll_back(
            ledger,
            store,
            product,
            _request(config, context, home, product),
            datetime.now(UTC).isoformat(timespec="seconds"),
            lambda record: registry.fetch(product.name, record["version"]),
        )
        if problem := registry.follow(product.name, ledger.entries()[-1]["serving"]):
            context.log.warning(problem)
        context.add_output_metadata({"rollback": sentence(entry), "effective_from": entry["effective_from"]})

    @dg.job(
        name=rollback_name(product),
        tags={tags.PRODUCT: product.name, **tags.RETRY_WHOLE},
        description="Put an earlier version back: model, features and threshold together.",
    )
    def job() -> None:
        rollback()

    return job


def _request(config: RollbackConfig, context: dg.OpExecutionContext, home: Home, product: Product) -> Request:
    """A person's request is its run, retried or not; a day's decision asks once, whichever run carries it out."""
    if config.proven_on is None:
        by = "hand" if config.by == "hand" else f"hand ({config.by})"
        return Request(context.run.root_run_id or context.run.run_id, config.to, config.reason, by)
    decision = home.store(product).read_document("retrain_decision", parse_period(config.proven_on))["rollback"]
    return Request(config.proven_on, config.to, config.reason, f"{SENSOR}worse than the version before", decision)


def _op_name(product: Product) -> str:
    return f"{product.name}__rollback"
