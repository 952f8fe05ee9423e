import pytest

from evergreen.approval import Answer, answer
from evergreen.digests import digest_file
from evergreen.errors import StageError
from evergreen.promotion import AWAITING, IN_SHADOW, PROMOTED, SUPERSEDED, sentence, serving_after
from evergreen.rollback import state_after
from evergreen.waits import after_gates, waiting, waits_of
from tests.evergreen.builders import day, scored_days, shop

AT = "2024-02-01T00:00:00+00:00"
ASKING = {"gates": {"approval": "required"}}
SHADOWING = {"shadow": {"days": 3}}
CHAMPION, OTHER, BASELINE = {"version": 2}, {"version": 4}, {"version": 90}
GATES = [
    {"name": "beats_baseline", "sentence": "Log-loss is under the baseline's."},
    {"name": "comparison", "sentence": "Judged.", "value": -0.004, "low": -0.01, "high": 0.002},
]


@pytest.mark.parametrize(
    ("changes", "before", "outcome"),
    [
        ({}, {"champion": CHAMPION}, PROMOTED),
        (ASKING, {"champion": CHAMPION}, AWAITING),
        (ASKING, {}, AWAITING),
        (ASKING, {"champion": CHAMPION, "awaiting": OTHER}, AWAITING),
        (SHADOWING, {"champion": CHAMPION}, IN_SHADOW),
        (SHADOWING | ASKING, {"champion": CHAMPION}, IN_SHADOW),
        (SHADOWING | ASKING, {"champion": CHAMPION, "awaiting": OTHER}, IN_SHADOW),
        (SHADOWING, {"champion": CHAMPION, "shadow": OTHER}, SUPERSEDED),
        (SHADOWING, {}, PROMOTED),
        (SHADOWING | ASKING, {"champion": None}, AWAITING),
        ({}, {"champion": CHAMPION, "shadow": OTHER}, PROMOTED),
    ],
    ids=[
        "at once",
        "a person is asked",
        "of a first champion too",
        "a newer one takes the place",
        "shadow",
        "shadow first",
        "instead of one that awaits",
        "one at a time",
        "nobody to be in shadow of",
        "then a person",
        "shadow was turned off",
    ],
)
def test_what_becomes_of_a_candidate_that_passes_every_gate(changes, before, outcome):
    assert after_gates(PROMOTED, before, shop(changes)) == outcome


@pytest.mark.parametrize("outcome", ["kept", "held"])
def test_what_a_gate_refuses_waits_for_nobody(outcome):
    assert after_gates(outcome, {"champion": CHAMPION}, shop(ASKING | SHADOWING)) == outcome


@pytest.fixture
def store(tmp_path):
    """Four scored days; version 2 is champion, and a file and a recipe of versions 2, 4 and 6 are there."""
    store = scored_days(tmp_path, 4)
    decided(store, 2, PROMOTED)
    return store


def decided(store, version, outcome, first=5):
    """The entry of a candidate of this version; its state follows from the one before."""
    path = store.root / str(version)
    path.write_text(f"model {version}")
    record = {"version": version, "digest": digest_file(path), "as_of": str(day(3))}
    store.model_path(record["digest"]).parent.mkdir(exist_ok=True)
    path.rename(store.model_path(record["digest"]))

    def content(entries):
        before = entries[-1]["serving"] if entries else {}
        told = {"as_of": str(day(version)), "decision": outcome, "deciding_gate": "comparison", "gates": GATES}
        state = serving_after(outcome, before, record, BASELINE, 0.3)
        return told | {
            "effective_from": str(day(first)),
            "requested_by": "schedule",
            "candidate": record,
            "serving": state,
        }

    return store.ledger("promotions").append(f"shop/{day(version)}", content)


def say(store, yes, decision=None, identity="a", reason="read the card", by="ann", changes=ASKING):
    said = Answer(identity, yes, decision, reason, by)
    return answer(store.ledger("promotions"), store, shop(changes), said, AT, lambda record: None)


