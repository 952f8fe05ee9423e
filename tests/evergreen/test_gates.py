from dataclasses import asdict, replace

import pandas as pd
import pytest

from evergreen import gates
from evergreen.gates import Evidence, Gate, judge
from evergreen.statistics import mean_interval
from tests.evergreen.builders import day, shop

BASE = {"expected_cost": 1.0, "squared_error": 0.2, "label": 0.3, "score": 0.3, "calibration_gap": 0.01}
NOT_ENOUGH = "not enough evidence"


def lines(scorer, values, measure="log_loss", slice_name="all", rows=1000):
    """The score card's lines of one scorer, a day for each value."""
    return [
        {"day": pd.Timestamp(day(number)), "slice": slice_name, "scorer": scorer, "rows": rows, "log_loss": 0.5}
        | BASE
        | {measure: value}
        for number, value in enumerate(values, start=1)
    ]


def evidence(candidate, champion=None, baseline=(), prior=(), measure="log_loss", **changes):
    """Evidence in which all scorers but those that are given lie at .6, the baselines, or are absent, the champion."""
    days = len(candidate)
    card = lines("candidate", candidate, measure)
    card += lines("baseline", baseline or [0.6] * days) + lines("prior", prior or [0.6] * days)
    card += lines("champion", champion, measure) if champion else []
    defaults = {
        "ranking": pd.DataFrame({"candidate": [0.7] * days, "champion": [0.7] * days}),
        "coverage": 1.0,
        "reload_error": None,
        "empty_inputs": [],
        "trained_through": "2023-12-31",
        "champion_trained_through": "2023-12-24" if champion else None,
        "trained_ids_compared": 10,
        "latency_p99": 0.01,
        "model_bytes": 1_000_000,
        "new_process": 2.1,
    }
    return Evidence(pd.DataFrame(card), **(defaults | changes))


def sliced(slices, rows=1000, **changes):
    """Evidence in which `slices` maps a slice to the daily losses of candidate and champion."""
    made = evidence([0.5] * 3, [0.5] * 3)
    more = [
        line
        for name, (candidate, champion) in slices.items()
        for line in lines("candidate", candidate, slice_name=name, rows=rows)
        + lines("champion", champion, slice_name=name, rows=rows)
    ]
    return replace(made, card=pd.concat([made.card, pd.DataFrame(more)], ignore_index=True), **changes)


def test_inputs_and_age_are_those_of_what_ships_and_serves():
    training = {"last_day": "2024-01-05", "empty_inputs": ["amount"]}
    refit = {"last_day": "2024-01-07", "empty_inputs": []}
    report = asdict(evidence([0.5], [0.5])) | {"champion": {"trained_through": "2024-01-06", "twin": {"version": 1}}}

    alone, again = (gates.evidence_of(report, training | {"refit": made}) for made in (None, refit))

    assert (alone.trained_through, alone.empty_inputs) == ("2024-01-05", ["amount"])
    assert (again.trained_through, again.empty_inputs) == ("2024-01-07", [])
    assert again.champion_trained_through == "2024-01-06"


@pytest.mark.parametrize(
    ("error", "verdict"), [(None, "pass"), ("its scores differ", "fail"), ("file.skops is missing", "fail")]
)
def test_reloads(error, verdict):
    gate = gates.reloads(evidence([0.5], reload_error=error), shop())
    assert (gate.role, gate.verdict) == ("hard", verdict)
    assert (error or "the same scores") in gate.sentence


@pytest.mark.parametrize(
    ("found", "verdict", "why"),
    [
        (2.1, "pass", "the same scores"),
        ("its scores differ", "fail", "its scores differ"),
        (None, NOT_ENOUGH, "No new process"),
    ],
)
def test_a_new_process_must_answer_alike(found, verdict, why):
    gate = gates.new_process(evidence([0.5], new_process=found), shop())
    assert (gate.role, gate.verdict, gate.blocks) == ("hard", verdict, verdict != "pass")
    assert why in gate.sentence


