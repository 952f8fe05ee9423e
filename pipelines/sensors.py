"""What a product reacts to: a retrain decision that fired, and a run that failed."""

import dagster as dg

from assets.promotion import REQUESTED_BY
from evergreen.config import Product
from evergreen.promotion import decision_id
from pipelines.jobs import daily_name, experiment_name, retrain_name
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
    """An alert, in the log and in the alert ledger, for each failed run of the product; once a run."""
    jobs = {daily_name(product), retrain_name(product), experiment_name(product)}

    @dg.run_failure_sensor(
        name=f"{product.name}_failure_sensor",
        monitor_all_code_locations=False,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Raises an alert in the log for each failed run.",
    )
    def sensor(context: dg.RunFailureSensorContext, home: Home) -> dg.SkipReason | None:
        run = context.dagster_run
        if run.job_name not in jobs:
            return dg.SkipReason(f"{run.job_name} is not a job of {product.name}")
        day = run.tags.get("dagster/partition", "no day")
        message = f"{run.job_name} failed for {day}: {context.failure_event.message}"
        home.alerts(product).append(run.run_id, {"job": run.job_name, "day": day, "message": message})
        context.log.error(
            f"ALERT {message}; look at run {run.run_id}, mend the cause, and run the same partition again"
        )
        return None

    return sensor
