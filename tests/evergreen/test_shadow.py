import numpy as np
import pandas as pd
import pytest

from evergreen.as_of import AsOf
from evergreen.promotion import AWAITING, IN_SHADOW, PROMOTED, REFUSED, in_effect, sentence, serving_after
from evergreen.scoring import Scored, predictions
from evergreen.shadow import TABLE, Trial, decide, end, judge, scores_table, trial
from evergreen.storage import Store
from evergreen.waits import waits_of
from tests.evergreen.builders import day, live_days, shop

AT = "2024-02-01T00:00:00+00:00"
TWO_DAYS = {"shadow": {"days": 2}}
ASKING = TWO_DAYS | {"gates": {"approval": "required"}}
CHAMPION, SHADOW, BASELINE = {"version": 2}, {"version": 4}, {"version": 90}
SPREAD = np.linspace(0.1, 0.9, 40)
LOSSES = {"shadow": [0.50, 0.51], "champion": [0.50, 0.50]}


def found(score=SPREAD, champion=SPREAD, latency=0.01, failure="", losses=LOSSES):
    rows = pd.DataFrame({"score": score, "champion": champion, "latency": latency, "failure": failure})
    return Trial(4, "shop/3", rows, pd.DataFrame(losses))


ONE_DAY = {"shadow": [0.5], "champion": [0.5]}
MISSING = np.where(np.arange(40) < 3, np.nan, SPREAD)
CASES = {
    "sound": (found(), PROMOTED, "harm"),
    "too few days": (found(losses=ONE_DAY), None, None),
    "no row yet": (Trial(4, "shop/3", found().rows.iloc[:0], pd.DataFrame({"shadow": [], "champion": []})), None, None),
    "the champion did not answer": (found(champion=np.nan), None, None),
    "a row without a score": (found(score=MISSING, failure="OSError: gone"), REFUSED, "sound_scores"),
    "refused at once for that": (found(score=MISSING, failure="NaN", losses=ONE_DAY), REFUSED, "sound_scores"),
    "slow": (found(latency=0.06), REFUSED, "latency"),
    "slow, and not at its end": (found(latency=0.06, losses=ONE_DAY), None, None),
    "spread otherwise": (found(score=SPREAD**4), REFUSED, "distribution"),
    "proven worse": (found(losses={"shadow": [0.511, 0.5111], "champion": [0.5, 0.5]}), REFUSED, "harm"),
    "worse, unproven": (found(losses={"shadow": [0.49, 0.52], "champion": [0.5, 0.5]}), PROMOTED, "harm"),
    "grossly worse, unproven": (found(losses={"shadow": [0.49, 0.60], "champion": [0.5, 0.5]}), REFUSED, "harm"),
}


@pytest.mark.parametrize("case", CASES)
def test_the_safety_check_refuses_harm_and_waits_for_evidence(case):
    evidence, outcome, deciding = CASES[case]
    decided = decide(judge(evidence, shop(TWO_DAYS)), shop(TWO_DAYS))
    assert (decided and (decided[0], decided[1].name)) == (outcome and (outcome, deciding))


def test_a_trial_of_one_day_has_an_absolute_bound_alone():
    product = shop({"shadow": {"days": 1}})
    harm = judge(found(losses={"shadow": [0.53], "champion": [0.5]}), product)[-1]
    assert (harm.verdict, harm.low, harm.high) == ("fail", None, None)
    assert harm.sentence == "Log-loss differs by +0.0300 on one day from the champion's: worse by more than 0.02."


def test_what_passed_goes_on_to_a_person_where_one_is_asked():
    assert decide(judge(found(), shop(ASKING)), shop(ASKING))[0] == AWAITING


