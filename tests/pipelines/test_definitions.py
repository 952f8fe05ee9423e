"""The code location loads lightly, and holds what DESIGN asks of a product."""

import gc
import json
import shutil
import subprocess
import sys

import pytest

from evergreen.config import Product
from evergreen.errors import ConfigError
from evergreen.periods import Periods
from pipelines import places
from tests.evergreen.builders import shop

HEAVY = ("mlflow", "xgboost", "sklearn", "scipy", "matplotlib", "pandera")


def test_importing_the_definitions_imports_nothing_heavy():
    code = f"import sys, pipelines.definitions; print([name for name in {HEAVY!r} if name in sys.modules])"

    found = subprocess.run(
        [sys.executable, "-c", code], cwd=places.REPOSITORY, capture_output=True, text=True, check=True
    )

    assert found.stdout.strip() == "[]"


def test_the_garbage_collector_works_again_once_the_definitions_are_made_also_after_an_error():
    from pipelines.definitions import made_to_stay

    gc.unfreeze()
    with made_to_stay():
        assert not gc.isenabled()
    assert gc.isenabled() and gc.get_freeze_count() > 0
    gc.unfreeze()
    with pytest.raises(ConfigError), made_to_stay():
        raise ConfigError("a product file breaks a rule")
    assert gc.isenabled() and gc.get_freeze_count() == 0


def test_a_product_is_sixteen_assets_four_jobs_two_schedules_and_five_sensors(tmp_path, monkeypatch):
    from pipelines.products import build_definitions

    (tmp_path / "products").mkdir()
    shutil.copy(places.REPOSITORY / "configs" / "products" / "flights.yaml", tmp_path / "products")
    monkeypatch.setenv("EVERGREEN_CONFIGS", str(tmp_path))

    definitions = build_definitions()
    repository = definitions.get_repository_def()

    assert len(list(definitions.resolve_asset_graph().get_all_asset_keys())) == 16
    assert {job.name for job in repository.get_all_jobs()} >= {
        "flights_daily",
        "flights_retrain",
        "flights_rollback",
        "flights_experiment",
    }
    assert {schedule.name for schedule in repository.schedule_defs} == {
        "flights_daily_schedule",
        "flights_retrain_schedule",
    }
    assert {sensor.name for sensor in repository.sensor_defs} == {
        "flights_retrain_sensor",
        "flights_rollback_sensor",
        "flights_failure_sensor",
        "flights_deliveries_sensor",
        "flights_alert_sensor",
    }


def test_a_product_that_declares_them_has_a_shadow_in_its_daily_job_and_an_approval_job(tmp_path, monkeypatch):
    from evergreen.product_files import overlay, read_yaml
    from pipelines.products import build_definitions

    shipped = read_yaml(places.REPOSITORY / "configs" / "products" / "flights.yaml")
    declared = overlay(shipped, {"gates": {"approval": "required"}, "shadow": {"days": 7}})
    (tmp_path / "products").mkdir()
    (tmp_path / "products" / "flights.yaml").write_text(json.dumps(declared, default=str))
    monkeypatch.setenv("EVERGREEN_CONFIGS", str(tmp_path))

    definitions = build_definitions()

    keys = {key.path[-1] for key in definitions.resolve_asset_graph().get_all_asset_keys()}
    assert len(keys) == 18 and {"shadow_scores", "shadow_check"} <= keys
    assert "flights_approval" in {job.name for job in definitions.get_repository_def().get_all_jobs()}


def test_the_daily_job_and_the_retrain_job_share_no_asset():
    from evergreen.product_files import load_product
    from pipelines.jobs import DAILY_STAGES, RETRAIN_STAGES

    product = load_product(places.REPOSITORY / "configs" / "products" / "flights.yaml")
    daily, retrain = (
        {key for stage in stages for asset in stage(product) for key in asset.keys}
        for stages in (DAILY_STAGES, RETRAIN_STAGES)
    )

    assert (len(daily), len(retrain), len(daily & retrain)) == (9, 7, 0)


