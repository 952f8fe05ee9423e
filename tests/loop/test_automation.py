"""Schedules and sensors as the daemon evaluates them: what they ask for, once, and why they do not."""

from datetime import date
from typing import Any

import dagster as dg

from pipelines.definitions import build_definitions
from pipelines.instance import opened_instance
from tests.loop.life import Loop

FIRST_DECISION = "0 4 10 * *"  # early on the 10th, as of the 9th


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
        {"retraining": {"schedule": FIRST_DECISION, "triggers": [{"kind": "staleness", "days": 1}], "cooldown": "1d"}},
    )
    loop.live("2013-01-12")
    asked = [(entry["as_of"], entry["requested_by"]) for entry in loop.decisions]
    assert asked == [("2013-01-09", "schedule"), ("2013-01-11", "sensor: staleness")]

    assert look(loop).skip_message == "2013-01-12: No retrain: no trigger fired."
    decision = loop.store.read_document("retrain_decision", date(2013, 1, 12))
    loop.store.write_document(
        "retrain_decision", date(2013, 1, 12), decision | {"retrain": True, "fired": ["performance"]}
    )
    first, second = look(loop), look(loop)
    assert [request.run_key for request in first.run_requests] == ["retrain/flights/2013-01-12"]
    assert [request.run_key for request in second.run_requests] == ["retrain/flights/2013-01-12"], (
        "one key: the daemon runs it once"
    )

    assert loop.run_again("retrain", "2013-01-12").success
    assert look(loop).skip_message == "flights/2013-01-12 is decided already"
    assert loop.run_again("retrain", "2013-01-12").success
    assert [entry["as_of"] for entry in loop.decisions] == ["2013-01-09", "2013-01-11", "2013-01-12"]
