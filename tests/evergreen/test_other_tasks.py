"""The shop asks other questions of its orders: what becomes of each (multiclass), and how many days it is on its way (regression)."""

import numpy as np
import pandas as pd
import pytest

from evergreen.as_of import AsOf
from evergreen.config import Product
from evergreen.drift import compare, profile, scores_psi
from evergreen.evaluation import pooled, score_card
from evergreen.evaluation_portions import measure_portions
from evergreen.evaluation_sets import evaluation_manifest
from evergreen.failure_cases import confident_errors
from evergreen.gates import beats_baseline, ranking
from evergreen.heuristics import answer_by_rules
from evergreen.labeling import read_outcomes
from evergreen.product_files import overlay, parse
from evergreen.product_page import facts
from evergreen.promotion import IN_SHADOW, PROMOTED, serving_after
from evergreen.scoring import Scored, predictions
from evergreen.shadow import TABLE, judge, scores_table, trial
from evergreen.storage import Store
from evergreen.tasks import task_of
from evergreen.training import training_manifest
from tests.evergreen.builders import SHOP, at, batch, day, label_day, label_log, live_a_day, orders
from tests.evergreen.test_gates import evidence

FATES = ["kept", "returned", "lost"]
FATE = {
    "task": "multiclass",
    "label": {"when": None, "value": "fate", "classes": FATES},
    "evaluation": {"slice_rows_at_least": 1, "failures": {"log_loss_over": 2.0}},
    "shadow": {"days": 2},
    "heuristic": {
        "before_training": {"kept": 0.5, "returned": 0.3, "lost": 0.2},
        "rules": [{"when": "amount > 5", "then": {"class": "lost"}}],
    },
}
DAYS = {
    "task": "regression",
    "label": {"when": None, "value": "arrived_after * 2", "spread": 4.0},
    "training": {"model": {"kind": "linear"}},
    "heuristic": {"before_training": 6, "rules": [{"when": "amount > 5", "then": {"value": 9}}]},
}


def asks(changes, costs):
    return parse(Product, overlay(SHOP, changes) | {"decision": SHOP["decision"] | {"costs": costs}}, "shop")


WHICH = asks(FATE, {"wrong": 1})
HOW_LONG = asks(DAYS, {"over": 1, "under": 3})
BOTH = pytest.mark.parametrize("product", [WHICH, HOW_LONG], ids=["multiclass", "regression"])
SURE = np.array([[0.9, 0.05, 0.05], [0.05, 0.9, 0.05], [0.05, 0.05, 0.9], [0.9, 0.05, 0.05]])


def outcomes(number, ids, **columns):
    return pd.DataFrame({"order_id": ids, "told_at": at(number), **columns})


def test_a_class_that_is_not_declared_and_what_is_no_number_give_no_label():
    due = pd.DataFrame({"id": list("abcd"), "event_time": at(1), "matures_at": at(2)})
    told = outcomes(2, list("abc"), fate=["lost", "eaten", None])
    found = label_day(told, due, label_log({}), WHICH, day(2))
    assert found.set_index("id").label.fillna(-1).to_dict() == {"a": 2.0, "b": -1.0, "c": -1.0, "d": -1.0}
    assert read_outcomes([told], WHICH, day(2)).undetermined == 2
    told = outcomes(2, list("abc"), arrived_after=[1.5, np.inf, np.nan])
    found = label_day(told, due, label_log({}), HOW_LONG, day(2))
    assert found.set_index("id").label.fillna(-1).to_dict() == {"a": 3.0, "b": -1.0, "c": -1.0, "d": -1.0}


