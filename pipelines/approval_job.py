"""The approval job of a product that asks a person: what `evergreen approve` and `reject` do, as a run in the Dagster UI."""

from datetime import UTC, datetime

import dagster as dg
from pydantic import Field

from evergreen.approval import Answer, answer
from evergreen.config import Product
from evergreen.promotion import sentence
from pipelines import tags
from pipelines.jobs import approval_name
from pipelines.registry import Registry
from pipelines.resources import Home


class ApprovalConfig(dg.Config):
    approve: bool = Field(description="true: it ships; false: it does not")
    by: str = Field(description="who says so")
    reason: str = Field(description="why, for those who read the ledger later")
    decision: str | None = Field(None, description="the decision's id; none: the one that waits")


def approval_definitions(product: Product) -> dg.Definitions:
    """The job; nothing where the product asks nobody."""
    return dg.Definitions(jobs=[approval_job(product)] if product.gates.approval == "required" else [])


def approval_job(product: Product) -> dg.JobDefinition:
    @dg.op(name=f"{product.name}__approval", description="Say yes or no to the candidate that waits, on the record.")
    def approval(context: dg.OpExecutionContext, config: ApprovalConfig, home: Home, registry: Registry) -> None:
        ledger = home.promotions(product)
        identity = context.run.root_run_id or context.run.run_id  # an answer is its run, retried or not
        entry = answer(
            ledger,
            home.store(product),
            product,
            Answer(identity, config.approve, config.decision, config.reason, config.by),
            datetime.now(UTC).isoformat(timespec="seconds"),
            lambda record: registry.fetch(product.name, record["version"]),
        )
        if problem := registry.follow(product.name, ledger.entries()[-1]["serving"]):
            context.log.warning(problem)
        context.add_output_metadata({"answer": sentence(entry), "effective_from": entry["effective_from"]})

    @dg.job(
        name=approval_name(product),
        tags={tags.PRODUCT: product.name, **tags.RETRY_WHOLE},
        description="Say yes or no to a candidate that passed every gate.",
    )
    def job() -> None:
        approval()

    return job