@pytest.mark.parametrize(("empty", "verdict"), [([], "pass"), (["amount"], "fail"), (["amount", "color"], "fail")])
def test_inputs_refuses_a_column_that_fell_silent(empty, verdict):
    gate = gates.inputs(evidence([0.5], empty_inputs=empty), shop())
    assert (gate.role, gate.verdict, gate.value, gate.bound) == ("hard", verdict, len(empty), 0.0)
    assert ", ".join(empty) in gate.sentence


@pytest.mark.parametrize(
    ("candidate", "champion", "verdict"),
    [
        ("2024-01-08", "2024-01-01", "pass"),
        ("2024-01-01", "2024-01-01", "pass"),
        ("2023-12-31", "2024-01-01", "fail"),
        ("2023-12-31", None, "pass"),
    ],
    ids=["newer", "tie", "older", "no champion"],
)
def test_newer_data(candidate, champion, verdict):
    found = evidence([0.5], trained_through=candidate, champion_trained_through=champion)
    gate = gates.newer_data(found, shop())
    assert (gate.role, gate.verdict, gate.blocks) == ("hard", verdict, verdict == "fail")


@pytest.mark.parametrize(("compared", "verdict"), [(10, "pass"), (0, NOT_ENOUGH)])
def test_clean_judge_passes_only_what_was_compared(compared, verdict):
    """An overlap raises before any gate (`evaluation.refuse_overlap`); here, nothing compared is nothing known."""
    assert gates.clean_judge(evidence([0.5], trained_ids_compared=compared), shop()).verdict == verdict


@pytest.mark.parametrize(
    ("candidate", "baseline", "prior", "verdict", "nearer"),
    [
        ([0.5, 0.5], [0.6, 0.6], [0.7, 0.7], "pass", 0.6),
        ([0.5, 0.5], [0.7, 0.7], [0.6, 0.6], "pass", 0.6),
        ([0.4, 0.7], [0.6, 0.6], [0.7, 0.7], "pass", 0.6),
        ([0.5, 0.5], [0.5, 0.5], [0.7, 0.7], "fail", 0.5),
        ([0.5, 0.9], [0.6, 0.6], [0.7, 0.7], "fail", 0.6),
        ([0.5, 0.5], [0.4, 0.4], [0.7, 0.7], "fail", 0.4),
        ([0.5, 0.5], [0.7, 0.7], [0.4, 0.4], "fail", 0.4),
    ],
    ids=[
        "better",
        "better, other order",
        "better on the mean day",
        "tie",
        "over, unproven",
        "worse than linear",
        "worse than prior",
    ],
)
@pytest.mark.parametrize("champion", [None, [0.9, 0.9]], ids=["a first model", "a refresh of a poor champion"])
def test_nothing_ships_that_does_not_beat_both_baselines(candidate, baseline, prior, verdict, nearer, champion):
    gate = gates.beats_baseline(evidence(candidate, champion, baseline, prior), shop())
    differences = mean_interval([value - nearer for value in candidate], 0.95)
    assert (gate.role, gate.verdict, gate.bound, gate.blocks) == ("hard", verdict, 0.0, verdict == "fail")
    assert (gate.value, gate.low, gate.high) == pytest.approx((differences.mean, differences.low, differences.high))
    assert f"is {'under' if verdict == 'pass' else 'not under'} both the linear" in gate.sentence


@pytest.mark.parametrize(
    ("baseline", "prior", "coverage", "verdict"),
    [
        ([0.5, 0.6], [0.6, 0.6], 1.0, "pass"),
        ([0.4, 0.7], [0.6, 0.6], 1.0, "pass"),
        ([0.6, 0.6], [0.6, 0.6], 1.0, "fail"),
        ([0.5, 0.9], [0.6, 0.6], 1.0, "fail"),
        ([0.5, 0.5], [0.6, 0.6], 0.5, NOT_ENOUGH),
        ([0.5, 0.5], [0.6, 0.6], None, NOT_ENOUGH),
    ],
    ids=["under", "under on the mean day", "tie", "over", "labels are missing", "no mature row"],
)
def test_a_baseline_is_judged_against_the_prior(baseline, prior, coverage, verdict):
    """Whatever the candidate is worth; and no candidate is decided by it."""
    gate = gates.against_prior(evidence([0.1, 0.1], baseline=baseline, prior=prior, coverage=coverage), shop())
    assert gate.verdict == verdict
    assert gate.name not in {one.__name__ for one in gates.GATES}
    if verdict != NOT_ENOUGH:
        assert (gate.value, gate.bound) == pytest.approx((sum(baseline) / 2, 0.6))


