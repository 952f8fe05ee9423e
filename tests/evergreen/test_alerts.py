"""What asks for a person, and what does not; and what is not known either way."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pandas as pd
import pytest

from evergreen.alerts import OVERDUE, Look, look_at_clock, look_at_day, look_at_failures, look_at_ledger
from tests.evergreen.builders import day, shop

TODAY = day(20)
MODELS = {"champion": {"version": 3}, "previous": {"version": 2}, "baseline": {"version": 1}}
UNFIT = {"version": 1, "against_prior": {"verdict": "fail", "sentence": "It is not under the prior's."}}
RUNGS_UNJUDGED = ["served_by/champion", "served_by/previous", "served_by/baseline", "served_by/heuristic"]


def card(costs: Sequence[float | None], served_by: str = "champion") -> pd.DataFrame:
    """A performance table: the daily cost of what was served, beside a slice and a yardstick that do not count."""
    lines = []
    for number, cost in enumerate(costs, start=1):
        line = {"day": pd.Timestamp(day(number)), "expected_cost": cost, "served_by": served_by, "rows": 9}
        lines += [{**line, "scorer": "served", "slice": "all"}]
        lines += [{**line, "scorer": "baseline", "slice": "all", "expected_cost": 9.0}]
        lines += [{**line, "scorer": "served", "slice": "color=red", "expected_cost": 9.0}]
    return pd.DataFrame(lines, columns=["day", "expected_cost", "served_by", "scorer", "slice", "rows"])


def seen(
    costs: Sequence[float | None] = (),
    coverage: float | None = 1.0,
    served_by: str | None = "champion",
    serving: dict[str, Any] = MODELS,
    by: str = "champion",
) -> Look:
    entries = [{"serving": serving}] if serving else []
    return look_at_day(TODAY, card(costs, by), coverage, served_by, entries, shop())


@pytest.mark.parametrize(
    ("costs", "holds", "unjudged"),
    [
        ([2.0, 2.1] * 7, True, False),
        ([1.0, 1.1] * 7, False, False),
        ([0.0, 3.8] * 7, False, True),
        ([2.0, 2.1] * 6, False, True),
        ([], False, True),
        ([0.0] * 10 + [2.0, 2.1] * 7, True, False),
        ([2.0, 2.1] * 7 + [None], True, False),
    ],
    ids=["proven over", "within", "over, not proven", "too few days", "none", "the last days count",
         "a day that is not judged changes nothing"],
)  # fmt: skip
def test_not_good_enough_needs_proof_and_so_does_its_end(costs, holds, unjudged):
    look = seen(costs)
    assert [condition.key for condition in look.holding] == ["not_good_enough"] * holds
    assert look.unjudged == ["not_good_enough"] * unjudged


def test_days_of_the_heuristic_do_not_judge_the_models():
    assert seen([2.0, 2.1] * 7, by="heuristic").unjudged == ["not_good_enough"]


def test_a_condition_says_what_since_when_how_bad_and_what_to_do():
    [found] = seen([2.0, 2.1] * 7).holding
    assert found.what == "expected cost 2.050 [2.020, 2.080] a row over 14 judged days, the bound is 1.8"
    assert (found.since, found.severity, found.occurrence) == ("2024-01-20", "warning", "2024-01-20")
    assert found.to_do.startswith("read the health report of 2024-01-20: ")


@pytest.mark.parametrize(
    ("coverage", "holds", "unjudged"), [(0.95, 0, 0), (0.949, 1, 0), (0.0, 1, 0), (1.0, 0, 0), (None, 0, 1)]
)
def test_missing_labels_are_told_and_no_due_day_says_nothing(coverage, holds, unjudged):
    look = seen(coverage=coverage)
    assert [condition.key for condition in look.holding] == ["labels_missing"] * holds
    assert look.unjudged.count("labels_missing") == unjudged


@pytest.mark.parametrize(
    ("served_by", "serving", "expected"),
    [
        ("champion", MODELS, []),
        ("previous", MODELS, [("served_by/previous", "warning")]),
        ("heuristic", MODELS, [("served_by/heuristic", "critical")]),
        ("baseline", {"champion": None, "baseline": {"version": 1}}, []),
        ("heuristic", {"champion": None, "baseline": {"version": 1}}, [("served_by/heuristic", "critical")]),
        ("heuristic", {"champion": None, "baseline": UNFIT}, []),
        ("heuristic", {}, []),
    ],
)
def test_a_lower_rung_is_told_where_a_higher_one_was_meant(served_by, serving, expected):
    look = seen(served_by=served_by, serving=serving)
    assert [(condition.key, condition.severity) for condition in look.holding] == expected


def test_a_day_without_rows_says_nothing_about_the_ladder():
    assert seen(served_by=None).unjudged == ["not_good_enough", *RUNGS_UNJUDGED]


def test_failures_of_one_job_share_a_key_and_each_is_an_occurrence():
    failure = {"job": "shop_daily", "reason": "no file", "severity": "critical", "at": "2024-01-02T03:00:00+00:00"}
    look = look_at_failures([{**failure, "key": f"run-{n}", "day": str(day(n))} for n in (1, 2)])
    assert [(found.key, found.occurrence) for found in look.holding] == [
        ("run_failed/shop_daily", "run-1"),
        ("run_failed/shop_daily", "run-2"),
    ]
    assert look.holding[1].what == "shop_daily failed for 2024-01-02: no file"


def test_a_look_survives_the_document_in_which_it_waits():
    look = seen([2.0, 2.1] * 7, coverage=None)
    assert Look.from_dict(look.as_dict()) == look


SCORED = datetime(2024, 1, 6, 3, tzinfo=UTC)  # the fifth day's scoring; 26 hours later the sixth is overdue


@pytest.mark.parametrize(
    ("newest", "scored_at", "now", "failed", "holds", "unjudged"),
    [
        (day(5), SCORED, SCORED + timedelta(hours=26), set(), 0, 0),
        (day(5), SCORED, SCORED + timedelta(hours=26, seconds=1), set(), 1, 0),
        (day(5), SCORED, SCORED + timedelta(hours=27), {str(day(6))}, 0, 1),
        (day(5), SCORED, SCORED + timedelta(hours=27), {str(day(4))}, 1, 0),
        (day(6), SCORED, datetime(2024, 1, 7, 23, tzinfo=UTC), set(), 0, 0),
        (day(5), None, datetime(2024, 1, 8, 2, tzinfo=UTC), set(), 0, 0),
        (day(5), None, datetime(2024, 1, 8, 3, tzinfo=UTC), set(), 1, 0),
        (None, None, datetime(2024, 1, 3, 1, tzinfo=UTC), set(), 0, 0),
        (None, None, datetime(2024, 1, 3, 3, tzinfo=UTC), set(), 1, 0),
        (None, None, datetime(2023, 12, 1, tzinfo=UTC), set(), 0, 0),
        (day(5), SCORED, datetime(2024, 3, 1, tzinfo=UTC), set(), 0, 0),
    ],
    ids=["just in time", "a second late", "its run failed: told already", "another day's run failed", "nothing is left to do",
         "unknown when: from the day's end", "unknown when, late", "first day, in time", "first day, late", "not begun", "ended"],
)  # fmt: skip
def test_a_day_is_overdue_after_the_promised_freshness(newest, scored_at, now, failed, holds, unjudged):
    look = look_at_clock(shop({"time": {"end": "2024-01-31"}}), newest, scored_at, failed, now)
    assert [condition.key for condition in look.holding] == [OVERDUE] * holds
    assert look.unjudged == [OVERDUE] * unjudged


def test_an_overdue_day_names_itself_and_since_when():
    [found] = look_at_clock(shop(), day(5), SCORED, set(), SCORED + timedelta(days=2)).holding
    assert found.what == "2024-01-06 has not been scored; the day before it was at 2024-01-06 03:00 UTC"
    assert found.since == "2024-01-07T05:00:00+00:00"
    assert found.to_do.endswith("run shop_daily for 2024-01-06 to 2024-01-07")
    assert found.occurrence == str(date(2024, 1, 7))
    assert found.severity == "critical"


def test_a_product_that_never_scored_is_told_without_alarm():
    """As in the first minutes of a new product: the schedule asks for its days at the next tick."""
    [found] = look_at_clock(shop(), None, None, set(), datetime(2024, 1, 9, tzinfo=UTC)).holding
    assert found.what == "2024-01-01 has not been scored; nor has any day yet"
    assert found.severity == "warning"


CANDIDATE = {"version": 4}
DECIDED = {
    "key": "shop/4",
    "as_of": "2024-01-04",
    "effective_from": "2024-01-05",
    "decision": "awaiting approval",
    "candidate": CANDIDATE,
    "requested_by": "schedule",
}
BACK = {
    "key": "shop/rollback/a",
    "kind": "rollback",
    "decision": "rolled back",
    "withdrawn": 4,
    "reason": "It is worse.",
    "requested_by": "sensor: worse than the version before",
    "at": "2024-02-01T00:00:00+00:00",
    "serving": MODELS,
}
WAITS = DECIDED | {"serving": MODELS | {"awaiting": CANDIDATE}}
STILL_WAITS = WAITS | {"key": "shop/5", "decision": "kept", "candidate": {"version": 5}}
SHADOWED = DECIDED | {"decision": "in shadow", "serving": MODELS | {"shadow": CANDIDATE}}
PROMOTED = DECIDED | {"decision": "promoted", "serving": MODELS}
KEPT = DECIDED | {"decision": "kept", "serving": MODELS}


@pytest.mark.parametrize(
    ("entries", "expected"),
    [
        ([], []),
        ([PROMOTED, WAITS], [("awaiting_approval", "2024-01-04", "shop/4")]),
        ([PROMOTED, WAITS, STILL_WAITS], [("awaiting_approval", "2024-01-04", "shop/4")]),
        ([PROMOTED, SHADOWED], []),
        ([WAITS, PROMOTED], []),
        ([PROMOTED, BACK], [("rolled_back", "2024-02-01T00:00:00+00:00", "shop/rollback/a")]),
        ([PROMOTED, BACK, KEPT], [("rolled_back", "2024-02-01T00:00:00+00:00", "shop/rollback/a")]),
        ([PROMOTED, BACK, PROMOTED], []),
        ([PROMOTED, BACK | {"requested_by": "hand (ann)"}], []),
    ],
    ids=[
        "nothing was decided", "a person is awaited", "and still after another was kept", "shadow asks nobody", "answered",
        "rolled back by itself", "until the next promotion", "which ends it", "by hand somebody knows",
    ],
)  # fmt: skip
def test_what_the_ledger_asks_of_people(entries, expected):
    found = look_at_ledger(entries, shop())
    assert [(condition.key, condition.since, condition.occurrence) for condition in found.holding] == expected
    assert found.unjudged == []