def versions(entry):
    roles = ("champion", "previous", "shadow", "awaiting")
    return [(entry["serving"][role] or {}).get("version") for role in roles]


def test_a_yes_promotes_once_from_the_first_day_not_yet_scored(store):
    asked = decided(store, 4, AWAITING)
    assert versions(asked) == [2, None, None, 4]
    assert sentence(asked) == (
        "Awaiting approval: version 4 waits for a person's yes or no, version 2 stays champion; "
        "log-loss -0.0040 [-0.0100, +0.0020] against it; asked for by the schedule."
    )
    entry = say(store, True)
    assert say(store, True) == entry, "the same answer"
    assert versions(entry) == [4, 2, None, None]
    names = ("key", "kind", "as_of", "effective_from", "decided", "at")
    assert [entry[name] for name in names] == [
        "shop/approval/a", "approval", str(day(4)), str(day(5)), asked["key"], AT,
    ]  # fmt: skip
    assert sentence(entry) == "Promoted: version 4 replaces version 2; read the card; asked for by hand (ann)."
    with pytest.raises(StageError, match=r"no candidate of shop waits; version 4 was promoted \(hand \(ann\)\)"):
        say(store, False, identity="b")


def test_a_no_leaves_serving_as_it_is(store):
    decided(store, 4, AWAITING)
    entry = say(store, False, reason="The slice is too dear.")
    assert versions(entry) == [2, None, None, None]
    assert sentence(entry) == (
        "Refused: version 4 is not promoted, version 2 stays champion; The slice is too dear; asked for by hand (ann)."
    )


def test_a_newer_candidate_takes_the_place_of_one_that_awaits_and_a_refused_one_does_not(store):
    old = decided(store, 4, AWAITING)
    assert versions(decided(store, 5, "kept")) == [2, None, None, 4]
    new = decided(store, 6, AWAITING, first=8)
    with pytest.raises(StageError, match=rf"{old['key']} does not wait, {new['key']} \(version 6\) does"):
        say(store, True, decision=old["key"])
    for number in (5, 6, 7, 8):
        store.write("predictions", day(number), store.read("batch", day(4)))
    assert versions(say(store, True, decision=new["key"])) == [6, 2, None, None]
    assert [(one.version, one.stage, one.first, one.days, one.ended, one.ended_at) for one in waits(store)] == [
        (4, "approval", day(5), 3, "superseded", None),
        (6, "approval", day(8), 1, "promoted", AT),
    ]


def waits(store):
    return waits_of(store.ledger("promotions").entries())


def test_a_rollback_ends_the_wait_since_the_champion_it_was_judged_against_is_gone(store):
    decided(store, 4, PROMOTED)
    decided(store, 6, AWAITING)
    entries = store.ledger("promotions").entries()
    state = state_after(entries, 2)
    assert waiting([*entries, {"kind": "rollback", "serving": state}]) is None


def test_in_shadow_a_no_is_taken_and_a_yes_is_not(store):
    decided(store, 4, IN_SHADOW)
    with pytest.raises(StageError, match="version 4 is still in shadow, for 3 whole mature days; it can be refused"):
        say(store, True, changes=SHADOWING)
    assert versions(say(store, False, changes=SHADOWING)) == [2, None, None, None]


@pytest.mark.parametrize(("reason", "by"), [(" ", "ann"), ("good", " ")])
def test_an_answer_has_a_name_and_a_reason(store, reason, by):
    decided(store, 4, AWAITING)
    with pytest.raises(StageError, match="an answer needs a name and a reason"):
        say(store, True, reason=reason, by=by)


def test_without_a_candidate_that_waits_there_is_nothing_to_answer(store):
    with pytest.raises(StageError, match="no candidate of shop waits; nobody has waited yet"):
        say(store, True)