def test_without_a_judging_row_a_baseline_is_not_found_to_be_under_the_prior():
    empty = replace(evidence([0.5]), card=evidence([0.5]).card.iloc[:0])
    assert gates.against_prior(empty, shop()).verdict == NOT_ENOUGH


COSTLY, CHEAP = [1.9, 2.0, 2.1], [0.9, 1.0, 1.1]


def ranked(lost, champion=0.7, **changes):
    """Evidence in which the candidate ranks worse than the champion by so much on each day."""
    ranking = pd.DataFrame({"candidate": [champion - loss for loss in lost], "champion": champion})
    return evidence([0.5] * len(lost), [0.5] * len(lost), ranking=ranking, **changes)


@pytest.mark.parametrize(
    ("lost", "verdict"),
    [
        ([-0.02, -0.03, -0.01, -0.02], "pass"),
        ([0.0, 0.0, 0.0, 0.0], "pass"),
        ([0.004, 0.006, 0.005, 0.005], "pass"),
        ([0.01, 0.01, 0.01, 0.01], "fail"),
        ([0.02, -0.02, 0.02, -0.02], "fail"),
        ([0.03, 0.04, 0.03, 0.04], "fail"),
    ],
    ids=["better", "tie", "proven worse, but by little", "on the bound", "unknown: it could be much", "much worse"],
)
def test_a_great_loss_of_ranking_must_be_excluded(lost, verdict):
    gate = gates.ranking(ranked(lost), shop())
    assert (gate.role, gate.verdict, gate.bound) == ("primary", verdict, 0.01)
    assert gate.value == pytest.approx(sum(lost) / 4)
    assert (gate.high < 0.01) is (verdict == "pass")


def test_the_loss_of_ranking_is_excluded_on_one_side_with_the_declared_confidence():
    """Of 0, .01, .02: mean .01, s = .01, and t(.95, 2) = 2.919986 of s / sqrt(3)."""
    gate = gates.ranking(ranked([0.0, 0.01, 0.02]), shop())
    assert gate.high == pytest.approx(0.01 + 2.919986 * 0.01 / 3**0.5, abs=1e-7)


def test_a_first_model_has_no_ranking_to_lose():
    assert gates.ranking(evidence([0.5]), shop()).verdict == "pass"


@pytest.mark.parametrize(
    ("candidate", "champion", "verdict"),
    [
        (CHEAP, None, "pass"),
        ([1.8, 1.8, 1.8], None, "pass"),
        (COSTLY, None, "fail"),
        (CHEAP, [0.5, 0.6, 0.7], "pass"),
        (COSTLY, [1.9, 2.0, 2.1], "pass"),
        (COSTLY, [2.0, 2.1, 2.2], "pass"),
        (COSTLY, [1.8, 1.95, 2.3], "pass"),
        (COSTLY, [1.8, 1.9, 2.0], "fail"),
    ],
    ids=[
        "first, within",
        "first, on the bound",
        "first, over",
        "refresh within, though worse",
        "refresh over, tie",
        "refresh over, better",
        "refresh over, unproven",
        "refresh over, proven worse",
    ],
)
def test_good_enough(candidate, champion, verdict):
    gate = gates.good_enough(evidence(candidate, champion, measure="expected_cost"), shop())
    assert (gate.role, gate.verdict, gate.bound) == ("hard", verdict, 1.8)
    assert gate.value == pytest.approx(sum(candidate) / 3)


