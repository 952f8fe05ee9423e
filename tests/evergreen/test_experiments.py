import pytest
import yaml

from evergreen.errors import ConfigError, NotEnoughEvidence
from evergreen.experiments import changed_product, load_experiment, run_experiment
from evergreen.storage import Store
from tests.evergreen.builders import day, live_days, shop

EXPERIMENT = {
    "name": "weaker",
    "product": "shop",
    "hypothesis": "A stronger penalty changes nothing.",
    "changes": {"training": {"model": {"C": 0.5}}},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "weaker.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    return tmp_path


def test_an_experiment_is_loaded_by_name(folder):
    experiment = load_experiment(folder, "weaker")
    assert (experiment.product, experiment.changes) == ("shop", {"training": {"model": {"C": 0.5}}})


@pytest.mark.parametrize(
    ("name", "hint"), [("weeker", "; did you mean weaker?"), ("zzz", ""), ("../weaker", "; did you mean weaker?")]
)
def test_an_unknown_name_is_refused_with_its_near_miss_and_the_known_ones(folder, name, hint):
    with pytest.raises(ConfigError) as refused:
        load_experiment(folder, name)
    assert str(refused.value) == f"{folder}: no experiment {name!r}{hint} (known: other, weaker)"


def test_a_folder_without_experiments_says_so(tmp_path):
    with pytest.raises(ConfigError, match=r"\(known: none\)"):
        load_experiment(tmp_path, "weaker")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hypothesis": "better"}, "hypothesis: String should have at least 10 characters"),
        ({"changes": {}}, "changes: Dictionary should have at least 1 item"),
        ({"hypotesis": "x"}, "hypotesis: unknown key; did you mean hypothesis?"),
        ({"version": 3}, "version: Input should be 2"),
    ],
)
def test_an_experiment_states_what_it_changes_and_expects(folder, change, message):
    (folder / "weaker.yaml").write_text(yaml.safe_dump(EXPERIMENT | change))
    with pytest.raises(ConfigError) as refused:
        load_experiment(folder, "weaker")
    assert str(refused.value).startswith(f"{folder / 'weaker.yaml'}: {message}")


@pytest.mark.parametrize(
    "changes",
    [
        {"training": {"model": {"C": 0.5}}},
        {"training": {"window": "9d"}},
        {"features": {"numeric": []}},
        {"features": {"numeric": ["amount", "weight"]}, "validation": {"columns": {"weight": {"required": True}}}},
    ],
)
def test_what_can_be_compared_on_the_same_rows_may_be_changed(changes):
    product = shop()
    changed = changed_product(product, changes, "weaker")
    assert changed.recipe != product.recipe
    assert changed.time == product.time


@pytest.mark.parametrize(
    "section", ["time", "source", "decision", "gates", "retraining", "name", "task", "id", "heuristic", "trainin"]
)
def test_what_cannot_be_compared_on_the_same_rows_is_refused(section):
    with pytest.raises(ConfigError, match=f"^weaker: changes.{section} cannot be compared on the same rows"):
        changed_product(shop(), {"training": {"seed": 1}, section: {}}, "weaker")


@pytest.mark.parametrize("changes", [{"label": {"when": "not returned"}}, {"evaluation": {"window": "3d"}}])
def test_a_change_that_the_comparison_would_not_look_at_is_refused(changes):
    """Both recipes are fitted to and judged by the current labels and windows: such a change would report a difference of 0."""
    with pytest.raises(ConfigError, match="cannot be compared on the same rows"):
        changed_product(shop(), changes, "weaker")


def test_a_changed_product_is_validated_like_any_other():
    with pytest.raises(
        ConfigError, match=r"^weaker: with its changes: training\.seeed: unknown key; did you mean seed\?"
    ):
        changed_product(shop(), {"training": {"seeed": 1}}, "weaker")


THREE_DAYS = {"gates": {"change": {"days": "3d"}}}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    made = Store(tmp_path_factory.mktemp("shop"))
    live_days(made, shop(), 8)
    return made


def partitions(store):
    return {path: path.read_bytes() for path in store.root.rglob("*") if path.is_file()}


def test_an_experiment_judges_both_recipes_on_the_same_days_and_writes_nothing(store):
    """As of day 8 seven days are mature; the newest three judge."""
    product, before = shop(THREE_DAYS), partitions(store)
    outcome = run_experiment(store, product, changed_product(product, {"features": {"numeric": []}}, "blind"), day(8))
    assert outcome.days == [day(5), day(6), day(7)]
    assert outcome.rows == 60
    assert outcome.difference.days == 3
    assert outcome.difference.mean > 0, "without the amount it is worse"
    means = outcome.means.log_loss
    assert means["changed"] - means["current"] == pytest.approx(outcome.difference.mean)
    assert partitions(store) == before


def test_the_same_recipe_differs_by_nothing(store):
    product = shop(THREE_DAYS)
    difference = run_experiment(store, product, product, day(8)).difference
    assert (difference.mean, difference.low, difference.high) == (0.0, 0.0, 0.0)


def test_an_experiment_knows_nothing_later_than_its_day(store):
    product = shop(THREE_DAYS)
    outcome = run_experiment(store, product, product, day(6))
    assert outcome.days == [day(3), day(4), day(5)]
    assert outcome.digest != run_experiment(store, product, product, day(8)).digest


def test_a_new_column_is_read_from_the_raw_deliveries_and_is_missing_in_bad_rows(tmp_path):
    store = Store(tmp_path / "shop")
    live_days(store, shop(), 6)
    for number in range(1, 7):
        raw = store.read("raw_events", day(number))
        weight = [1.0, 2.0] * (len(raw) // 2 - 1) + [3.0, 99.0]
        store.write("raw_events", day(number), raw.assign(weight=weight))
    product = shop(THREE_DAYS)
    changes = {
        "features": {"numeric": ["amount", "weight"]},
        "validation": {"columns": {"weight": {"between": [0, 10]}}},
    }
    outcome = run_experiment(store, product, changed_product(product, changes, "weight"), day(6))
    assert (len(outcome.days), outcome.rows) == (3, 3 * 20)


def test_a_short_history_is_not_enough_evidence(store):
    product = shop(THREE_DAYS)
    with pytest.raises(
        NotEnoughEvidence, match="shop has 2 whole mature days as of 2024-01-03: too few to train for 2 days"
    ):
        run_experiment(store, product, product, day(3))
