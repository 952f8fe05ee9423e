import pytest

from evergreen.errors import LedgerError
from evergreen.gates import Gate
from evergreen.promotion import (
    decide,
    decision_id,
    effective_from,
    in_effect,
    judged,
    refuse_older_day,
    sentence,
    serving_after,
    serving_as_of,
)
from tests.evergreen.builders import day, shop

OLD, NEW, BASELINE, FIRST = {"version": 3}, {"version": 9}, {"version": 8}, {"version": 1}

UNFIT = BASELINE | {"against_prior": {"verdict": "fail", "sentence": "It is not under the prior's."}}


def gates(**verdicts):
    roles = {"reloads": "hard", "comparison": "primary"}
    return [Gate(name, roles.get(name, "guard"), verdict, "") for name, verdict in verdicts.items()]


@pytest.mark.parametrize(
    ("verdicts", "outcome", "by"),
    [
        ({"reloads": "pass", "comparison": "pass", "slices": "pass"}, "promoted", "comparison"),
        ({"reloads": "pass", "comparison": "pass", "slices": "not enough evidence"}, "promoted", "comparison"),
        ({"reloads": "pass", "comparison": "pass", "slices": "off"}, "promoted", "comparison"),
        ({"reloads": "fail", "comparison": "fail", "slices": "fail"}, "kept", "reloads"),
        ({"reloads": "pass", "comparison": "fail", "slices": "fail"}, "kept", "comparison"),
        ({"reloads": "pass", "comparison": "not enough evidence", "slices": "fail"}, "held", "comparison"),
        ({"reloads": "not enough evidence", "comparison": "fail", "slices": "pass"}, "held", "reloads"),
        ({"reloads": "pass", "comparison": "pass", "slices": "fail"}, "kept", "slices"),
    ],
)
def test_the_first_gate_that_blocks_decides(verdicts, outcome, by):
    decision = decide(gates(**verdicts))
    assert (decision.outcome, decision.deciding_gate) == (outcome, by)


def test_a_day_has_one_decision_whoever_asks():
    assert decision_id("shop", day(5)) == "shop/2024-01-05"


@pytest.mark.parametrize(
    ("scored", "first"),
    [
        ([], day(6)),
        ([day(3), day(4)], day(6)),
        ([day(4), day(5)], day(6)),
        ([day(5), day(9), day(7)], day(10)),
    ],
    ids=["nothing scored", "scoring is behind", "in step", "a late retrain"],
)
def test_a_decision_takes_effect_on_the_first_day_not_yet_scored(scored, first):
    assert effective_from(day(5), scored, shop().time) == first


@pytest.mark.parametrize(("predict_before", "first"), [("23h", 6), ("1d", 7), ("36h", 8), ("47h", 8), ("2d", 8)])
def test_what_is_predicted_days_ahead_is_predicted_by_what_was_known_then(predict_before, first):
    """As of the 5th: rows of the 7th are predicted from noon of the 5th on where that is 36 hours ahead, before that day ends."""
    time = shop({"time": {"predict_before": predict_before}}).time
    assert effective_from(day(5), [day(5)], time) == day(first)
    assert effective_from(day(5), [day(12)], time) == day(13)


NOBODY = {"champion": None, "previous": None, "baseline": None, "first": None}


@pytest.mark.parametrize(
    ("outcome", "before", "after"),
    [
        ("promoted", {}, {"champion": NEW, "previous": None, "first": NEW}),
        ("promoted", NOBODY, {"champion": NEW, "previous": None, "first": NEW}),
        (
            "promoted",
            {"champion": OLD, "previous": None, "baseline": None, "first": FIRST},
            {"champion": NEW, "previous": OLD, "first": FIRST},
        ),
        ("kept", {}, {"champion": None, "previous": None, "first": None}),
        (
            "kept",
            {"champion": OLD, "previous": FIRST, "baseline": None, "first": FIRST},
            {"champion": OLD, "previous": FIRST, "first": FIRST},
        ),
        (
            "held",
            {"champion": OLD, "previous": None, "baseline": None, "first": OLD},
            {"champion": OLD, "previous": None, "first": OLD},
        ),
    ],
)
def test_the_serving_state_that_follows(outcome, before, after):
    """Whatever is decided, the newest baseline and base rate take their places; the state before is not touched."""
    copy = dict(before)
    state = after | {"shadow": None, "awaiting": None, "baseline": BASELINE, "base_rate": 0.3, "withdrawn": []}
    assert serving_after(outcome, before, NEW, BASELINE, 0.3) == state
    assert before == copy


