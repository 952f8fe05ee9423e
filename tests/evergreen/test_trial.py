"""Experiments on a small shop: what is compared is compared on the same rows, and nothing is written."""

from dataclasses import replace

import pytest

from evergreen.as_of import AsOf
from evergreen.comparisons import common_ground, compare
from evergreen.config import Product
from evergreen.errors import NotEnoughEvidence
from evergreen.experiments import Experiment, changed_product, trials
from evergreen.hindsight import deliveries_in_hindsight, gates_in_hindsight, triggers_in_hindsight
from evergreen.product_files import parse
from evergreen.storage import Store
from evergreen.sweeps import Tried, best_difference, point_digest, point_name, sentence, table
from evergreen.tasks import task_of
from evergreen.trial import run_experiment
from tests.evergreen.builders import SHOP, day, live_days, shop

THREE_DAYS = {"gates": {"change": {"days": "3d"}}}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = Store(tmp_path_factory.mktemp("shop"))
    live_days(made, shop(), 8)
    return made


def partitions(store):
    return {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}


def run(store, changes, last=8):
    product = shop(THREE_DAYS)
    return run_experiment(store, [], product, changed_product(product, changes, "test"), day(last))


def test_both_recipes_are_judged_on_the_same_days_and_nothing_is_written(store):
    """As of day 8 seven days are mature; the newest three judge."""
    before = partitions(store)
    outcome = run(store, {"features": {"numeric": []}})
    found = outcome.comparison
    assert found.days == [day(5), day(6), day(7)]
    assert found.rows == 60
    difference = outcome.effect("log_loss")
    assert difference.days == 3
    assert difference.mean > 0, "without the amount it is worse"
    assert found.means["changed"]["log_loss"] - found.means["current"]["log_loss"] == pytest.approx(difference.mean)
    assert outcome.sentences[0].startswith("Log-loss, changed minus current: +")
    assert partitions(store) == before


def test_an_experiment_knows_nothing_later_than_its_day(store):
    changes = {"training": {"seed": 8}}
    outcome = run(store, changes, 6)
    assert outcome.comparison.days == [day(3), day(4), day(5)]
    assert outcome.digest != run(store, changes, 8).digest


def test_changed_costs_price_the_same_scores_and_each_side_decides_by_its_own(store):
    """Where missing a return costs ten times as much, more calls pay: today's threshold would cost more than the changed one."""
    dear = {"decision": {"costs": {"true_positive": 1, "false_negative": 100}}}
    outcome = run(store, dear)
    cost = outcome.effect("expected_cost")
    assert outcome.comparison.daily["log_loss"] == [0.0, 0.0, 0.0], "one recipe, fitted once"
    assert cost.mean < 0
    assert outcome.comparison.means["current"]["expected_cost"] > 1.0
    assert outcome.sentences == [f"Cost of a row, changed minus current: {cost}; {outcome.sentences[0].split('; ')[1]}"]


