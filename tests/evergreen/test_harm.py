import pandas as pd
import pytest

from evergreen.harm import decide, excess_over_previous
from evergreen.periods import Periods
from tests.evergreen.builders import day, shop

SHOP = shop({"rollback": {"at_least": "3d", "over": "4d"}})
NEW, OLD = {"version": 2}, {"version": 1}


def entry(first, champion, previous):
    return {"effective_from": str(day(first)), "serving": {"champion": champion, "previous": previous}}


PAIR = [entry(1, NEW, OLD)]


def card(served, previous, served_by="champion"):
    """A performance table from day 1 on, with a slice that does not count."""
    lines = [
        {
            "day": pd.Timestamp(day(number)),
            "slice": name,
            "scorer": scorer,
            "log_loss": loss,
            "rows": 9,
            "served_by": served_by,
        }
        for name in ("all", "color=red")
        for scorer, losses in (("served", served), ("previous", previous))
        for number, loss in enumerate(losses, start=1)
    ]
    return pd.DataFrame(lines)


WORSE, SAME = [0.61, 0.62, 0.63, 0.62], [0.50, 0.50, 0.50, 0.50]


@pytest.mark.parametrize(
    ("served", "previous", "back", "said"),
    [
        (WORSE, SAME, True, "Version 2 is proven worse than version 1: log-loss differs by +0.1200"),
        (SAME, WORSE, False, "Version 2 is not proven worse than version 1: log-loss differs by -0.1200"),
        ([0.9, 0.4, 0.8, 0.3], SAME, False, "Version 2 is not proven worse"),
        (WORSE[:2], SAME[:2], False, "not enough evidence (n=2 days that both scored, 3 are needed)"),
        (WORSE, [0.5, 0.5, None, None], False, "not enough evidence (n=2 days"),
    ],
    ids=["worse", "better", "noise", "too few days", "days on which the other could not score"],
)
def test_only_a_champion_that_is_proven_worse_is_rolled_back(served, previous, back, said):
    decision = decide(card(served, previous), PAIR, SHOP)
    assert decision.roll_back is back
    assert said in decision.sentence
    assert (decision.champion, decision.previous) == (2, 1)


def test_a_policy_that_is_not_automatic_judges_and_leaves_it_to_a_person():
    decision = decide(card(WORSE, SAME), PAIR, shop({"rollback": {"automatic": False, "at_least": "3d"}}))
    assert not decision.roll_back
    assert "is proven worse" in decision.sentence


@pytest.mark.parametrize("serving", [[], [entry(1, None, None)], [entry(1, NEW, None)]])
def test_without_a_version_before_there_is_nothing_to_compare(serving):
    decision = decide(card(WORSE, SAME), serving, SHOP)
    assert (decision.roll_back, decision.mean) == (False, None)


@pytest.mark.parametrize(
    ("served_by", "entries", "days"),
    [
        ("champion", [entry(1, OLD, None), entry(3, NEW, OLD)], [3, 4]),
        ("champion", [entry(1, NEW, OLD), entry(4, OLD, None), entry(9, NEW, OLD)], [1, 2, 3]),
        ("previous", PAIR, []),
    ],
    ids=["since the promotion", "days of another pair between do not count", "days that the champion did not answer"],
)
def test_only_days_of_these_two_count(served_by, entries, days):
    excess = excess_over_previous(card(WORSE, SAME, served_by), entries, Periods.of(SHOP.time))
    assert [time.date() for time in excess.index] == [day(number) for number in days]


def test_just_enough_days_are_enough_to_roll_back():
    assert decide(card(WORSE[:3], SAME[:3]), PAIR, SHOP).roll_back
    assert not decide(card(WORSE[:2], SAME[:2]), PAIR, SHOP).roll_back
