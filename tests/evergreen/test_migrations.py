"""Files and recorded products of earlier versions are read as today's, and rewritten without a loss."""

import json
import logging
from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from evergreen.config import Product
from evergreen.errors import ConfigError
from evergreen.experiments import changed_product, load_experiment
from evergreen.migrations import VERSION, migrated, migrated_text
from evergreen.product_files import load_product, overlay, parse
from evergreen.recipes import recorded_recipe
from evergreen.storage import Store
from pipelines.cli import app
from tests.evergreen.builders import REPOSITORY, SHOP, day, shop

FIRST = """\
# the shop
version: 1 # of the schema
name: shop
time:
  event: ordered_at   # column
  "daily_job": '30 2 * * *' # daily_job of the night
validation: {rows_per_day: {at_least: 2}, columns: {rows_per_day: {required: true}}}
"""
SECOND = """\
# the shop
version: 2 # of the schema
name: shop
time:
  event: ordered_at   # column
  runs_at: '30 2 * * *' # daily_job of the night
validation: {rows_per_period: {at_least: 2}, columns: {rows_per_day: {required: true}}}
"""
RECORDED = json.loads((REPOSITORY / "tests" / "evergreen" / "recorded" / "flights_of_0.3.0.json").read_text())


def first_version(changes=None):
    """The shop as a product file of version 1 would say it."""
    content = overlay(SHOP, {"version": 1, "time": {"daily_job": "0 5 * * *"}, "validation": {"rows_per_day": {}}})
    return overlay(content, changes or {})


def test_only_the_keys_that_were_renamed_change_in_a_text():
    assert migrated_text(FIRST, "shop.yaml") == SECOND
    assert migrated_text(SECOND, "shop.yaml") == SECOND


def test_line_ends_and_a_byte_order_mark_stay():
    assert migrated_text("\ufeff" + FIRST.replace("\n", "\r\n"), "shop.yaml") == "\ufeff" + SECOND.replace("\n", "\r\n")


def test_the_text_says_what_the_loaded_file_means():
    assert yaml.safe_load(SECOND) == migrated(yaml.safe_load(FIRST), "shop.yaml")


def test_an_experiment_is_migrated_inside_its_changes():
    text = "version: 1\nchanges: {validation: {rows_per_day: {at_least: 5}}} # rows_per_day\n"
    assert (
        migrated_text(text, "e")
        == "version: 2\nchanges: {validation: {rows_per_period: {at_least: 5}}} # rows_per_day\n"
    )


def test_a_text_whose_keys_are_merged_from_elsewhere_is_left_to_a_person():
    text = "version: 1\nnight: &night {daily_job: 0 5 * * *}\ntime: {<<: *night}\n"
    with pytest.raises(
        ConfigError, match=r"shop\.yaml: its version 1 cannot be .*: .* by hand time\.daily_job to runs_at, "
    ):
        migrated_text(text, "shop.yaml")


def test_a_key_with_both_its_names_is_refused():
    with pytest.raises(
        ConfigError, match=r"^shop: time\.daily_job is called runs_at today, and both are given: keep runs_at"
    ):
        migrated(first_version({"time": {"runs_at": "0 6 * * *"}}), "shop")


@pytest.mark.parametrize("version", [0, 3, "1", True, None, [1]])
def test_a_version_that_is_not_known_is_left_as_it_is_and_refused_by_name(version):
    content = SHOP | {"version": version}
    assert migrated(content, "shop") == content
    with pytest.raises(ConfigError, match=r"^shop: version: Input should be 2"):
        parse(Product, content, "shop")


def test_a_file_of_version_1_is_read_and_the_log_says_once_how_to_rewrite_it(tmp_path, caplog):
    path = tmp_path / "shop.yaml"
    path.write_text(yaml.safe_dump(first_version({"validation": {"rows_per_day": {"at_least": 4}}})))
    with caplog.at_level(logging.WARNING, "evergreen"):
        product = load_product(path)
        load_product(path)
    assert (product.version, product.time.runs_at, product.validation.rows_per_period.at_least) == (
        VERSION,
        "0 5 * * *",
        4,
    )
    assert product.recipe == shop().recipe
    assert [record.getMessage() for record in caplog.records] == [
        f"{path}: version 1 of the schema, read as today's; `evergreen migrate-config {path}` rewrites the file"
    ]


def test_an_experiment_of_version_1_changes_todays_product(tmp_path):
    content = {
        "version": 1,
        "name": "few",
        "product": "shop",
        "hypothesis": "Fewer rows are enough.",
        "changes": {"training": {"seed": 8}, "validation": {"rows_per_day": {"at_least": 3}}},
    }
    (tmp_path / "few.yaml").write_text(yaml.safe_dump(content))
    changes = load_experiment(tmp_path, "few").changes
    assert changed_product(shop(), changes, "few").validation.rows_per_period.at_least == 3


def test_the_former_name_of_a_key_is_answered_with_the_present_one():
    with pytest.raises(ConfigError, match=r"^shop: time\.daily_job: unknown key; it is called runs_at today$"):
        shop({"time": {"daily_job": "0 5 * * *"}})


def test_a_product_that_0_3_0_recorded_with_a_model_is_todays_recipe(tmp_path):
    """The champions of a home that is upgraded must load, and must not look like another recipe."""
    Store(tmp_path).write_document("training_set", day(1), {"product": RECORDED})
    recorded = recorded_recipe(Store(tmp_path), {"as_of": str(day(1))})
    assert RECORDED["version"] == 1
    assert recorded.recipe == "ef2e915bee5970c0"
    assert recorded.recipe == load_product(REPOSITORY / "configs" / "products" / "flights.yaml").recipe


def migrate(*arguments: str | Path):
    return CliRunner().invoke(app, ["migrate-config", *map(str, arguments)])


def test_the_command_rewrites_files_and_a_check_only_names_them(tmp_path):
    old, new = tmp_path / "old.yaml", tmp_path / "new.yaml"
    old.write_text(FIRST)
    new.write_text(SECOND)

    checked = migrate("--check", old, new)
    assert (checked.exit_code, checked.stdout) == (1, f"{old}: to be rewritten as version 2\n")
    assert old.read_text() == FIRST

    assert migrate(old, new).exit_code == 0
    assert [old.read_text(), new.read_text()] == [SECOND, SECOND]
    assert migrate("--check", old, new).exit_code == 0


def test_where_one_file_cannot_be_rewritten_none_is(tmp_path):
    fine, merged = tmp_path / "fine.yaml", tmp_path / "merged.yaml"
    fine.write_text(FIRST)
    merged.write_text("version: 1\nnight: &night {daily_job: 0 5 * * *}\ntime: {<<: *night}\n")

    assert isinstance(migrate(fine, merged).exception, ConfigError)
    assert fine.read_text() == FIRST


def test_the_files_of_a_clone_are_found_without_naming_them(tmp_path, monkeypatch):
    monkeypatch.setenv("EVERGREEN_CONFIGS", str(tmp_path))
    (tmp_path / "products").mkdir()
    (tmp_path / "products" / "shop.yaml").write_text(FIRST)

    assert migrate().exit_code == 0
    assert (tmp_path / "products" / "shop.yaml").read_text() == SECOND
