import pytest

from evergreen.digests import digest_file
from evergreen.errors import RollbackError
from evergreen.promotion import refuse_older_day, sentence, serving_after
from evergreen.rollback import Request, choose, roll_back, state_after
from tests.evergreen.builders import day, scored_days, shop

AT = "2024-02-01T00:00:00+00:00"


def record(version):
    return {"version": version, "digest": f"digest-{version}", "as_of": str(day(3)), "threshold": version / 10}


def life(*promoted, baseline=90):
    """The entries of a life that promoted these versions one after the other."""
    entries, serving = [], {}
    for number, version in enumerate(promoted, start=1):
        serving = serving_after("promoted", serving, record(version), record(baseline), 0.3)
        entries.append({"key": f"shop/{number}", "as_of": str(day(number)), "serving": serving})
    return entries


def back(entries, version):
    return [
        *entries,
        {"key": f"shop/rollback/{len(entries)}", "kind": "rollback", "serving": state_after(entries, version)},
    ]


def versions(serving):
    return {role: (serving[role] or {}).get("version") for role in ("champion", "previous", "baseline", "first")} | {
        "withdrawn": serving["withdrawn"]
    }


@pytest.mark.parametrize(
    ("entries", "to", "champion", "previous", "withdrawn"),
    [
        (life(1, 2, 3), 2, 2, 1, [3]),
        (life(1, 2, 3), 1, 1, None, [3]),
        (back(life(1, 2, 3), 2), 1, 1, None, [2, 3]),
        (back(life(1, 2, 3), 2), 3, 3, 1, [2]),
        (life(1, 2), 90, None, None, [2]),
        (back(life(1, 2), 90), 2, 2, 1, []),
    ],
    ids=[
        "the one before",
        "two back",
        "and one more",
        "by hand a withdrawn one comes back",
        "the baseline",
        "and forward",
    ],
)
def test_what_serves_after_a_rollback(entries, to, champion, previous, withdrawn):
    """`previous` is never a withdrawn version, so neither the ladder nor the next rollback falls to one."""
    assert versions(state_after(entries, to)) == {
        "champion": champion,
        "previous": previous,
        "baseline": 90,
        "first": 1,
        "withdrawn": withdrawn,
    }


def test_the_threshold_comes_back_with_the_model():
    assert state_after(life(1, 2), 1)["champion"]["threshold"] == 0.1


def test_the_next_promotion_falls_back_on_what_was_put_back_and_remembers_what_was_withdrawn():
    after = serving_after("promoted", back(life(1, 2), 1)[-1]["serving"], record(5), record(90), 0.3)
    assert versions(after) | {"first": None} == {
        "champion": 5, "previous": 1, "baseline": 90, "first": None, "withdrawn": [2],
    }  # fmt: skip


@pytest.mark.parametrize(
    ("entries", "to", "message"),
    [
        ([], None, "nothing has been decided yet"),
        (
            life(1),
            None,
            r"no version before 1: choose with --to; these can be put back: 90 \(version 90 is the baseline\)",
        ),
        (life(1, 2), 2, "version 2 serves already"),
        (life(1, 2), 7, "version 7 never served; these can be put back: 1, 90"),
        (back(life(1, 2), 1), None, "no version before 1: choose with --to; these can be put back: 2, 90"),
        (back(life(1, 2), 90), 90, "version 90 serves already"),
    ],
)
def test_what_cannot_be_put_back_is_refused_with_what_can(entries, to, message):
    with pytest.raises(RollbackError, match=message):
        choose(entries, to)


def test_back_to_a_baseline_that_may_not_serve_is_back_to_the_heuristic():
    entries = life(1, 2)
    entries[-1]["serving"]["baseline"] |= {
        "against_prior": {"verdict": "fail", "sentence": "It is not under the prior's."}
    }
    assert choose(entries, 90) == 90
    entry = {"kind": "rollback", "decision": "rolled back", "serving": state_after(entries, 90), "withdrawn": 2}
    assert sentence(entry | {"reason": "Wrong.", "requested_by": "hand (ann)"}) == (
        "Rolled back: the heuristic serves instead of version 2; Wrong; asked for by hand (ann)."
    )


def test_a_rollback_is_no_decision_of_its_day():
    """A retrain as of a day before the rollback is still to be decided; one before a decision is not."""
    entries = life(1, 2, 3)
    refuse_older_day([*entries, {"kind": "rollback", "as_of": str(day(9)), "serving": {}}], str(day(4)))


@pytest.fixture
def store(tmp_path):
    """Four scored days; versions 1 and 2 have files, 3 is lost."""
    store = scored_days(tmp_path, 4)
    ledger, serving = store.ledger("promotions"), {}
    for version in (1, 2, 3):
        path = tmp_path / str(version)
        path.write_text(f"model {version}")
        known = record(version) | {"digest": digest_file(path)}
        if version != 3:
            store.model_path(known["digest"]).parent.mkdir(exist_ok=True)
            path.rename(store.model_path(known["digest"]))
        serving = serving_after("promoted", serving, known, record(90), 0.3)
        ledger.append(f"shop/{day(version)}", {"as_of": str(day(version)), "decision": "promoted", "serving": serving})
    return store


def ask(store, to=None, reason="it is wrong", identity="a", fetch=lambda record: None):
    request = Request(identity, to, reason, "hand (ann)")
    return roll_back(store.ledger("promotions"), store, shop(), request, AT, fetch)


def test_a_rollback_is_on_record_once_and_takes_effect_on_the_first_day_not_yet_scored(store):
    entry = ask(store)
    assert ask(store) == entry, "the same request"
    assert {name: entry[name] for name in ("number", "key", "kind", "as_of", "effective_from", "withdrawn", "at")} == {
        "number": 4,
        "key": "shop/rollback/a",
        "kind": "rollback",
        "as_of": str(day(4)),
        "effective_from": str(day(5)),
        "withdrawn": 3,
        "at": AT,
    }
    assert sentence(entry) == (
        "Rolled back: version 2 serves again instead of version 3; it is wrong; asked for by hand (ann)."
    )
    with pytest.raises(RollbackError, match="version 2 serves already"):
        ask(store, to=2, identity="b")
    assert len(store.ledger("promotions").entries()) == 4


def test_a_rollback_without_a_reason_is_refused(store):
    with pytest.raises(RollbackError, match="needs a reason"):
        ask(store, reason=" ")


def test_a_lost_file_is_fetched_and_one_that_stays_lost_or_was_changed_is_refused(store):
    ask(store)
    with pytest.raises(RollbackError, match="of version 3, is missing, and MLflow has another"):
        ask(store, to=3, identity="b")
    fetched = []

    def fetch(wanted):
        fetched.append(wanted["version"])
        store.model_path(wanted["digest"]).write_text("model 3")

    assert ask(store, to=3, identity="b", fetch=fetch)["serving"]["champion"]["version"] == 3
    assert fetched == [3]
    first = store.ledger("promotions").entries()[0]["serving"]["champion"]
    store.model_path(first["digest"]).write_text("another")
    with pytest.raises(RollbackError, match="of version 1, was changed since it was judged"):
        ask(store, to=1, identity="c")


def test_a_version_whose_features_are_lost_is_refused(store):
    store.document_path("training_set", day(3)).unlink()
    with pytest.raises(RollbackError, match="the features of version 2 are not known any more"):
        ask(store)