ENTRIES = [
    {"key": "shop/1", "effective_from": str(day(3))},
    {"key": "shop/2", "effective_from": str(day(5))},
    {"key": "shop/3", "effective_from": str(day(5))},
]


@pytest.mark.parametrize(
    ("today", "key"), [(1, None), (2, None), (3, "shop/1"), (4, "shop/1"), (5, "shop/3"), (90, "shop/3")]
)
def test_a_day_is_served_by_the_last_decision_in_effect(today, key):
    entry = serving_as_of(ENTRIES, day(today))
    assert (entry and entry["key"]) == key
    assert len(in_effect(ENTRIES, day(today))) == {None: 0, "shop/1": 1, "shop/3": 3}[key]


def test_without_a_decision_nobody_serves():
    assert serving_as_of([], day(1)) is None


@pytest.mark.parametrize(
    ("outcome", "gate", "asked", "serving", "said"),
    [
        ("promoted", "comparison", "schedule", {"champion": NEW, "previous": OLD},
         "Promoted: version 9 replaces version 3; log-loss -0.0041 [-0.0102, +0.0020] against it; asked for by the schedule."),
        ("promoted", "comparison", "hand", {"champion": NEW, "previous": None},
         "Promoted: version 9 is the first champion; log-loss is under the baseline's; asked for by hand."),
        ("promoted", "comparison", "schedule", {"champion": NEW, "previous": None, "first": FIRST},
         "Promoted: version 9 is champion, where there was none any more; log-loss is under the baseline's; asked for by the schedule."),
        ("kept", "beats_baseline", "sensor: drift", {"champion": OLD, "previous": FIRST},
         "Kept: version 9 does not pass beats_baseline, version 3 stays champion; log-loss is under the baseline's; "
         "asked for by a trigger (drift)."),
        ("held", "comparison", "schedule", {"champion": None, "previous": None},
         "Held: version 9 does not pass comparison, there is still no champion; refresh: judged; asked for by the schedule."),
        ("held", "comparison", "schedule", {"champion": None, "previous": None, "baseline": UNFIT},
         "Held: version 9 does not pass comparison, there is still no champion, and the heuristic answers: the baseline is not "
         "known to beat it; refresh: judged; asked for by the schedule."),
    ],
)  # fmt: skip
def test_a_decision_reads_like_a_sentence(outcome, gate, asked, serving, said):
    readings = [
        {"name": "beats_baseline", "sentence": "Log-loss is under the baseline's."},
        {"name": "comparison", "sentence": "Refresh: judged.", "value": -0.0041, "low": -0.0102, "high": 0.002},
    ]
    entry = {"decision": outcome, "deciding_gate": gate, "requested_by": asked, "candidate": NEW}
    entry |= {"serving": serving, "gates": readings}
    assert sentence(entry) == said
    twins = entry | {"candidate": NEW | {"twin": OLD}}
    assert sentence(twins) == said.replace("against it", "between their twins")


def test_a_version_is_judged_as_its_twin_and_without_one_as_itself():
    assert judged(NEW | {"twin": OLD}) == OLD
    assert judged(NEW) == NEW


def test_a_day_before_the_newest_decision_cannot_be_decided():
    with pytest.raises(LedgerError, match="2024-01-02 cannot be decided any more, 2024-01-03 was"):
        refuse_older_day([{"as_of": "2024-01-03"}], "2024-01-02")
    refuse_older_day([{"as_of": "2024-01-03"}], "2024-01-03")
