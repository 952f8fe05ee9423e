from datetime import date

import pandas as pd
import pytest

from evergreen.errors import LedgerError
from evergreen.storage import Store
from evergreen.timeline import timeline
from tests.evergreen.builders import START, day

BASELINE = {"version": 90}
GATES = [{"name": "beats_baseline", "sentence": "It is better."}, {"name": "comparison", "sentence": "Fewer days."}]


def entry(number, first, decision, champion, previous=None, by="schedule"):
    state = {"champion": champion and {"version": champion}, "previous": previous, "baseline": BASELINE}
    told = {
        "candidate": {"version": 8},
        "gates": GATES,
        "deciding_gate": "comparison",
        "withdrawn": 8,
        "reason": "Bad.",
    }
    return {
        "key": f"shop/{number}",
        "digest": f"head-{number}",
        "effective_from": str(day(first)),
        "decision": decision,
        "requested_by": by,
        "serving": state,
        **told,
        **({"kind": "rollback"} if decision == "rolled back" else {}),
    }


ENTRIES = [
    entry(1, 3, "held", None),
    entry(2, 5, "promoted", 8),
    entry(3, 6, "kept", 8),
    entry(4, 7, "promoted", 9),
    entry(5, 7, "rolled back", 8, by="hand (ann)"),
]


def scored(store, number, served_by, version, head):
    table = pd.DataFrame({"served_by": [served_by], "version": [version], "ledger_head": [head]})
    store.write("predictions", day(number), table)


@pytest.fixture
def store(tmp_path):
    store = Store(tmp_path)
    for number, served_by, version, head in [
        (1, "heuristic", 0, ""),
        (3, "baseline", 90, "head-1"),
        (5, "champion", 8, "head-2"),
        (6, "baseline", 90, "head-3"),
    ]:
        scored(store, number, served_by, version, head)
    return store


def test_who_was_meant_to_serve_from_when_to_when_and_who_did(store):
    """A kept champion goes on; a promotion that was rolled back before it served a day has no reign."""
    reigns = timeline(ENTRIES, store, START)
    assert [
        (reign.first, reign.last, reign.served_by, reign.version, reign.moved_by, reign.entry) for reign in reigns
    ] == [
        (day(1), day(2), "heuristic", 0, "nobody", None),
        (day(3), day(4), "baseline", 90, "the schedule", "shop/1"),
        (day(5), None, "champion", 8, "the schedule", "shop/2"),
    ]
    assert [(reign.days, reign.otherwise) for reign in reigns] == [(1, {}), (1, {}), (2, {"baseline v90": 1})]
    assert reigns[2].evidence.startswith("Promoted: version 8 is the first champion; it is better")


def test_a_rollback_begins_a_reign_that_says_who_asked_and_why(store):
    entries = [*ENTRIES[:2], entry(3, 6, "promoted", 9), entry(4, 9, "rolled back", 8, by="hand (ann)")]
    *_, last = timeline(entries, store, START)
    assert (last.first, last.moved_by) == (day(9), "hand (ann)")
    assert last.evidence == "Rolled back: version 8 serves again instead of version 8; Bad; asked for by hand (ann)."


def test_before_the_first_decision_the_heuristic_reigns(tmp_path):
    [reign] = timeline([], Store(tmp_path), date(2024, 1, 1))
    assert (reign.first, reign.last, reign.served_by) == (date(2024, 1, 1), None, "heuristic")


def test_a_ledger_from_whose_end_lines_were_taken_is_told(store):
    """The chain of digests cannot show that; the scored days, which name the entry they were served on, can."""
    with pytest.raises(
        LedgerError, match=r"2 scored day\(s\), the first 2024-01-05, were served on ledger entries that"
    ):
        timeline(ENTRIES[:1], store, START)
