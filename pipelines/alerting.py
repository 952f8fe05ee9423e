"""Alerts, carried out: what is recorded is looked at, what follows is recorded, and each channel is sent what it has not had."""

import logging
from datetime import UTC, datetime

import dagster as dg

from evergreen.alerts import NOTHING, Look, look_at_clock, look_at_failures, look_at_ledger
from evergreen.config import Product
from evergreen.incidents import Message, decide, due, sent
from evergreen.ledger import Entry
from pipelines import tags
from pipelines.channels import Receipt, send
from pipelines.failures import failure_reason
from pipelines.jobs import daily_name, retrain_name
from pipelines.resources import Home

NO_DAY = "no day"
REASONS = {dg.DagsterEventType.STEP_FAILURE, dg.DagsterEventType.ASSET_CHECK_EVALUATION}


def record_failure(product: Product, home: Home, instance: dg.DagsterInstance, run: dg.DagsterRun) -> Entry:
    """Put a failed run on record, once. A missing day is worse than a missing retrain: yesterday's champion goes on serving."""
    record = instance.get_run_record_by_id(run.run_id)
    events = [log.dagster_event for log in instance.all_logs(run.run_id, of_type=REASONS) if log.dagster_event]
    ended = record.end_time if record and record.end_time else datetime.now(UTC).timestamp()
    content = {
        "event": "failed",
        "job": run.job_name,
        "day": run.tags.get(tags.PARTITION, NO_DAY),
        "reason": failure_reason(events),
        "severity": "critical" if run.job_name == daily_name(product) else "warning",
        "at": datetime.fromtimestamp(ended, UTC).isoformat(timespec="seconds"),
    }
    return home.failed_runs(product).append(run.run_id, content)


def look_and_tell(
    product: Product, home: Home, instance: dg.DagsterInstance, now: datetime, log: logging.Logger
) -> list[Receipt]:
    """One look: open, count, remind and resolve incidents, then send what is due. A channel that fails is tried at the next look."""
    ledger, policy = home.incidents(product), product.alerts
    for entry in decide(_look(product, home, instance, now), ledger.entries(), now, policy):
        ledger.append(entry["key"], entry)
    history, receipts = ledger.entries(), []
    for channel in policy.channels:
        for message in due(history, channel.name, now, policy, product.name):
            receipt = send(channel, message, product.name, log)
            receipts.append(receipt)
            if receipt.problem is not None:
                log.warning("alert not sent on %s, tried again at the next look: %s", channel.name, receipt.problem)
                break
            entry = sent(message, channel.name, now)
            ledger.append(entry["key"], entry)
    return receipts


def send_test(product: Product, log: logging.Logger) -> list[Receipt]:
    """A test message on every channel, on no record."""
    text = f"If you read this, alerts about {product.name} reach you here. There is nothing to do."
    message = Message(f"[{product.name}] test of the alerts", text, [], [])
    return [send(channel, message, product.name, log) for channel in product.alerts.channels]


def _look(product: Product, home: Home, instance: dg.DagsterInstance, now: datetime) -> Look:
    store = home.store(product)
    judged, scored = store.document_days("conditions"), store.days("predictions")
    day = Look.from_dict(store.read_document("conditions", judged[-1])) if judged else NOTHING
    failures = _unmended(product, home, instance)
    failed_days = {failure["day"] for failure in failures if failure["job"] == daily_name(product)}
    newest = scored[-1] if scored else None
    scored_at = _scored_at(product, instance, str(newest)) if newest else None
    day += look_at_ledger(home.promotions(product).entries(), product)
    return day + look_at_failures(failures) + look_at_clock(product, newest, scored_at, failed_days, now)


def _scored_at(product: Product, instance: dg.DagsterInstance, day: str) -> datetime | None:
    key = dg.AssetKey([product.name, "predictions"])
    found = instance.fetch_materializations(dg.AssetRecordsFilter(asset_key=key, asset_partitions=[day]), limit=1)
    return datetime.fromtimestamp(found.records[0].timestamp, UTC) if found.records else None


def _unmended(product: Product, home: Home, instance: dg.DagsterInstance) -> list[Entry]:
    """Failed runs that nothing has made good; what is mended is put on record, so that it is asked about once."""
    ledger = home.failed_runs(product)
    entries = ledger.entries()
    mended = {entry["run"] for entry in entries if entry["event"] == "mended"}
    left = [entry for entry in entries if entry["event"] == "failed" and entry["key"] not in mended]
    for failure in [failure for failure in left if _is_mended(failure, product, instance)]:
        ledger.append(f"{failure['key']}/mended", {"event": "mended", "run": failure["key"]})
        left.remove(failure)
    return left


def _is_mended(failure: Entry, product: Product, instance: dg.DagsterInstance) -> bool:
    """Whether the job has succeeded for the day since, a retrain also for a later one; or someone gave the day up by deleting the run."""
    record = instance.get_run_record_by_id(failure["key"])
    if record is None:
        return True
    later_counts = failure["job"] == retrain_name(product) or failure["day"] == NO_DAY
    done = instance.get_runs(
        dg.RunsFilter(
            job_name=failure["job"],
            statuses=[dg.DagsterRunStatus.SUCCESS],
            tags={} if later_counts else {tags.PARTITION: failure["day"]},
            created_after=record.create_timestamp,
        )
    )
    return any(run.tags.get(tags.PARTITION, NO_DAY) >= failure["day"] for run in done)