def test_the_heuristic_answers_with_shares_and_numbers_and_its_rules_with_certainty():
    placed = batch(WHICH, 1, ["a", "b"], amount=[9.0, 1.0])
    assert answer_by_rules(placed, None, WHICH).scores.tolist() == [[0, 0, 1], [0.5, 0.3, 0.2]]
    learnt = {"kept": 0.8, "returned": 0.1, "lost": 0.1}
    assert answer_by_rules(placed, learnt, WHICH).scores[1].tolist() == [0.8, 0.1, 0.1]
    assert answer_by_rules(placed, learnt, WHICH).rules[1].endswith(": shares of the classes")
    assert answer_by_rules(placed, None, HOW_LONG).scores.tolist() == [9, 6]
    assert answer_by_rules(placed, 7.5, HOW_LONG).rules[1].endswith(": mean label")


@pytest.mark.parametrize(
    ("product", "costs"),
    [
        (HOW_LONG, ["a unit predicted too much: 1 dollars", "a unit predicted too little: 3 dollars"]),
        (asks(FATE, {"wrong": 1, "matrix": {"lost": {"kept": 9}}}),
         ["any wrong class that is not named here: 1 dollars", "lost, decided as kept: 9 dollars"]),
    ],
)  # fmt: skip
def test_the_page_says_what_costs_so_much(product, costs):
    assert facts(product)["What it costs"] == costs


@BOTH
def test_the_card_of_parts_is_the_card_of_the_whole(product):
    task, random = task_of(product), np.random.default_rng(7)
    rows = pd.DataFrame({"day": pd.DatetimeIndex([day(1)] * 6 + [day(2)] * 6), "color": ["red", "blue"] * 6})
    rows["label"] = random.integers(0, 3, 12).astype(float)
    scores = random.dirichlet([1, 1, 1], 12) if product is WHICH else random.normal(2, 1, 12)
    whole = score_card(rows, {"candidate": scores}, product)
    parts = [score_card(rows[part], {"candidate": scores[part]}, product) for part in (slice(0, 5), slice(5, 12))]
    columns = ["slice", "day", "rows", "log_loss", "expected_cost", "calibration_gap"]
    order = ["slice", "day"]
    pd.testing.assert_frame_equal(
        pooled(parts, product)[columns].sort_values(order, ignore_index=True),
        whole[columns].sort_values(order, ignore_index=True),
    )
    measured = task.measure_rows(rows.label.to_numpy()[:6], scores[:6])
    first = whole[(whole.slice == "all") & (whole.day == pd.Timestamp(day(1)))].iloc[0]
    assert first.calibration_gap == pytest.approx(abs(measured.score.mean() - measured.label.mean()) / task.unit)


def test_a_decided_class_drifts_as_a_category():
    """From half kept and half lost to all lost."""
    rows = batch(WHICH, 1, list("abcd"))
    known = profile(rows, WHICH.features, {"amount": 1.0, "color": 0.0}, task_of(WHICH).watched(SURE[[0, 2, 0, 2]]))
    table = compare(known, rows, task_of(WHICH).watched(SURE[[2, 2, 2, 2]])).set_index("feature")
    assert known["features"]["prediction"]["categories"] == ["kept", "lost"]
    assert table.psi["prediction"] > 0.25 > table.psi["color"]
    assert scores_psi(task_of(WHICH).watched(SURE), task_of(WHICH).watched(SURE[::-1])) == 0


@pytest.fixture
def store(tmp_path):
    """Six days of four orders, whose fates are kept, returned, lost, kept; the champion, version 2, takes the last for lost. From the
    fourth day on version 4 is in shadow, which knows better."""
    store, fates = Store(tmp_path), ["kept", "returned", "lost", "kept"]
    wrong, right = SURE[[0, 1, 2, 2]], SURE
    for number in range(1, 7):
        ids = [f"{number}-{row}" for row in range(4)]
        before = [f"{number - 1}-{row}" for row in range(4)]
        told = outcomes(number, before, fate=fates) if number > 1 else outcomes(1, [], fate=[])
        live_a_day(store, WHICH, number, orders(number, ids, amount=[1.0, 2.0, 3.0, 4.0]), told)
        rows = store.read("batch", day(number))
        made = predictions(rows, Scored(wrong, "champion", {"version": 2}), {}, WHICH, None)
        store.write("predictions", day(number), made)
        if number >= 4:
            store.write(TABLE, day(number), scores_table(rows.order_id.rename("id"), 4, (right, None), 0.01, WHICH))
    serving = {}
    for number, outcome, version in [(2, PROMOTED, 2), (3, IN_SHADOW, 4)]:
        serving = serving_after(outcome, serving, {"version": version}, {"version": 90}, {})
        entry = {
            "as_of": str(day(number)),
            "effective_from": str(day(number + 1)),
            "decision": outcome,
            "serving": serving,
        }
        store.ledger("promotions").append(f"shop/{day(number)}", lambda _, entry=entry: entry)
    return store


