"""What may go, and what never does."""

from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evergreen.config import Retention
from evergreen.ledger import Entry
from evergreen.retention import Held, ModelUse, digests_of, model_uses, needed_runs, removable

START = date(2024, 1, 1)
KINDS = ("quarantine", "event_logs", "refused_models", "superseded_models")
ROLES = ("champion", "previous", "baseline", "first")


def model(version: int | None) -> dict[str, Any] | None:
    return None if version is None else {"version": version, "digest": f"d{version}"}


def entry(number: int, candidate: int, **serving: int | None) -> Entry:
    """The decision as of the n-th of January, in effect from the next day on."""
    day = date(2024, 1, number)
    return {
        "as_of": str(day),
        "effective_from": str(day + timedelta(days=1)),
        "candidate": model(candidate),
        "dagster_run": f"run-{number}",
        "serving": {**{role: model(version) for role, version in serving.items()}, "base_rate": 0.2},
    }


def test_the_ledger_says_who_served_and_until_when():
    life = [
        entry(1, 2, champion=None, baseline=1),
        entry(2, 4, champion=4, baseline=3, first=4),
        entry(3, 6, champion=6, previous=4, baseline=5, first=4),
        entry(4, 8, champion=6, previous=4, baseline=7, first=4),
    ]

    assert model_uses(life) == {
        "d1": ModelUse(1, served=True, last_day=date(2024, 1, 2)),
        "d2": ModelUse(2, served=False, last_day=date(2024, 1, 1)),
        "d3": ModelUse(3, served=True, last_day=date(2024, 1, 3)),
        "d4": ModelUse(4, served=True, last_day=None),
        "d5": ModelUse(5, served=True, last_day=date(2024, 1, 4)),
        "d6": ModelUse(6, served=True, last_day=None),
        "d7": ModelUse(7, served=True, last_day=None),
        "d8": ModelUse(8, served=False, last_day=None),
    }
    assert needed_runs(life) == {"run-1", "run-2", "run-3", "run-4"}


def test_a_twin_is_needed_as_long_as_its_version():
    life = [
        entry(1, 3, champion=3, baseline=1),
        entry(2, 6, champion=6, previous=3, baseline=4),
        entry(3, 8, champion=6),
    ]
    for one, twin in ((life[0]["serving"]["champion"], 2), (life[1]["serving"]["champion"], 5)):
        one["twin"] = model(twin)
    life[2]["serving"]["champion"] = life[1]["serving"]["champion"]
    life[2]["candidate"]["twin"] = model(7)

    uses = model_uses(life)

    assert uses["d5"] == ModelUse(5, served=True, last_day=None)
    assert uses["d2"] == ModelUse(2, served=True, last_day=date(2024, 1, 2))
    assert uses["d7"] == ModelUse(7, served=False, last_day=None)
    assert digests_of(life)[5] == "d5"


def test_a_candidate_that_waits_is_needed_and_has_not_served():
    life = [entry(1, 2, champion=1), entry(2, 4, champion=1, awaiting=4)]
    assert model_uses(life)["d4"] == ModelUse(4, served=False, last_day=None)
    assert model_uses([*life, entry(3, 6, champion=1)])["d4"] == ModelUse(4, served=False, last_day=date(2024, 1, 3))


@pytest.mark.parametrize("kind", KINDS)
def test_only_what_is_older_than_its_own_age_goes(kind):
    held = [Held(kind, str(number), date(2024, 1, number), (), 1) for number in (1, 2, 3, 4)]
    today = date(2024, 1, 10)

    assert [item.name for item in removable(held, Retention(**{kind: "7d"}), today, needed=())] == ["1", "2"]
    assert [item.name for item in removable(held, Retention(**{kind: "7d"}), today, needed={"1"})] == ["2"]
    assert removable(held, Retention(), today, needed=()) == []
    others = {other: "1d" for other in KINDS if other != kind}
    assert removable(held, Retention(**others), today, needed=()) == []


versions = st.none() | st.integers(1, 12)
lives = st.lists(st.tuples(st.integers(1, 12), versions, versions, versions, versions), min_size=1, max_size=8)


@given(lives, st.integers(1, 5), st.sets(st.integers(1, 12)))
def test_no_life_loses_a_model_that_serves_or_has_an_alias(life, age, aliased):
    entries = [
        entry(number, candidate, **dict(zip(ROLES, serving, strict=True)))
        for number, (candidate, *serving) in enumerate(life, start=1)
    ]
    held = [
        Held("superseded_models" if use.served else "refused_models", digest, use.last_day, (), 1)
        for digest, use in model_uses(entries).items()
        if use.last_day is not None
    ]
    retention = Retention(refused_models=f"{age}d", superseded_models=f"{age}d")
    today = date(2024, 1, 20)
    needed = {f"d{version}" for version in aliased}
    gone = {item.name for item in removable(held, retention, today, needed)}

    head = entries[-1]
    assert not gone & ({f"d{head['serving'][role]['version']}" for role in ROLES if head["serving"][role]} | needed)
    recent = [one for one in entries if date.fromisoformat(one["effective_from"]) >= today - timedelta(days=age)]
    assert not gone & {one["serving"][role]["digest"] for one in recent for role in ROLES if one["serving"][role]}
