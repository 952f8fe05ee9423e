"""A product's jobs. The daily job and the retrain job materialize disjoint assets; one run at a time a product (configs/dagster.yaml)."""

from collections.abc import Callable, Mapping
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from assets.evaluation import evaluation_assets
from assets.experiment import ExperimentRequest, experiment_op
from assets.ingestion import ingestion_assets
from assets.labeling import labeling_assets
from assets.monitoring import monitoring_assets
from assets.promotion import promotion_assets
from assets.report import report_assets
from assets.scoring import scoring_assets
from assets.shadow import shadow_assets
from assets.training import training_assets
from assets.validation import validation_assets
from evergreen.config import Product
from evergreen.product_page import page_of
from evergreen.promotion import decision_id
from pipelines import tags

if TYPE_CHECKING:
    from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition as AssetJob

Assets = list[dg.AssetsDefinition]
Stages = tuple[Callable[[Product], Assets], ...]
DAILY_STAGES = (
    ingestion_assets,
    validation_assets,
    labeling_assets,
    scoring_assets,
    shadow_assets,
    monitoring_assets,
    report_assets,
)
RETRAIN_STAGES = (training_assets, evaluation_assets, promotion_assets)


def daily_name(product: Product) -> str:
    """The job of a period is named by the cadence: `flights_daily`."""
    return f"{product.name}_{product.time.cadence}"


def daily_key(product: Product, day: date) -> str:
    """The run key under which a day is first asked for."""
    return f"{product.time.cadence}/{decision_id(product.name, day)}"


def retrain_name(product: Product) -> str:
    return f"{product.name}_retrain"


def rollback_name(product: Product) -> str:
    return f"{product.name}_rollback"


def approval_name(product: Product) -> str:
    return f"{product.name}_approval"


def experiment_name(product: Product) -> str:
    return f"{product.name}_experiment"


def care_name(product: Product) -> str:
    return f"{product.name}_care"


def stage_assets(product: Product, stages: Stages) -> Assets:
    """The assets of some stages, in their order."""
    return [asset for stage in stages for asset in stage(product)]


def daily_job(product: Product, assets: Assets) -> "AssetJob":
    """Ingestion to retrain decision and report, for one day."""
    description = f"Ingest, validate, label, score, monitor and decide, for one {product.time.word}."
    return _job(daily_name(product), assets, product, description)


def retrain_job(product: Product, assets: Assets) -> "AssetJob":
    """Training set to promotion, as of one day."""
    description = "Train baselines and a candidate, judge them, decide on promotion."
    return _job(retrain_name(product), assets, product, description)


def experiment_job(product: Product, declared: Mapping[str, bool]) -> dg.JobDefinition:
    """An overlay against the current recipe; writes MLflow alone. `declared` are the product's experiments, and whether each is a
    sweep; the launchpad shows the first one filled in."""
    op = experiment_op(product)
    filled_in: dict[str, Any] = {}
    if declared:
        name, sweep = next(iter(declared.items()))
        request = ExperimentRequest(name=name, as_of="", sweep=sweep)
        filled_in = {"config": dg.RunConfig(ops={op.name: request})}

    @dg.job(
        name=experiment_name(product),
        tags={tags.PRODUCT: product.name},
        **filled_in,
        description=f"Compare an overlay with {product.name} as it is. In configs/experiments: {', '.join(declared) or 'none'}.",
    )
    def job() -> None:
        op()

    return job


def _job(name: str, assets: Assets, product: Product, description: str) -> "AssetJob":
    return dg.define_asset_job(
        name,
        selection=dg.AssetSelection.assets(*[key for asset in assets for key in asset.keys]),
        description=f"{description}\n\n{page_of(product)}",
        tags={tags.PRODUCT: product.name, **tags.RETRY_WHOLE},
    )
