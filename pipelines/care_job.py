"""The nightly care of a product that declares a retention: prune what it lets go. Without one there is no such job."""

from datetime import date

import dagster as dg

from evergreen.config import Product
from pipelines import tags
from pipelines.jobs import care_name
from pipelines.registry import Registry
from pipelines.resources import Home
from pipelines.retention import prunable, remove

CARE_CRON = "30 5 * * *"


def care_definitions(product: Product) -> dg.Definitions:
    """The job and its schedule; nothing where everything is kept for ever."""
    if not product.retention.spares:
        return dg.Definitions()
    job = care_job(product)
    schedule = dg.ScheduleDefinition(
        name=f"{job.name}_schedule",
        job=job,
        cron_schedule=CARE_CRON,
        execution_timezone=product.time.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Prunes what the product's retention lets go.",
    )
    return dg.Definitions(jobs=[job], schedules=[schedule])


def care_job(product: Product) -> dg.JobDefinition:
    @dg.op(name=f"{product.name}__prune", description="Remove what is older than the product's retention.")
    def prune(context: dg.OpExecutionContext, home: Home, registry: Registry) -> None:
        gone = prunable(product, home, registry, context.instance, date.today())
        for held in gone:
            remove(held, product, home, registry)
            context.log.info(f"removed {held.kind} {held.name} ({held.bytes} bytes, {held.why})")
        context.add_output_metadata({"removed": len(gone), "bytes": sum(held.bytes for held in gone)})

    @dg.job(name=care_name(product), tags={tags.PRODUCT: product.name}, description="Prune by retention.")
    def job() -> None:
        prune()

    return job
