"""Schedules and sensors as the daemon evaluates them: what they ask for, once, and why they do not."""

from datetime import date
from typing import Any

import dagster as dg

from pipelines.definitions import build_definitions
from pipelines.instance import opened_instance
from tests.loop.life import Loop


def look(loop: Loop) -> Any:
    definitions = build_definitions()
    repository = definitions.get_repository_def()
    with (
        opened_instance() as instance,
        dg.build_sensor_context(instance, repository_def=repository, resources={"home": loop.home}) as context,
    ):
        return definitions.resolve_sensor_def("flights_retrain_sensor").evaluate_tick(context)


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
