"""Schedules and sensors as the daemon evaluates them: what they ask for, once, and why they do not."""

from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pytest

from pipelines.definitions import build_definitions
from pipelines.instance import opened_instance
from tests.loop.life import Loop

pytestmark = pytest.mark.xdist_group("hundred")


def tick(loop: Loop, schedule: str, moment: datetime) -> Any:
    definitions = build_definitions()
    with opened_instance() as instance:
        context = dg.build_schedule_context(
            instance,
            scheduled_execution_time=moment,
            repository_def=definitions.get_repository_def(),
            resources={"home": loop.home},
        )
        return definitions.resolve_schedule_def(schedule).evaluate_tick(context)


def look(loop: Loop) -> Any:
    definitions = build_definitions()
    with opened_instance() as instance:
        context = dg.build_sensor_context(
            instance, repository_def=definitions.get_repository_def(), resources={"home": loop.home}
        )
        return definitions.resolve_sensor_def("flights_retrain_sensor").evaluate_tick(context)


def test_the_daily_schedule_asks_for_the_day_that_has_just_ended(hundred_days):
    found = tick(hundred_days, "flights_daily_schedule", datetime(2013, 3, 5, 7, 30, tzinfo=UTC))

    assert [(request.partition_key, request.run_key) for request in found.run_requests] == [
        ("2013-03-04", "daily/flights/2013-03-04")
    ]


def test_outside_its_life_a_product_asks_for_nothing(hundred_days):
    found = tick(hundred_days, "flights_daily_schedule", datetime(2026, 3, 5, 7, 30, tzinfo=UTC))

    assert found.run_requests == []
    assert found.skip_message.startswith("flights lives from 2013-01-01 to 2013-12-31")


@pytest.mark.parametrize(
    ("moment", "reason"),
    [
        (
            datetime(2013, 1, 7, 9, tzinfo=UTC),
            "not enough mature days to train and to judge before 2013-01-29; the heuristic serves",
        ),
        (datetime(2013, 2, 4, 9, tzinfo=UTC), "flights/2013-02-03 is decided already"),
    ],
)
def test_the_retrain_schedule_says_why_it_does_not_ask(hundred_days, moment, reason):
    found = tick(hundred_days, "flights_retrain_schedule", moment)

    assert (found.run_requests, found.skip_message) == ([], reason)


def test_the_retrain_schedule_asks_for_an_undecided_day(hundred_days):
    [request] = tick(hundred_days, "flights_retrain_schedule", datetime(2013, 4, 22, 9, tzinfo=UTC)).run_requests

    assert (request.partition_key, request.run_key) == ("2013-04-21", "retrain/flights/2013-04-21")
    assert request.tags["evergreen/requested_by"] == "schedule"


def test_the_sensor_asks_once_a_decision_and_never_for_a_decided_day(new_loop):
    """A fired decision becomes one request; once the day is decided, whoever asked for it, there is none."""
    loop = new_loop(
        "fired",
        {"retraining": {"schedule": "weekly", "triggers": [{"kind": "staleness", "days": 1}], "cooldown": "1d"}},
    )
    loop.live("2013-01-16")
    asked = [(entry["as_of"], entry["requested_by"]) for entry in loop.decisions]
    assert asked == [("2013-01-13", "schedule"), ("2013-01-15", "sensor: staleness")]

    assert look(loop).skip_message == "2013-01-16: No retrain: no trigger fired."
    decision = loop.store.read_document("retrain_decision", date(2013, 1, 16))
    loop.store.write_document(
        "retrain_decision", date(2013, 1, 16), decision | {"retrain": True, "fired": ["performance"]}
    )
    first, second = look(loop), look(loop)
    assert [request.run_key for request in first.run_requests] == ["retrain/flights/2013-01-16"]
    assert [request.run_key for request in second.run_requests] == ["retrain/flights/2013-01-16"], (
        "one key: the daemon runs it once"
    )

    assert loop.run_again("retrain", "2013-01-16").success
    assert look(loop).skip_message == "flights/2013-01-16 is decided already"
    assert loop.run_again("retrain", "2013-01-16").success
    assert [entry["as_of"] for entry in loop.decisions] == ["2013-01-13", "2013-01-15", "2013-01-16"]


def test_a_failed_run_raises_one_alert(new_loop, landing):
    loop = new_loop("failing", {"validation": {"rows_per_day": {"at_least": 1999}}})
    with loop.opened() as replay:
        result = replay.definitions.resolve_job_def("flights_daily").execute_in_process(
            instance=replay.instance, partition_key="2013-01-01", raise_on_error=False
        )
        assert not result.success
        for _ in range(2):
            context = dg.build_run_status_sensor_context(
                sensor_name="flights_failure_sensor",
                dagster_instance=replay.instance,
                dagster_run=result.dagster_run,
                dagster_event=next(
                    event
                    for event in result.all_events
                    if event.is_failure and event.event_type_value == "PIPELINE_FAILURE"
                ),
                resources={"home": loop.home},
            ).for_run_failure()
            replay.definitions.resolve_sensor_def("flights_failure_sensor")(context)

    [alert] = loop.home.alerts(loop.product).entries()
    assert (alert["job"], alert["day"]) == ("flights_daily", "2013-01-01")
    assert alert["key"] == result.run_id
