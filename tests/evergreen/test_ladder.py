import pytest

from evergreen.ladder import AGAINST_PRIOR, first_rung, standing, unfit_baseline

CHAMPION, BASELINE = {"version": 3}, {"version": 1}


def judged(verdict):
    return BASELINE | {AGAINST_PRIOR: {"verdict": verdict, "sentence": "Compared."}}


@pytest.mark.parametrize(
    ("serving", "rungs", "first", "why"),
    [
        ({}, [], ("heuristic", 0), None),
        ({"champion": None, "previous": None, "baseline": None}, [], ("heuristic", 0), None),
        ({"champion": CHAMPION, "baseline": judged("pass")}, ["champion", "baseline"], ("champion", 3), None),
        ({"champion": None, "baseline": judged("pass")}, ["baseline"], ("baseline", 1), None),
        ({"champion": None, "baseline": BASELINE}, ["baseline"], ("baseline", 1), None),
        ({"champion": CHAMPION, "baseline": judged("fail")}, ["champion"], ("champion", 3), "Compared."),
        ({"champion": None, "baseline": judged("fail")}, [], ("heuristic", 0), "Compared."),
        ({"champion": None, "baseline": judged("not enough evidence")}, [], ("heuristic", 0), "Compared."),
    ],
    ids=[
        "before the first decision",
        "no model",
        "both",
        "no champion",
        "an earlier release judged no baseline",
        "a weak baseline under a champion",
        "a weak baseline alone",
        "missing evidence is no pass",
    ],
)
def test_a_baseline_has_its_rung_only_where_it_was_found_under_the_prior(serving, rungs, first, why):
    assert list(standing(serving)) == rungs
    assert first_rung(serving) == first
    assert unfit_baseline(serving) == why
