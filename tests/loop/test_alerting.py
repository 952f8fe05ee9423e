"""From a failed day to the people: told once, counted while it lasts, resolved when the day is mended."""

import logging
import shutil
from contextlib import ExitStack
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from evergreen.alerts import Condition, Look
from evergreen.incidents import open_incidents
from pipelines.alerting import look_and_tell
from pipelines.replay import Replay
from pipelines.screen import print_alerts
from pipelines.tags import PRODUCT
from tests.loop.life import Loop, evergreen, execute, first_days
from tests.loop.test_errors import empty
from tests.pipelines.receivers import mail_server, webhook

HOOK = {"kind": "webhook", "url_from": "TEST_HOOK"}


@pytest.fixture
def watched(new_loop, landing, tmp_path, monkeypatch):
    """A loop of three days with a webhook, a mail server and an address where nobody listens; and what arrives at the first two."""
    with ExitStack() as stack:
        url, posted = stack.enter_context(webhook())
        port, mails = stack.enter_context(mail_server())
        monkeypatch.setenv("TEST_HOOK", url)
        monkeypatch.setenv("DEAD_HOOK", "http://127.0.0.1:9/")
        mail = {
            "kind": "email",
            "to": ["a@x.org"],
            "sender": "b@x.org",
            "host": "127.0.0.1",
            "port": port,
            "security": "none",
        }
        channels = [{"kind": "webhook", "url_from": "DEAD_HOOK"}, HOOK, mail]
        deliveries = first_days(landing, tmp_path / "landing", 3)
        yield new_loop("watched", {"alerts": {"channels": channels}}, deliveries=deliveries), posted, mails


def tell_of_failure(replay: Replay, run: dg.DagsterRun) -> Any:
    """The run-failure sensor, as the daemon calls it for a failed run."""
    failed = replay.instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_FAILURE)[-1]
    with dg.build_run_status_sensor_context(
        sensor_name="flights_failure_sensor",
        dagster_instance=replay.instance,
        dagster_run=run,
        dagster_event=failed.dagster_event,
        resources={"home": replay.home},
    ) as context:
        return replay.definitions.resolve_sensor_def("flights_failure_sensor")(context.for_run_failure())


def look(replay: Replay) -> str:
    """The alert sensor, as the daemon evaluates it; returns what it says."""
    repository = replay.definitions.get_repository_def()
    with dg.build_sensor_context(
        replay.instance, repository_def=repository, resources={"home": replay.home}
    ) as context:
        return str(replay.definitions.resolve_sensor_def("flights_alert_sensor").evaluate_tick(context).skip_message)


def test_a_failed_day_is_told_once_and_the_mended_day_resolves_it(watched, tmp_path, landing, capsys):
    loop, posted, mails = watched
    place = tmp_path / "landing" / "events" / "2013-01-02.parquet"
    empty(place)
    with loop.opened() as replay:
        assert execute(replay, "daily", "2013-01-01").success
        assert look(replay) == "nothing new to tell"
        for _ in range(2):
            failed = execute(replay, "daily", "2013-01-02").dagster_run
            for _ in range(2):
                tell_of_failure(replay, failed)
            told = look(replay)
            assert told.startswith("webhook DEAD_HOOK: FAILED, URLError:") and "Connection refused" in told
        assert execute(replay, "daily", "2013-01-03").success
        look(replay)

    [body] = posted
    [incident] = body["incidents"]
    assert len(mails) == 1
    assert (incident["incident"], incident["severity"], incident["seen"]) == (
        "run_failed/flights_daily#1",
        "critical",
        1,
    )
    assert incident["what"].startswith(
        "flights_daily failed for 2013-01-02: volume: 0 rows, at least 300 are expected a day"
    )
    assert incident["to_do"].startswith("mend the cause and run flights_daily for 2013-01-02 again")
    listed = " ".join(evergreen("alerts", "flights", columns=300).stdout.split())
    assert "critical │ mend the cause and run flights_daily for 2013-01-02" in listed
    assert f"│ 2 │ {datetime.now(UTC):%Y-%m-%d} " in listed, "seen twice, sent today"

    shutil.copy(landing / "events" / "2013-01-02.parquet", place)
    with loop.opened() as replay:
        assert execute(replay, "daily", "2013-01-02").success
        look(replay)
        look(replay)
    assert [incident["event"] for body in posted for incident in body["incidents"]] == ["opened", "resolved"]
    assert "Subject: [flights] critical, resolved" in mails[-1] and len(mails) == 2
    print_alerts(loop.product, loop.home)
    assert "no incident is open" in capsys.readouterr().out
    assert_what_a_day_says_is_told(loop, posted)
    assert_the_test_names_the_dead_channel()


def assert_what_a_day_says_is_told(loop: Loop, posted: list[dict[str, Any]]) -> None:
    """The newest day's record is what counts: its condition is told, and reminded of; an endless product owes the next day."""
    assert Look.from_dict(loop.store.read_document("conditions", date(2013, 1, 3))).holding == []
    condition = Condition("labels_missing", "half", "2013-01-03", "warning", "ask", "2013-01-03")
    loop.store.write_document("conditions", date(2013, 1, 3), Look([condition], []).as_dict())
    posted.clear()
    with loop.opened() as replay:
        for hours in (0, 1, 25):
            now = datetime.now(UTC) + timedelta(hours=hours)
            look_and_tell(loop.product, loop.home, replay.instance, now, logging.getLogger("test"))
        endless = loop.product.model_copy(update={"time": loop.product.time.model_copy(update={"end": None})})
        for hours in (25, 27):
            now = datetime.now(UTC) + timedelta(hours=hours)
            look_and_tell(endless, loop.home, replay.instance, now, logging.getLogger("test"))
    told = [(body["incidents"][0]["event"], body["incidents"][0]["condition"]) for body in posted]
    assert told == [("opened", "labels_missing"), ("reminded", "labels_missing"), ("opened", "day_overdue")]


def assert_the_test_names_the_dead_channel() -> None:
    result = evergreen("alerts", "flights", "--test")
    assert result.returncode == 1
    assert [line.split(":")[0] for line in result.stdout.splitlines()] == [
        "webhook DEAD_HOOK",
        "webhook TEST_HOOK",
        "email a@x.org",
    ]
    assert result.stdout.count("sent") == 2 and "Connection refused" in result.stdout


def test_a_later_retrain_and_a_deleted_run_each_settle_a_failure(new_loop):
    loop = new_loop("settled")
    with loop.opened() as replay:
        for job in ("retrain", "daily"):
            failed = execute(replay, job, "2013-01-20").dagster_run
            tell_of_failure(replay, failed)
        look(replay)
        assert open_now(replay) == ["run_failed/flights_daily", "run_failed/flights_retrain"]

        replay.instance.delete_run(failed.run_id)
        for day in ("2013-01-19", "2013-01-27"):
            tags = {"dagster/partition": day, PRODUCT: "flights"}
            replay.instance.add_run(dg.DagsterRun("flights_retrain", status=dg.DagsterRunStatus.SUCCESS, tags=tags))
            look(replay)
            assert open_now(replay) == (["run_failed/flights_retrain"] if day == "2013-01-19" else [])


def open_now(replay: Replay) -> list[str]:
    return [incident.condition for incident in open_incidents(replay.home.incidents(replay.product).entries())]