def test_predictions_of_classes_have_a_column_for_each_and_name_the_decided_one(store):
    made = store.read("predictions", day(1))
    assert made.filter(like="score").columns.tolist() == ["score__kept", "score__returned", "score__lost"]
    assert made.action.tolist() == ["kept", "returned", "lost", "lost"]
    assert made.threshold.isna().all()


def test_a_confident_wrong_class_is_a_failure_case(store):
    view = AsOf(store, WHICH, day(4))
    found = confident_errors(view, view.mature(day(1)))
    assert found.id.tolist() == ["3-3", "2-3", "1-3"]
    assert found.score.tolist() == [0.9] * 3
    assert found.log_loss.tolist() == pytest.approx([-np.log(0.05)] * 3)


def test_a_version_in_shadow_is_compared_class_by_class(store):
    """Both are as sure, and one in four decisions differs."""
    found = trial(AsOf(store, WHICH, day(6)), store.ledger("promotions").entries())
    assert found.losses.index.tolist() == [pd.Timestamp(day(4)), pd.Timestamp(day(5))]
    assert found.losses.champion.iloc[0] - found.losses.shadow.iloc[0] == pytest.approx(np.log(0.9 / 0.05) / 4)
    readings = {reading.name: reading.verdict for reading in judge(found, WHICH)}
    assert readings == {"sound_scores": "pass", "latency": "pass", "distribution": "fail", "harm": "pass"}


def test_manifests_and_portions_know_the_classes(store):
    """Two days train, one judges; the newest wrong row stands for all that look like it, and was kept."""
    view = AsOf(store, WHICH, day(6))
    assert training_manifest(view, [])["base_rate"] == {"kept": 0.5, "returned": 0.25, "lost": 0.25}
    portions, fresh = evaluation_manifest(view, [])["portions"], view.mature_on([day(5)]).rows
    trained = {"candidate": pd.Series([], dtype="str")}

    def ask(rows):
        return SURE[[0] * len(rows)]

    def score(rows):
        return {"candidate": ask(rows)}

    said = measure_portions(view, portions, score, ask, trained, fresh, {"candidate": SURE})
    assert (said["failures"]["asked"], said["failures"]["right"]) == (1, ["5-3"])
    assert [(line["rows"], line["expected_cost"]) for line in said["slices"]] == [(4, 0.0)]


@pytest.mark.parametrize(
    ("product", "words"),
    [
        (WHICH, "Log-loss 0.5000 is under both the linear baseline's 0.6000"),
        (HOW_LONG, "Squared loss 0.5000 is under both the linear baseline's 0.6000"),
        (asks(DAYS | {"training": {"model": {"kind": "linear"}, "baseline": {"kind": "seasonal_naive", "keys": ["color"]}}},
              {"over": 1, "under": 1}), "Squared loss 0.5000 is under both the seasonal-naive baseline's 0.6000"),
    ],
)  # fmt: skip
def test_gates_speak_of_the_tasks_own_measures(product, words):
    found = evidence([0.5, 0.5])
    assert words in beats_baseline(found, product).sentence
    ranked = evidence([0.5] * 3, [0.5] * 3, ranking=pd.DataFrame({"candidate": [0.70, 0.71], "champion": [0.70, 0.71]}))
    assert (
        f"Daily {task_of(product).words.ranking}, the champion's less the candidate's"
        in ranking(ranked, product).sentence
    )
