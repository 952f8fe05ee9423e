"""When a product's jobs run by the clock. A tick at any moment asks for days that are over, never for one that is not."""

from datetime import datetime

import dagster as dg

from evergreen.as_of import AsOf
from evergreen.config import Product
from evergreen.periods import Periods
from evergreen.promotion import decision_id, decisions
from evergreen.training import evidence_missing
from pipelines import tags
from pipelines.instance import days_left, days_underway
from pipelines.jobs import daily_key, daily_name, retrain_name
from pipelines.resources import Home

CATCH_UP = 100  # periods that one tick asks for at most, the oldest first
RETRAIN_CRONS = {"daily": "0 4 * * *", "weekly": "0 4 * * 1", "monthly": "0 4 1 * *"}


def daily_schedule(product: Product) -> dg.ScheduleDefinition:
    """Every night, the day that has just ended, and before it the days that are not done: a weekend without a daemon, a day that
    failed, a new product's past. The queue does them in order. After the product's end it asks for nothing: `evergreen replay` does what
    is left."""

    @dg.schedule(
        name=f"{daily_name(product)}_schedule",
        job_name=daily_name(product),
        cron_schedule=product.time.runs_at,
        execution_timezone=product.time.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Runs the job of the {product.time.word} that has just ended, and of those before it that were not done.",
    )
    def schedule(context: dg.ScheduleEvaluationContext) -> list[dg.RunRequest] | dg.SkipReason:
        day = Periods.of(product.time).last_ended(context.scheduled_execution_time)
        if not Periods.of(product.time).known(day):
            return dg.SkipReason(_outside(product, context.scheduled_execution_time))
        underway = days_underway(context.instance, daily_name(product))
        left = [asked for asked in days_left(context.instance, product, day) if asked not in underway]
        if not left:
            return dg.SkipReason(f"every {product.time.word} up to {day} is done or under way")
        return [dg.RunRequest(run_key=daily_key(product, asked), partition_key=str(asked)) for asked in left[:CATCH_UP]]

    return schedule


def retrain_schedule(product: Product) -> dg.ScheduleDefinition:
    """As the product declares, as of the newest day that was monitored."""

    @dg.schedule(
        name=f"{product.name}_retrain_schedule",
        job_name=retrain_name(product),
        cron_schedule=RETRAIN_CRONS.get(product.retraining.schedule, product.retraining.schedule),
        execution_timezone=product.time.timezone,
        default_status=dg.DefaultScheduleStatus.RUNNING,
        description=f"Retrains {product.retraining.schedule}, unless the newest monitored day has been decided already.",
    )
    def schedule(context: dg.ScheduleEvaluationContext, home: Home) -> dg.RunRequest | dg.SkipReason:
        day = Periods.of(product.time).last_ended(context.scheduled_execution_time)
        if not Periods.of(product.time).known(day):
            return dg.SkipReason(_outside(product, context.scheduled_execution_time))
        monitored = [done for done in home.store(product).document_days("retrain_decision") if done <= day]
        if not monitored:
            return dg.SkipReason("no day has been monitored yet")
        day = monitored[-1]
        key = decision_id(product.name, day)
        decided = decisions(home.promotions(product).entries())
        if decided and decided[-1]["as_of"] >= str(day):
            return dg.SkipReason(f"{key} is decided already, or a later day is")
        if missing := evidence_missing(
            AsOf(home.store(product), product, day), home.evaluation_sets(product).entries()
        ):
            return dg.SkipReason(missing)
        return dg.RunRequest(run_key=f"retrain/{key}", partition_key=str(day), tags={tags.REQUESTED_BY: "schedule"})

    return schedule


def _outside(product: Product, moment: datetime) -> str:
    return f"{product.name} lives from {product.time.start} to {product.time.end or 'now on'}; {moment:%Y-%m-%d} asks for no day of it"
