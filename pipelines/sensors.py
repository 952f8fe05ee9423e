"""What a product reacts to: a retrain decision that fired, a delivery that came late or was corrected, a run that failed, and what
asks for a person."""

from datetime import UTC, date, datetime
from pathlib import Path

import dagster as dg

from evergreen.cadence import parse_period
from evergreen.config import FilesSource, Product
from evergreen.deliveries import look_for_arrivals
from evergreen.periods import Periods
from evergreen.promotion import decision_id, decisions, serving_now
from evergreen.retraining import held_back
from evergreen.rollback import rollback_key
from evergreen.sources import daily_files
from pipelines import tags
from pipelines.alerting import look_and_tell, record_failure
from pipelines.instance import days_underway
from pipelines.jobs import care_name, daily_key, daily_name, retrain_name, rollback_name
from pipelines.resources import Home
from pipelines.rollback_job import rollback_config


def product_sensors(product: Product) -> list[dg.SensorDefinition]:
    """A product's sensors; whether a delivery was corrected can be seen of files alone."""
    source = product.source
    files = [deliveries_sensor(product, source)] if isinstance(source, FilesSource) else []
    return [retrain_sensor(product), rollback_sensor(product), failure_sensor(product), alert_sensor(product), *files]


def retrain_sensor(product: Product) -> dg.SensorDefinition:
    """Requests a retrain when the newest day's decision says so; once a decision, and never two of one day."""

    @dg.sensor(
        name=f"{product.name}_retrain_sensor",
        job_name=retrain_name(product),
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests a retrain when monitored performance, drift or age crosses its threshold (see retrain_decision).",
    )
    def sensor(context: dg.SensorEvaluationContext, home: Home) -> dg.RunRequest | dg.SkipReason:
        store = home.store(product)
        days = store.document_days("retrain_decision")
        if not days:
            return dg.SkipReason("no day has been monitored yet")
        day = days[-1]
        decision, key = store.read_document("retrain_decision", day), decision_id(product.name, day)
        if not decision["retrain"]:
            return dg.SkipReason(f"{day}: {decision['sentence']}")
        decided = {parse_period(entry["as_of"]) for entry in decisions(home.promotions(product).entries())}
        if day in decided:
            return dg.SkipReason(f"{key} is decided already")
        # days that are caught up in a row do not know of each other's retrains, which wait or take effect later
        asked = sorted(decided | days_underway(context.instance, retrain_name(product)))
        if held := held_back(day, asked, product):
            return dg.SkipReason(f"{key}: held back by {held}")
        return dg.RunRequest(
            run_key=f"retrain/{key}",
            partition_key=str(day),
            tags={tags.REQUESTED_BY: f"sensor: {', '.join(decision['fired'])}"},
        )

    return sensor


def rollback_sensor(product: Product) -> dg.SensorDefinition:
    """Requests a rollback when the newest day proves the champion worse than the one before it; once a day."""

    @dg.sensor(
        name=f"{product.name}_rollback_sensor",
        job_name=rollback_name(product),
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests a rollback when the champion is proven worse than the one before it (see retrain_decision).",
    )
    def sensor(home: Home) -> dg.RunRequest | dg.SkipReason:
        store, entries = home.store(product), home.promotions(product).entries()
        days = store.document_days("retrain_decision")
        if not days:
            return dg.SkipReason("no day has been monitored yet")
        decision = store.read_document("retrain_decision", days[-1]).get("rollback", {})
        if not decision.get("roll_back"):
            return dg.SkipReason(f"{days[-1]}: {decision.get('sentence', 'not judged')}")
        champion = serving_now(entries)["champion"]
        if champion is None or champion["version"] != decision["champion"]:
            return dg.SkipReason(f"version {decision['champion']} serves no more")
        return dg.RunRequest(
            run_key=rollback_key(product.name, str(days[-1])),
            run_config=rollback_config(
                product, reason=decision["sentence"], to=decision["previous"], day=str(days[-1])
            ),
        )

    return sensor


def deliveries_sensor(product: Product, source: FilesSource) -> dg.SensorDefinition:
    """Requests the days whose files arrived after they were tried, or differ from what was read; once for each content."""

    @dg.sensor(
        name=f"{product.name}_deliveries_sensor",
        job_name=daily_name(product),
        minimum_interval_seconds=30,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description="Requests the days whose deliveries came late or were corrected.",
    )
    def sensor(context: dg.SensorEvaluationContext, home: Home) -> dg.SensorResult:
        def tried(day: date) -> bool:
            asked = dg.RunsFilter(tags={tags.RUN_KEY: daily_key(product, day)})
            return context.instance.get_runs_count(asked) > 0

        periods = Periods.of(product.time)
        over = periods.last_ended(datetime.now(UTC))
        last = min(over, product.time.end or over)
        underway = days_underway(context.instance, daily_name(product))
        days = [day for day in periods.between(product.time.start, last) if day not in underway]
        files, since = daily_files(source, Path(home.path)), int(context.cursor or 0)
        look = look_for_arrivals(files, home.store(product), days, tried, since)
        requests = [
            dg.RunRequest(
                run_key=f"files/{decision_id(product.name, found.day)}/{found.digest}",
                partition_key=str(found.day),
                tags={tags.REQUESTED_BY: f"sensor: {found.kind} delivery"},
            )
            for found in look.arrivals
        ]
        nothing = None if requests else "no delivery came late or was corrected"
        seen_to = since if underway else look.newest  # a day that is being read is looked at again
        return dg.SensorResult(requests, skip_reason=nothing, cursor=str(seen_to))

    return sensor


def failure_sensor(product: Product) -> dg.SensorDefinition:
    """Puts each failed run of the product on record, once; the alert sensor tells of it. Experiments have a reader already."""
    jobs = {daily_name(product), retrain_name(product), rollback_name(product), care_name(product)}

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