def test_good_enough_bounds_the_metric_that_the_product_names():
    product = shop({"decision": {"good_enough": {"metric": "log_loss", "at_most": 0.55}}})
    assert gates.good_enough(evidence([0.5, 0.54]), product).verdict == "pass"
    assert gates.good_enough(evidence([0.5, 0.64]), product).verdict == "fail"


def test_a_first_model_has_nothing_to_be_compared_with():
    gate = gates.comparison(evidence([0.5]), shop())
    assert (gate.role, gate.verdict, gate.value, gate.blocks) == ("primary", "pass", None, False)


REFERENCE = [0.50, 0.55, 0.45, 0.52]


@pytest.mark.parametrize(
    ("difference", "verdict"),
    [
        ([-0.01, -0.011, -0.009, -0.01], "pass"),
        ([0.0, 0.0, 0.0, 0.0], "pass"),
        ([0.03, -0.02, 0.01, -0.01], "pass"),
        ([0.01, 0.011, 0.009, 0.01], "fail"),
        ([0.2, -0.1, 0.15, -0.05], "fail"),
    ],
    ids=["better", "tie", "worse, unproven", "proven worse", "unproven, but by more than any refresh may"],
)
def test_a_refresh_is_refused_on_proven_or_large_harm_only(difference, verdict):
    candidate = [loss + change for loss, change in zip(REFERENCE, difference, strict=True)]
    gate = gates.comparison(evidence(candidate, REFERENCE), shop())
    assert (gate.role, gate.verdict, gate.bound) == ("primary", verdict, 0.02)
    assert gate.value == pytest.approx(sum(difference) / 4)
    assert gate.sentence.startswith("Refresh: log-loss differs by ")
    assert f"a difference of {gate.smallest_effect:.4f} would have been seen" in gate.sentence


@pytest.mark.parametrize(
    ("rule", "difference", "verdict"),
    [
        ("superiority", -0.01, "pass"),
        ("superiority", 0.0, "fail"),
        ("superiority", 0.01, "fail"),
        ("non_inferiority", -0.01, "pass"),
        ("non_inferiority", 0.0, "pass"),
        ("non_inferiority", 0.001, "pass"),
        ("non_inferiority", 0.002, "fail"),
        ("non_inferiority", 0.01, "fail"),
    ],
)
def test_a_change_of_recipe_must_prove_itself(rule, difference, verdict):
    """Equal daily differences make an interval without width: the rule alone decides."""
    product = shop({"gates": {"change": {"rule": rule, "margin": 0.002, "days": "4d"}}})
    days = pd.DataFrame({"candidate": [difference] * 4, "champion": [0.0] * 4})
    gate = gates.comparison(evidence([0.5], [0.5], change=days), product)
    assert (gate.role, gate.verdict) == ("primary", verdict)
    assert gate.sentence.startswith(f"Change of recipe: log-loss differs by {difference:+.4f}")


def test_a_change_that_is_better_on_the_mean_but_not_proven_so_is_refused():
    product = shop({"gates": {"change": {"days": "4d"}}})
    days = pd.DataFrame({"candidate": [-0.1, 0.06, -0.05, 0.04], "champion": [0.0] * 4})
    gate = gates.comparison(evidence([0.5], [0.5], change=days), product)
    assert gate.value < 0
    assert gate.verdict == "fail"


@pytest.mark.parametrize("days", [0, 1, 27])
def test_a_change_with_too_few_prequential_days_is_held_however_good_it_looks(days):
    change = pd.DataFrame({"candidate": [0.1] * days, "champion": [0.9] * days})
    gate = gates.comparison(evidence([0.5], [0.5], change=change), shop())
    assert (gate.verdict, gate.value, gate.blocks) == (NOT_ENOUGH, None, True)
    assert f"{days} prequential days of both recipes, 28 are needed; held" in gate.sentence


