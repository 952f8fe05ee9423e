import re

import pytest
import yaml

from evergreen.config import Product
from evergreen.errors import ConfigError
from evergreen.experiments import load_experiment, trials
from evergreen.product_files import load_product, load_products, near_miss, overlay, parse, read_yaml
from tests.evergreen.builders import REPOSITORY, SHOP

PRODUCTS = sorted((REPOSITORY / "configs" / "products").glob("*.yaml"))
EXPERIMENTS = sorted((REPOSITORY / "configs" / "experiments").glob("*.yaml"))


def test_products_and_experiments_are_shipped():
    assert PRODUCTS
    assert EXPERIMENTS


@pytest.mark.parametrize("path", PRODUCTS, ids=lambda path: path.stem)
def test_every_shipped_product_loads(path):
    assert load_product(path).name == path.stem


@pytest.mark.parametrize("path", EXPERIMENTS, ids=lambda path: path.stem)
def test_every_shipped_experiment_loads_foretells_an_effect_and_changes_its_product(path):
    experiment = load_experiment(path.parent, path.stem)
    product = load_product(REPOSITORY / "configs" / "products" / f"{experiment.product}.yaml")
    assert experiment.name == path.stem
    assert experiment.expected
    assert all(changed.recipe != product.recipe for _, changed in trials(experiment, product, str(path)))


def test_the_worked_example_stays_under_60_lines():
    lines = (REPOSITORY / "configs" / "products" / "flights.yaml").read_text().splitlines()
    assert 20 < len(lines) < 60


def test_the_numbers_that_the_worked_example_quotes_are_its_own():
    """`always warning costs 2.00` is what makes the bound say something: it must follow from the costs in the file."""
    product = load_product(REPOSITORY / "configs" / "products" / "flights.yaml")
    costs = product.decision.costs
    assert costs.true_positive == costs.false_positive == 2.0
    assert product.decision.good_enough.at_most < 2.0


@pytest.mark.parametrize(
    ("changes", "where", "hint"),
    [
        ({"trainin": {}}, "trainin", "training"),
        ({"time": {"time_zone": "UTC"}}, "time.time_zone", "timezone"),
        ({"training": {"model": {"max_dept": 3, "kind": "xgboost"}}}, "training.model.max_dept", "max_depth"),
        ({"source": {"evnts": "x"}}, "source.evnts", "events"),
        ({"retraining": {"triggers": [{"kind": "drift", "psii": 1}]}}, "retraining.triggers.0.psii", "psi"),
        ({"validation": {"columns": {"amount": {"betwen": [1, 2]}}}}, "validation.columns.amount.betwen", "between"),
    ],
)
def test_an_unknown_key_is_named_with_file_dotted_key_and_near_miss(changes, where, hint):
    """The dotted key is the one that the user can look up in the file: a union's tag is no part of it."""
    with pytest.raises(ConfigError) as refused:
        parse(Product, overlay(SHOP, changes), "configs/shop.yaml")
    assert str(refused.value).startswith(f"configs/shop.yaml: {where}: unknown key; did you mean {hint}? (known here: ")


@pytest.mark.parametrize(
    ("changes", "known"),
    [
        ({"training": {"model": {"kind": "logistic", "max_depth": 3}}}, "(known here: C, kind)"),
        (
            {"decision": {"costs": {"zzz": 1}}},
            "(known here: false_negative, false_positive, true_negative, true_positive)",
        ),
        ({"retraining": {"triggers": [{"kind": "staleness", "zzz": 1}]}}, "(known here: days, kind)"),
    ],
)
def test_an_unknown_key_far_from_all_lists_what_is_known_at_that_place(changes, known):
    with pytest.raises(ConfigError, match=re.escape(f"unknown key {known}")):
        parse(Product, overlay(SHOP, changes), "shop.yaml")


