"""When a product's jobs run by the clock. A tick at any moment asks for the newest day that is over."""

from datetime import datetime

import dagster as dg

from assets.promotion import REQUESTED_BY
from evergreen.as_of import AsOf
from evergreen.config import Product
from evergreen.periods import Periods
from evergreen.promotion import decision_id
from evergreen.training import evidence_missing
from pipelines.jobs import daily_name, retrain_name
from pipelines.resources import Home

DAILY_CRON = "30 2 * * *"
RETRAIN_CRONS = {"daily": "0 4 * * *", "weekly": "0 4 * * 1"}


def daily_schedule(product: Product) -> dg.ScheduleDefinition:
    """Every night, the day that has just ended."""

    @dg.schedule(
        name=f"{product.name}_daily_schedule",
        job_name=daily_name(product),
        cron_schedule=DAILY_CRON,
        execution_timezone=product.time.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description="Runs the daily job for the day that has just ended.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
        day = Periods.of(product.time).last_ended(context.scheduled_execution_time)
        if not Periods.of(product.time).known(day):
            return dg.SkipReason(_outside(product, context.scheduled_execution_time))
        return dg.RunRequest(run_key=f"daily/{decision_id(product.name, day)}", partition_key=str(day))

    return schedule


def retrain_schedule(product: Product) -> dg.ScheduleDefinition:
    """As the product declares, as of the day that has just ended."""

    @dg.schedule(
        name=f"{product.name}_retrain_schedule",
        job_name=retrain_name(product),
        cron_schedule=RETRAIN_CRONS.get(product.retraining.schedule, product.retraining.schedule),
        execution_timezone=product.time.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Retrains {product.retraining.schedule}, unless the day has been decided already.",
    )
    def schedule(context: dg.ScheduleEvaluationContext, home: Home) -> dg.RunRequest | dg.SkipReason:
        day = Periods.of(product.time).last_ended(context.scheduled_execution_time)
        if not Periods.of(product.time).known(day):
            return dg.SkipReason(_outside(product, context.scheduled_execution_time))
        key = decision_id(product.name, day)
        if home.promotions(product).find(key):
            return dg.SkipReason(f"{key} is decided already")
        if missing := evidence_missing(AsOf(home.store(product), product, day)):
            return dg.SkipReason(missing)
        return dg.RunRequest(run_key=f"retrain/{key}", partition_key=str(day), tags={REQUESTED_BY: "schedule"})

    return schedule


def _outside(product: Product, moment: datetime) -> str:
    return f"{product.name} lives from {product.time.start} to {product.time.end or 'now on'}; {moment:%Y-%m-%d} asks for no day of it"
