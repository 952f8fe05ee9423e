"""28 real days under the default gates: how often it retrains, what is decided, and what a decision could have seen."""

from datetime import date

import pytest

from pipelines.instance import opened_instance
from tests.loop.life import Loop

LAST = "2013-01-28"


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("daily", [str(date(2013, 1, day)) for day in range(15, 29)]),
        ("weekly", ["2013-01-20", "2013-01-27"]),
    ],
)
def test_retrains_exactly_when_scheduled(new_loop, schedule, expected, capsys):
    week = {"training": {"at_least": "7d"}, "evaluation": {"window": "7d"}}
    loop = new_loop(schedule, {"retraining": {"schedule": schedule, "triggers": []}, **week})

    told = loop.live(LAST)

    assert [entry["as_of"] for entry in loop.decisions] == expected
    assert {entry["requested_by"] for entry in loop.decisions} == {"schedule"}
    promoted = [entry for entry in loop.decisions if entry["decision"] == "promoted"]
    compared = [gate for entry in loop.decisions for gate in entry["gates"] if gate["name"] == "comparison"]
    seen = [gate["smallest_effect"] for gate in compared if gate["smallest_effect"] is not None]
    with capsys.disabled():
        print(
            f"\n{schedule}: {len(loop.decisions)} retrains, {len(promoted)} promotions, smallest detectable effects {seen}"
        )
    for entry in loop.decisions:
        judging, trained = entry["evaluation"]["days"], entry["training"]["last_day"]
        assert min(judging) > trained, "judging days lie after training's end"
        assert len(judging) == 7
    for before, after in zip(loop.decisions, loop.decisions[1:], strict=False):
        champion = before["serving"]["champion"]
        assert champion is None or champion["trained_through"] < min(after["evaluation"]["days"])
    assert len(told.days) == 28
    assert_nothing_is_left(loop, len(expected))


def assert_nothing_is_left(loop: Loop, retrains: int) -> None:
    """A second replay does no day twice and repeats no retrain."""
    before = loop.content(LAST)
    told = loop.live(LAST)
    assert told.days == []
    assert loop.content(LAST) == before
    with opened_instance() as instance:
        runs = [run for run in instance.get_runs() if run.job_name == "flights_retrain"]
    assert len(runs) == retrains