WORSE, SAME, BETTER = ([0.6, 0.61, 0.59], [0.5] * 3), ([0.5] * 3, [0.5] * 3), ([0.4, 0.41, 0.39], [0.5] * 3)


@pytest.mark.parametrize(
    ("found", "verdict", "worst"),
    [
        ({"color=red": BETTER, "color=blue": BETTER}, "pass", None),
        ({"color=red": SAME, "color=blue": BETTER}, "pass", "color=red"),
        ({"color=red": WORSE, "color=blue": BETTER}, "fail", "color=red"),
        ({"color=red": ([0.9, 0.2, 0.6], [0.5] * 3)}, "pass", "color=red"),
    ],
    ids=["better", "tie", "one worse", "worse, unproven"],
)
def test_slices(found, verdict, worst):
    gate = gates.slices(sliced(found), shop())
    assert (gate.role, gate.verdict, gate.bound) == ("guard", verdict, 0.0)
    assert gate.sentence.startswith(f"Of {len(found)} slices, {worst or ''}")


def test_a_slices_harm_must_be_proven_the_more_slices_are_looked_at():
    """The same harm is proven alone and unproven among eleven."""
    harmed = {"color=red": ([0.525, 0.53, 0.535], [0.5] * 3)}
    others = {f"color={number}": SAME for number in range(10)}
    assert gates.slices(sliced(harmed), shop()).verdict == "fail"
    assert gates.slices(sliced(harmed | others), shop()).verdict == "pass"


@pytest.mark.parametrize(("rows", "verdict"), [(33, NOT_ENOUGH), (34, "fail")])
def test_a_slice_with_too_few_rows_is_not_judged(rows, verdict):
    """Three days of 33 rows are one short of the hundred that the shop demands."""
    assert gates.slices(sliced({"color=red": WORSE}, rows=rows), shop()).verdict == verdict


@pytest.mark.parametrize(
    ("candidate", "champion", "verdict"),
    [
        ([0.01, 0.012, 0.011], [0.02, 0.021, 0.02], "pass"),
        ([0.02, 0.02, 0.02], [0.02, 0.02, 0.02], "pass"),
        ([0.05, 0.0, 0.06], [0.02, 0.02, 0.02], "pass"),
        ([0.05, 0.051, 0.049], [0.02, 0.021, 0.02], "fail"),
    ],
    ids=["narrower", "tie", "wider, unproven", "proven wider"],
)
def test_calibration(candidate, champion, verdict):
    gate = gates.calibration(evidence(candidate, champion, measure="calibration_gap"), shop())
    assert (gate.role, gate.verdict, gate.bound) == ("guard", verdict, 0.0)


def test_a_wider_gap_must_be_proven_the_more_slices_are_looked_at():
    """The same gap is proven alone and unproven beside eleven slices."""
    wider = evidence([0.045, 0.05, 0.055], [0.02] * 3, measure="calibration_gap")
    watched = [line for number in range(11) for line in lines("champion", [0.5] * 3, slice_name=f"color={number}")]
    beside = replace(wider, card=pd.concat([wider.card, pd.DataFrame(watched)], ignore_index=True))
    assert gates.calibration(wider, shop()).verdict == "fail"
    assert gates.calibration(beside, shop()).verdict == "pass"


@pytest.mark.parametrize(
    ("candidate", "judged", "trained", "verdict", "value"),
    [
        (0.30, [0.50, 0.60], 0.55, "pass", 0.20),
        (0.30, [0.50, 0.60], 0.61, "fail", 0.26),
        (0.30, [0.80, 0.90], 0.25, "pass", 0.20),
        (0.55, [0.50, 0.60], 0.60, "pass", 0.0),
    ],
    ids=["within", "learnt by heart", "a hard week moves both", "no gap"],
)
def test_overfit(candidate, judged, trained, verdict, value):
    """The candidate's gap over the baseline's, which is judged at .6; the bound is .25."""
    found = evidence(judged, training_log_loss={"candidate": candidate, "baseline": trained})
    gate = gates.overfit(found, shop())
    assert (gate.role, gate.verdict, gate.bound) == ("guard", verdict, 0.25)
    assert gate.value == pytest.approx(value)