def test_a_product_that_ships_what_was_judged_has_no_refit_in_its_graph():
    from evergreen.product_files import load_product, overlay, parse
    from pipelines.jobs import RETRAIN_STAGES

    shipped = load_product(places.REPOSITORY / "configs" / "products" / "flights.yaml").model_dump(mode="json")
    for refit in (True, False):
        product = parse(Product, overlay(shipped, {"training": {"refit_on_promotion": refit}}), "test")
        assets = [asset for stage in RETRAIN_STAGES for asset in stage(product)]
        named = {key.path[-1] for asset in assets for key in (*asset.keys, *asset.dependency_keys)}
        assert ("refit_model" in named) is refit


def test_twenty_products_stay_legible(tmp_path, monkeypatch):
    """Each has a group of its own with all its assets and no other's, its own owner, and jobs, schedules and sensors by its name;
    every asset says what it is, of which stage, and what the product is for."""
    from evergreen.product_files import read_yaml
    from pipelines.products import build_definitions

    shipped = read_yaml(places.REPOSITORY / "configs" / "products" / "flights.yaml")
    names = [f"product_{number:02}" for number in range(20)]
    (tmp_path / "products").mkdir()
    for name in names:
        declared = {**shipped, "name": name, "owner": f"team:of_{name}", "risks": [f"harm of {name}"]}
        (tmp_path / "products" / f"{name}.yaml").write_text(json.dumps(declared, default=str))
    monkeypatch.setenv("EVERGREEN_CONFIGS", str(tmp_path))

    definitions = build_definitions()
    specs, repository = definitions.resolve_all_asset_specs(), definitions.get_repository_def()

    assert len({spec.key for spec in specs}) == len(specs) == 20 * 16
    for spec in specs:
        product = spec.key.path[0]
        assert (spec.group_name, spec.owners, spec.tags["evergreen/product"]) == (
            product,
            [f"team:of_{product}"],
            product,
        )
        assert {key.path[0] for key in (dep.asset_key for dep in spec.deps)} <= {product}, "no edge leaves its group"
        assert spec.description and spec.kinds and spec.tags["evergreen/stage"]
        assert f"harm of {product}" in spec.metadata["product_page"].value
    assert {spec.group_name for spec in specs} == set(names)
    jobs = [job for job in repository.get_all_jobs() if not job.name.startswith("__")]
    named = [made.name for made in (*jobs, *repository.schedule_defs, *repository.sensor_defs)]
    assert len(set(named)) == len(named) == 20 * (4 + 2 + 5)
    assert all(sum(name.startswith(f"{product}_") for product in names) == 1 for name in named)
    assert "harm of product_07" in repository.get_job("product_07_daily").description


@pytest.mark.parametrize(
    ("cadence", "timezone", "keys"),
    [
        ("hourly", "UTC", ["2024-01-01T00", "2024-01-01T01", "2024-01-31T23"]),
        ("weekly", "America/New_York", ["2024-01-01", "2024-01-08", "2024-01-29"]),
        ("monthly", "America/New_York", ["2024-01-01", "2024-02-01", "2024-03-01"]),
    ],
)
def test_a_partition_is_named_by_its_period_and_holds_its_time(cadence, timezone, keys):
    from assets.stage import Stage

    last = {"end": "2024-03-15" if cadence == "monthly" else "2024-01-31"}
    spans = {"training": {"at_least": "2"}, "evaluation": {"window": "2"}}
    product = shop({"time": {"cadence": cadence, "timezone": timezone, **last}, **spans})
    periods, partitions = Periods.of(product.time), Stage(product, "scoring").partitions
    known = partitions.get_partition_keys()
    assert [*known[:2], known[-1]] == keys
    for period in (product.time.start, product.time.end):
        window = partitions.time_window_for_partition_key(str(period))
        assert (window.start, window.end) == (periods.begins(period), periods.ends(period))
