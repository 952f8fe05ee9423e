"""28 real days, retrained daily under the default gates: how often it retrains, what is decided, and what a decision could have seen."""

from datetime import date

from pipelines.instance import opened_instance
from tests.loop.life import Loop, assert_decisions

LAST = "2013-01-28"
EVERY_DAY = [str(date(2013, 1, day)) for day in range(15, 29)]


def test_retrains_every_day_that_can_be_decided(new_loop, capsys):
    week = {"training": {"at_least": "7d"}, "evaluation": {"window": "7d"}}
    loop = new_loop("daily", {"retraining": {"schedule": "daily", "triggers": []}, **week})

    told = loop.live(LAST)

    assert len(told.days) == 28
    with capsys.disabled():
        print(f"\ndaily: {assert_decisions(loop, EVERY_DAY)}")
    assert_nothing_is_left(loop, len(EVERY_DAY))


def assert_nothing_is_left(loop: Loop, retrains: int) -> None:
    """A second replay does no day twice and repeats no retrain."""
    before = loop.content(LAST)
    told = loop.live(LAST)
    assert told.days == []
    assert loop.content(LAST) == before
    with opened_instance() as instance:
        runs = [run for run in instance.get_runs() if run.job_name == "flights_retrain"]
    assert len(runs) == retrains