@pytest.fixture
def store(tmp_path):
    """Six days; version 4 is in shadow of version 2 from the fourth on, and on the fifth another rung answered."""
    store, product = Store(tmp_path), shop(TWO_DAYS)
    live_days(store, product, 6)
    for number in range(1, 7):
        rows = store.read("batch", day(number))
        by = "baseline" if number == 5 else "champion"
        made = Scored(np.full(len(rows), 0.4), by, {"version": 90 if number == 5 else 2})
        store.write("predictions", day(number), predictions(rows, made, {}, product, None))
        if number >= 4:
            store.write(
                TABLE, day(number), scores_table(rows.order_id.rename("id"), 4, (np.full(20, 0.3), None), 0.01, product)
            )
    ledger, serving = store.ledger("promotions"), {}
    for number, outcome, record in [(2, PROMOTED, CHAMPION), (3, IN_SHADOW, SHADOW)]:
        serving = serving_after(outcome, serving, record, BASELINE, 0.3)
        told = {"as_of": str(day(number)), "effective_from": str(day(number + 1)), "decision": outcome}
        ledger.append(f"shop/{number}", told | {"requested_by": "schedule", "candidate": record, "serving": serving})
    return store


def seen(store, number):
    view = AsOf(store, shop(TWO_DAYS), day(number))
    return trial(view, in_effect(store.ledger("promotions").entries(), view.day))


@pytest.mark.parametrize(("number", "rows", "losses"), [(4, 20, []), (5, 40, [4]), (6, 60, [4])])
def test_what_is_known_of_it_at_the_end_of_a_day(store, number, rows, losses):
    """A day counts once it is whole and mature, and where both answered."""
    known = seen(store, number)
    assert (known.version, known.decision, len(known.rows)) == (4, "shop/3", rows)
    assert known.losses.index.tolist() == [pd.Timestamp(day(one)) for one in losses]
    assert known.rows.champion.isna().sum() == (20 if number >= 5 else 0)


def test_before_the_decision_nobody_is_in_shadow(store):
    assert seen(store, 3) is None


def finish(store, outcome=PROMOTED, changes=TWO_DAYS):
    known, product = seen(store, 6), shop(changes)
    readings = judge(known, product)
    return end(store.ledger("promotions"), store, product, known, readings, (outcome, readings[-1]), AT)


def test_the_end_is_recorded_once_from_the_first_day_not_yet_scored(store):
    entry = finish(store)
    assert finish(store) == entry
    assert {name: entry[name] for name in ("key", "kind", "decision", "as_of", "effective_from", "decided")} == {
        "key": "shop/3/shadow",
        "kind": "shadow",
        "decision": PROMOTED,
        "as_of": str(day(6)),
        "effective_from": str(day(7)),
        "decided": "shop/3",
    }
    roles = ("champion", "previous", "shadow", "awaiting")
    assert [entry["serving"][role] for role in roles] == [SHADOW, CHAMPION, None, None]
    assert sentence(entry) == (
        "Promoted: version 4 replaces version 2; after 1 whole mature day in shadow, harm: Not enough evidence: 1 whole mature day "
        "that both scored, 2 are needed; asked for by the schedule."
    )
    [stage] = waits_of(store.ledger("promotions").entries())
    assert (stage.stage, stage.first, stage.last, stage.days, stage.ended) == (
        "shadow", day(4), day(6), 3, "promoted",
    )  # fmt: skip


def test_shadow_then_approval_are_two_stages(store):
    assert finish(store, AWAITING, ASKING)["serving"]["awaiting"] == SHADOW
    shadow, approval = waits_of(store.ledger("promotions").entries())
    assert (shadow.ended, approval.stage, approval.decision, approval.first, approval.last) == (
        "awaiting approval", "approval", "shop/3", day(7), None,
    )  # fmt: skip


def test_a_trial_that_another_hand_ended_is_not_ended_again(store):
    entries = store.ledger("promotions").entries()
    gone = entries[-1]["serving"] | {"shadow": None}
    told = {"kind": "rollback", "effective_from": str(day(7)), "decision": "rolled back", "serving": gone}
    store.ledger("promotions").append("shop/rollback/a", told)
    assert finish(store) is None
    assert len(store.ledger("promotions").entries()) == 3
