"""What product files stand for in Dagster: assets, jobs, schedules, sensors and resources, merged."""

import os
from collections.abc import Mapping

import dagster as dg

from assets.experiment import experiments_by_product
from evergreen.config import Product
from evergreen.product_files import load_products
from pipelines import places
from pipelines.approval_job import approval_definitions
from pipelines.care_job import care_definitions
from pipelines.jobs import DAILY_STAGES, RETRAIN_STAGES, daily_job, experiment_job, retrain_job, stage_assets
from pipelines.registry import Registry
from pipelines.resources import Home
from pipelines.rollback_job import rollback_job
from pipelines.schedules import daily_schedule, retrain_schedule
from pipelines.sensors import product_sensors


def product_definitions(product: Product, experiments: Mapping[str, bool]) -> dg.Definitions:
    """Everything that one product file stands for, with the experiments on it, and whether each is a sweep."""
    daily, retrain = stage_assets(product, DAILY_STAGES), stage_assets(product, RETRAIN_STAGES)
    loop = dg.Definitions(
        assets=[*daily, *retrain],
        jobs=[
            daily_job(product, daily),
            retrain_job(product, retrain),
            rollback_job(product),
            experiment_job(product, experiments),
        ],
        schedules=[daily_schedule(product), retrain_schedule(product)],
        sensors=product_sensors(product),
    )
    return dg.Definitions.merge(loop, care_definitions(product), approval_definitions(product))


def build_definitions() -> dg.Definitions:
    """Every product of the configs folder, with the resources of this installation.

    Raises ConfigError, naming the file and the key, where a product file breaks a rule.
    """
    home = str(places.home())
    # the variable's name, not its content: Dagster keeps the values of resources with each run, and shows them
    tracking_uri = dg.EnvVar(places.TRACKING_URI) if os.environ.get(places.TRACKING_URI) else places.tracking_uri()
    shared = dg.Definitions(
        resources={"home": Home(path=home), "registry": Registry(home=home, tracking_uri=tracking_uri)},
        executor=dg.in_process_executor,
    )
    products, experiments = load_products(places.configs() / "products"), experiments_by_product()
    return dg.Definitions.merge(
        shared, *[product_definitions(product, experiments.get(name, {})) for name, product in products.items()]
    )
