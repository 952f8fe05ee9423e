"""What a product reacts to: a retrain decision that fired, a run that failed, and what asks for a person."""

from datetime import UTC, datetime

import dagster as dg

from assets.promotion import REQUESTED_BY
from evergreen.config import Product
from evergreen.promotion import decision_id
from pipelines.alerting import look_and_tell, record_failure
from pipelines.jobs import daily_name, retrain_name
from pipelines.resources import Home


def retrain_sensor(product: Product) -> dg.SensorDefinition:
    """Requests a retrain when the newest day's decision says so; once a decision, and never two of one day."""

    @dg.sensor(
        name=f"{product.name}_retrain_sensor",
        job_name=retrain_name(product),
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests a retrain when monitored performance, drift or age crosses its threshold (see retrain_decision).",
    )
    def sensor(context: dg.SensorEvaluationContext, home: Home) -> dg.RunRequest | dg.SkipReason:
        store = home.store(product)
        days = store.document_days("retrain_decision")
        if not days:
            return dg.SkipReason("no day has been monitored yet")
        decision, key = store.read_document("retrain_decision", days[-1]), decision_id(product.name, days[-1])
        if not decision["retrain"]:
            return dg.SkipReason(f"{days[-1]}: {decision['sentence']}")
        if home.promotions(product).find(key):
            return dg.SkipReason(f"{key} is decided already")
        return dg.RunRequest(
            run_key=f"retrain/{key}",
            partition_key=str(days[-1]),
            tags={REQUESTED_BY: f"sensor: {', '.join(decision['fired'])}"},
        )

    return sensor


def failure_sensor(product: Product) -> dg.SensorDefinition:
    """Puts each failed run of the product on record, once; the alert sensor tells of it. Experiments have a reader already."""
    jobs = {daily_name(product), retrain_name(product)}

    @dg.run_failure_sensor(
        name=f"{product.name}_failure_sensor",
        monitor_all_code_locations=False,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Puts each failed run on record; the alert sensor tells people.",
    )
    def sensor(context: dg.RunFailureSensorContext, home: Home) -> dg.SkipReason | None:
        run = context.dagster_run
        if run.job_name not in jobs:
            return dg.SkipReason(f"{run.job_name} is not a job whose failure {product.name} tells of")
        failure = record_failure(product, home, context.instance, run)
        context.log.error(f"{failure['job']} failed for {failure['day']}: {failure['reason']}")
        return None

    return sensor


def alert_sensor(product: Product) -> dg.SensorDefinition:
    """Tells people what asks for them: once when it begins, again while it lasts, once when it is over."""

    @dg.sensor(
        name=f"{product.name}_alert_sensor",
        minimum_interval_seconds=60,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Opens, counts and resolves incidents, and sends what is due on the product's channels.",
    )
    def sensor(context: dg.SensorEvaluationContext, home: Home) -> dg.SkipReason:
        receipts = look_and_tell(product, home, context.instance, datetime.now(UTC), context.log)
        return dg.SkipReason("; ".join(str(receipt) for receipt in receipts) or "nothing new to tell")

    return sensor