@pytest.mark.parametrize("key", ["off", '"off"'], ids=["bare, which YAML reads as false", "quoted"])
def test_the_former_name_of_disabled_gates_is_answered_with_the_present_one(key):
    content = yaml.safe_load(f"gates: {{{key}: [slices]}}")
    with pytest.raises(
        ConfigError, match=r"^shop\.yaml: gates: the key off is called disabled: write disabled: \[\.\.\.\]"
    ):
        parse(Product, {**SHOP, **content}, "shop.yaml")


def test_every_broken_rule_has_a_line_of_its_own():
    with pytest.raises(ConfigError) as refused:
        parse(Product, overlay(SHOP, {"zzz": 1, "time": {"timezone": "Mars"}, "owner": 5}), "shop.yaml")
    lines = str(refused.value).splitlines()
    assert len(lines) == 3
    assert all(line.startswith("shop.yaml: ") for line in lines)


def test_a_missing_key_is_named_with_its_place():
    content = {**SHOP, "training": {"model": {"kind": "xgboost"}}, "source": {"kind": "files", "events": "{day}"}}
    with pytest.raises(ConfigError, match=r"^shop\.yaml: source\.outcomes: this key is required$"):
        parse(Product, content, "shop.yaml")


def test_a_value_that_no_alternative_takes_is_named_by_its_key_alone():
    with pytest.raises(ConfigError) as refused:
        parse(Product, overlay(SHOP, {"training": {"window": "7x"}}), "shop.yaml")
    assert all(line.startswith("shop.yaml: training.window: ") for line in str(refused.value).splitlines())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "there is no such file"),
        (b"a: [1", "not readable as YAML"),
        (b"\xff\xfe\xff", "not readable as YAML"),
        (b"- 1\n- 2\n", "a mapping of keys is expected, not list"),
        (b"", "a mapping of keys is expected, not NoneType"),
    ],
    ids=["absent", "broken", "not text", "a list", "empty"],
)
def test_a_file_that_is_no_mapping_is_named_and_refused(tmp_path, content, message):
    path = tmp_path / "shop.yaml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ConfigError) as refused:
        read_yaml(path)
    assert str(refused.value).startswith(f"{path}: {message}")


def test_a_product_is_called_as_its_file_is(tmp_path):
    for name in ("shop", "store"):
        (tmp_path / f"{name}.yaml").write_text(yaml.safe_dump(SHOP))
    assert load_product(tmp_path / "shop.yaml").name == "shop"
    with pytest.raises(ConfigError, match=r"name is 'shop', but the file is called store\.yaml: make them the same"):
        load_products(tmp_path)


def test_the_reference_is_a_valid_product_with_every_block():
    reference = load_product(REPOSITORY / "configs" / "reference.yaml")
    assert reference.model_fields_set == set(Product.model_fields)
    assert {channel.kind for channel in reference.alerts.channels} == {"log", "webhook", "email"}


def test_a_folder_gives_its_products_by_name_and_an_empty_one_is_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"no product file \(\*\.yaml\) here"):
        load_products(tmp_path)
    (tmp_path / "shop.yaml").write_text(yaml.safe_dump(SHOP))
    assert list(load_products(tmp_path)) == ["shop"]


def test_a_product_that_is_left_out_is_not_loaded_and_its_file_stays(tmp_path):
    (tmp_path / "products").mkdir()
    for name in ("shop", "store"):
        (tmp_path / "products" / f"{name}.yaml").write_text(yaml.safe_dump({**SHOP, "name": name}))
    (tmp_path / "leave_out.txt").write_text("# examples\nstore # of the template\n\n")
    assert list(load_products(tmp_path / "products")) == ["shop"]

    (tmp_path / "leave_out.txt").write_text("stor\n")
    with pytest.raises(
        ConfigError, match=r"leave_out\.txt: there is no product 'stor' to leave out; did you mean store\?"
    ):
        load_products(tmp_path / "products")


@pytest.mark.parametrize(("word", "hint"), [("colour", "; did you mean color?"), ("zzz", "")])
def test_a_near_miss_is_offered_where_there_is_one(word, hint):
    assert near_miss(word, ["color", "amount"]) == hint