@pytest.mark.parametrize(
    ("seconds", "verdict"),
    [(0.001, "pass"), (0.05, "pass"), (0.0501, "fail"), (float("nan"), NOT_ENOUGH), (None, NOT_ENOUGH)],
)
def test_latency(seconds, verdict):
    gate = gates.latency(evidence([0.5], latency_p99=seconds), shop())
    assert (gate.role, gate.verdict) == ("guard", verdict)


@pytest.mark.parametrize(
    ("size", "verdict"), [(99_999_999, "pass"), (100_000_000, "pass"), (100_000_001, "fail"), (None, NOT_ENOUGH)]
)
def test_size(size, verdict):
    gate = gates.size(evidence([0.5], model_bytes=size), shop())
    assert (gate.role, gate.verdict, gate.blocks) == ("guard", verdict, verdict == "fail")


@pytest.mark.parametrize(
    ("gate", "found"),
    [
        (gates.beats_baseline, evidence([0.5])),
        (gates.beats_baseline, evidence([0.5, 0.5], coverage=None)),
        (gates.beats_baseline, evidence([0.5, 0.5], coverage=0.949)),
        (gates.beats_baseline, replace(evidence([0.5]), card=evidence([0.5]).card.iloc[:0])),
        (gates.good_enough, evidence([0.5])),
        (gates.good_enough, evidence([0.5, 0.5], coverage=0.5)),
        (gates.comparison, evidence([0.5], [0.5])),
        (gates.comparison, evidence([0.5, 0.5], [0.5, 0.5], coverage=None)),
        (gates.comparison, evidence([0.5, 0.5], [0.5])),
        (gates.ranking, ranked([0.0])),
        (gates.ranking, ranked([0.0, float("nan")])),
        (gates.ranking, ranked([0.0, 0.0], coverage=0.5)),
        (
            gates.ranking,
            evidence([0.5] * 2, champion_error="it raised", ranking=pd.DataFrame({"candidate": [0.7] * 2})),
        ),
        (gates.slices, evidence([0.5, 0.5])),
        (gates.slices, evidence([0.5, 0.5], [0.5, 0.5])),
        (gates.slices, sliced({"color=red": ([0.5], [0.5])})),
        (gates.calibration, evidence([0.5, 0.5])),
        (gates.calibration, evidence([0.5], [0.5])),
        (gates.overfit, evidence([0.5])),
        (gates.overfit, evidence([0.5], coverage=None, training_log_loss={"candidate": 0.1, "baseline": 0.6})),
    ],
)
def test_missing_evidence_is_never_a_number(gate, found):
    """Hard and primary gates are held by it; a guard shows it and lets pass."""
    reading = gate(found, shop())
    assert reading.verdict == NOT_ENOUGH
    assert (reading.value, reading.low, reading.high, reading.bound, reading.smallest_effect) == (None,) * 5
    assert reading.blocks is (reading.role != "guard")


def test_coverage_just_at_the_bound_is_enough():
    assert gates.beats_baseline(evidence([0.5, 0.5], coverage=0.95), shop()).verdict == "pass"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("slices", sliced({"color=red": WORSE})),
        ("calibration", evidence([0.05] * 3, [0.01] * 3, measure="calibration_gap")),
        ("overfit", evidence([0.5], training_log_loss={"candidate": 0.01, "baseline": 0.6})),
        ("latency", evidence([0.5], latency_p99=9.0)),
        ("size", evidence([0.5], model_bytes=10**9)),
        ("new_process", evidence([0.5], new_process="its scores differ")),
        ("ranking", ranked([0.03, 0.04])),
    ],
)
def test_a_gate_that_is_disabled_is_recorded_as_off_and_blocks_nothing(name, found):
    """Whatever it would have said."""

    def reading(product):
        return next(gate for gate in judge(found, product) if gate.name == name)

    assert reading(shop()).blocks
    off = reading(shop({"gates": {"disabled": [name]}}))
    assert (off.verdict, off.role, off.value, off.blocks) == ("off", reading(shop()).role, None, False)
    assert "Switched off by gates.disabled" in off.sentence