def test_a_new_column_is_read_from_the_raw_deliveries_and_is_missing_in_bad_rows(tmp_path):
    store = Store(tmp_path / "shop")
    live_days(store, shop(), 6)
    for number in range(1, 7):
        raw = store.read("raw_events", day(number))
        weight = [1.0, 2.0] * (len(raw) // 2 - 1) + [3.0, 99.0]
        store.write("raw_events", day(number), raw.assign(weight=weight))
    changes = {
        "features": {"numeric": ["amount", "weight"]},
        "validation": {"columns": {"weight": {"between": [0, 10]}}},
    }
    outcome = run(store, changes, 6)
    assert (len(outcome.comparison.days), outcome.comparison.rows) == (3, 3 * 20)
    [delivered] = outcome.hindsight
    assert (delivered.what, delivered.current, delivered.changed, delivered.days) == ("accepted_rows", 60, 57, 3)
    assert delivered.lines[0] == {"day": "2024-01-04", "current": "20 of 20 rows", "changed": "19 of 20 rows"}
    assert outcome.effect("accepted_rows").high == -3.0


def test_a_day_that_would_have_been_refused_is_told_with_its_reason(store):
    outcome = run(store, {"validation": {"rows_per_period": {"at_least": 30}}})
    [delivered] = outcome.hindsight
    assert (outcome.comparison, delivered.current, delivered.changed, delivered.days) == (None, 60, 0, 3)
    assert delivered.lines[0]["changed"].startswith("the day is refused (volume: 20 rows, at least 30 are expected")


def test_rules_that_let_through_the_same_rows_change_no_day(store):
    product = shop(THREE_DAYS)
    changed = changed_product(product, {"validation": {"rows_per_period": {"at_least": 5}}}, "test")
    found = deliveries_in_hindsight(AsOf(store, product, day(8)), [day(6), day(7)], changed)
    assert (found.current, found.changed, found.lines) == (40, 40, [])
    assert found.sentence.endswith("no day falls out otherwise.")


def test_a_short_history_is_not_enough_evidence(store):
    with pytest.raises(
        NotEnoughEvidence, match="shop has 2 whole mature days as of 2024-01-03: too few to train for 2 days"
    ):
        run(store, {"training": {"seed": 8}}, 3)


def test_without_a_decision_or_a_monitored_day_hindsight_has_nothing_to_judge(store):
    view, changed = AsOf(store, shop(), day(8)), shop({"gates": {"confidence": 0.9}})
    for found in (gates_in_hindsight(view, [], changed), triggers_in_hindsight(view, [], changed)):
        assert (found.current, found.changed, found.days) == (0, 0, 0)


SWEEP = {
    "name": "penalties",
    "product": "shop",
    "hypothesis": "A stronger penalty helps on few rows.",
    "expected": {"metric": "log_loss", "change": -0.01},
    "sweep": {"training.model.C": [0.01, 1.0, 10.0]},
}


@pytest.fixture(scope="module")
def swept(store):
    product = shop(THREE_DAYS)
    declared = parse(Experiment, SWEEP, "penalties")
    made = trials(declared, product, "penalties")
    ground = common_ground(store, product, [changed for _, changed in made], day(8))
    found = list(compare(ground, [changed for _, changed in made]))
    return declared, made, ground, [Tried(point, one) for (point, _), one in zip(made, found, strict=True)]


def test_every_point_of_a_sweep_is_judged_on_the_same_days(swept):
    _, made, ground, tried = swept
    assert [point_name(one.point) for one in tried] == ["C=0.01", "C=10.0"]
    assert {one.comparison.digest for one in tried} == {ground.digest}
    assert tried[0].comparison.means["current"] == tried[1].comparison.means["current"]
    assert len({point_digest(ground, changed) for _, changed in made}) == 2


def test_a_point_is_another_one_on_another_day_or_with_other_costs(store, swept):
    _, made, ground, _ = swept
    known = point_digest(ground, made[0][1])
    dearer = changed_product(made[0][1], {"decision": {"costs": {"false_negative": 20}}}, "test")
    assert point_digest(ground, dearer) != known
    assert point_digest(replace(ground, as_of=day(9)), made[0][1]) != known


def test_the_table_has_the_best_first_and_the_product_as_it_is_last(swept):
    _, _, _, tried = swept
    lines = table(tried, "log_loss")
    losses = [line["log_loss"] for line in lines[:-1]]
    assert losses == sorted(losses)
    assert (lines[-1]["point"], lines[-1]["log_loss"]) == ("as it is", tried[0].comparison.means["current"]["log_loss"])


def test_the_more_points_a_sweep_has_the_wider_its_intervals(swept):
    declared, _, _, tried = swept
    alone, best = best_difference(tried[:1], "log_loss"), best_difference([tried[0]] * 2, "log_loss")
    assert (best.low, alone.high) < (alone.low, best.high)
    told = sentence(tried, declared)
    assert told.startswith("Best of 2: C=")
    assert ", corrected for 2 looks; " in told
    assert "Expected: log_loss -0.01; found " in told


def test_a_comparison_that_was_kept_is_the_one_that_was_made(swept):
    """What MLflow gives back of a finished point stands for it."""
    _, _, ground, tried = swept
    made = tried[0].comparison
    assert ground.comparison(made.means, made.daily) == made


def test_a_regression_is_compared_in_its_own_words(tmp_path):
    """What an order that comes back is worth: the same shop, with a number to predict."""
    label = {
        **{key: value for key, value in SHOP["label"].items() if key != "when"},
        "value": "returned",
        "spread": 0.5,
    }
    content = {
        **SHOP,
        "task": "regression",
        "label": label,
        "decision": {**SHOP["decision"], "costs": {"over": 1, "under": 3}},
        "training": {"at_least": "2d", "model": {"kind": "linear"}, "baseline": {"kind": "linear"}},
        **THREE_DAYS,
    }
    product = parse(Product, content, "shop")
    store = Store(tmp_path)
    live_days(store, product, 8)
    outcome = run_experiment(
        store, [], product, changed_product(product, {"features": {"numeric": []}}, "test"), day(8)
    )
    assert outcome.comparison.rows == 60
    assert outcome.effect("log_loss").mean > 0, "without the amount it is worse"
    assert outcome.sentences[0].lower().startswith(f"{task_of(product).words.loss}, changed minus current: +".lower())
