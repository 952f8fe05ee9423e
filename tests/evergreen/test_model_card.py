import pytest

from evergreen.model_card import render
from tests.evergreen.builders import shop

GATE = {"name": "beats_baseline", "role": "hard", "verdict": "pass", "sentence": "It is better | by far."}
OLD = {"version": 1, "recipe": "r", "commit": "c", "trained_through": "2024-01-01"}
NEW = {"version": 2, "recipe": "r", "commit": "d", "trained_through": "2024-01-05", "digest": "abc", "threshold": 0.2}
ENTRY = {
    "decision": "promoted",
    "requested_by": "schedule",
    "candidate": NEW,
    "serving": {"champion": NEW, "previous": None},
    "training": {"rows": 1234, "first_day": "2024-01-01", "last_day": "2024-01-05", "digest": "t-digest"},
    "evaluation": {"days": ["2024-01-06", "2024-01-07"], "version": 3, "digest": "e-digest"},
    "gates": [GATE, GATE | {"name": "comparison", "sentence": "The first."}],
}
MEANS = {"rows": 200, "log_loss": 0.5, "roc_auc": None, "expected_cost": 1.25, "calibration_gap": 0.01}


def line(day, scorer, loss, name="all", rows=100):
    return {"day": day, "slice": name, "scorer": scorer, "log_loss": loss, "rows": rows, "expected_cost": 1.0}


CARD = [
    *(line(day, "candidate", loss) for day, loss in (("2024-01-06", 0.4), ("2024-01-07", 0.6))),
    *(line(day, "champion", 0.7) for day in ("2024-01-06", "2024-01-07")),
    *(line(day, "candidate", 0.5, "color=red") for day in ("2024-01-06", "2024-01-07")),
    line("2024-01-06", "candidate", 0.5, "color=blue", rows=3),
]
REPORT = {"card": CARD, "summary": {"candidate": MEANS, "champion": MEANS}, "coverage": 0.98, "champion": OLD}


@pytest.mark.parametrize(
    "said",
    [
        "# shop, version 2\n\nPromoted: version 2 is the first champion; it is better | by far; asked for by the schedule.",
        "**Question:** Will the order come back?",
        "**Owner:** team:shop",
        "A prediction is made 2h before the event.",
        "Trained on 1,234 rows of 2024-01-01 to 2024-01-05 (digest t-digest).",
        "Judged on 2 later days, 2024-01-06 to 2024-01-07: version 3 of the evaluation set (digest e-digest).",
        "| candidate | 0.5000 | – | 1.2500 | 0.0100 | – |",
        "| champion | 0.5000 | – | 1.2500 | 0.0100 | -0.2000 [",
        "| color=red | 200 | 0.5000 | 1.0000 |",
        "1 slices have under 100 rows: nothing is said of them.",
        "| beats_baseline | hard | pass | It is better \\| by far. |",
        "The action is taken from a score of 0.2000 on",
        "98.0% of the mature rows had a label",
        "Against version 1: the same recipe, code d, was c, trained through 2024-01-05, was 2024-01-01.",
    ],
)
def test_a_card_says_what_was_recorded(said):
    assert said in render(ENTRY, OLD, REPORT, shop())


def test_a_refitted_versions_card_says_what_it_learnt_from_and_what_was_judged():
    refit = {"rows": 2000, "first_day": "2024-01-01", "last_day": "2024-01-07", "digest": "r-digest"}
    card = render(ENTRY | {"refit": refit, "candidate": NEW | {"twin": {"version": 1}}}, OLD, REPORT, shop())
    assert "Trained on 2,000 rows of 2024-01-01 to 2024-01-07 (digest r-digest)." in card
    assert (
        "its twin, version 1: the same recipe, trained on 1,234 rows of 2024-01-01 to 2024-01-05 (digest t-digest)."
        in card
    )


def test_a_card_says_where_the_heuristic_stands_in_for_the_baseline():
    weak = {"version": 1, "against_prior": {"verdict": "fail", "sentence": "The linear baseline's loss is not under."}}
    card = render(ENTRY | {"serving": ENTRY["serving"] | {"baseline": weak}}, OLD, REPORT, shop())
    assert "the heuristic answers, and not the baseline: The linear baseline's loss is not under." in card
    assert "the heuristic answers" not in render(ENTRY, OLD, REPORT, shop())


def test_the_first_version_has_nothing_to_differ_from():
    assert "There was no champion before it." in render(ENTRY, None, REPORT, shop())