@pytest.mark.parametrize("role", ["hard", "primary", "guard"])
@pytest.mark.parametrize("verdict", ["pass", "fail", NOT_ENOUGH, "off"])
def test_what_blocks(role, verdict):
    blocks = verdict == "fail" or (verdict == NOT_ENOUGH and role != "guard")
    assert Gate("any", role, verdict, "").blocks is blocks


def test_the_judge_reads_every_gate_in_the_order_in_which_they_decide():
    readings = judge(evidence([0.5] * 3, [0.5] * 3), shop())
    assert [(reading.name, reading.role) for reading in readings] == [
        ("reloads", "hard"),
        ("new_process", "hard"),
        ("inputs", "hard"),
        ("newer_data", "hard"),
        ("clean_judge", "hard"),
        ("beats_baseline", "hard"),
        ("good_enough", "hard"),
        ("comparison", "primary"),
        ("ranking", "primary"),
        ("slices", "guard"),
        ("calibration", "guard"),
        ("overfit", "guard"),
        ("latency", "guard"),
        ("size", "guard"),
    ]
    assert not any(reading.blocks for reading in readings)


def test_a_reading_is_written_down_whole():
    assert Gate("latency", "guard", "pass", "Fast.", value=0.01, bound=0.05).as_dict() == {
        "name": "latency",
        "role": "guard",
        "verdict": "pass",
        "sentence": "Fast.",
        "value": 0.01,
        "low": None,
        "high": None,
        "bound": 0.05,
        "smallest_effect": None,
    }


def test_a_slice_that_is_proven_worse_is_not_hidden_by_a_noisy_one():
    noisy, proven = ([0.9, 0.2, 0.7], [0.5] * 3), ([0.525, 0.53, 0.535], [0.5] * 3)
    gate = gates.slices(sliced({"color=red": noisy, "color=blue": proven}), shop())
    assert gate.verdict == "fail"
    assert "color=blue is proven worse" in gate.sentence


def test_harm_is_looked_for_once_a_slice_and_once_for_calibration():
    found = sliced({"color=red": ([0.525, 0.53, 0.535], [0.5] * 3), "color=blue": ([0.5] * 3, [0.5] * 3)})
    assert gates.slices(found, shop()).low == pytest.approx(mean_interval([0.025, 0.03, 0.035], 0.95, looks=3).low)


@pytest.mark.parametrize(("least", "verdict"), [(99, "fail"), (100, NOT_ENOUGH)])
def test_a_slice_is_judged_from_just_enough_rows_on(least, verdict):
    found = sliced({"color=red": ([0.6, 0.61, 0.59], [0.5] * 3)}, rows=33)
    assert gates.slices(found, shop({"evaluation": {"slice_rows_at_least": least}})).verdict == verdict


def test_a_loss_of_order_on_the_bound_is_not_excluded():
    on_it = evidence([0.5] * 2, [0.5] * 2, ranking=pd.DataFrame({"candidate": [0.0] * 2, "champion": [0.01] * 2}))
    assert gates.ranking(on_it, shop()).verdict == "fail"


def test_overfit_on_the_bound_is_within_it():
    found = evidence([0.5, 0.5], training_log_loss={"candidate": 0.25, "baseline": 0.6})
    assert gates.overfit(found, shop()).verdict == "pass"


def test_a_refresh_on_the_bound_passes():
    found = evidence([1.0, 0.0], [0.25, 0.25])
    assert gates.comparison(found, shop({"gates": {"worse_at_most": 0.25}})).verdict == "pass"


def test_a_champion_that_could_not_be_judged_holds_the_comparison():
    gate = gates.comparison(evidence([0.5], champion_error="it raised"), shop())
    assert (gate.verdict, gate.blocks) == (NOT_ENOUGH, True)
    assert "it raised" in gate.sentence
