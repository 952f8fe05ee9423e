"""Running a product's experiment job in this process."""

from typing import Any

from assets.experiment import experiment_op
from evergreen.config import Product
from pipelines import tags
from pipelines.failures import RunFailed, explain_failure
from pipelines.instance import opened_instance
from pipelines.jobs import experiment_name


def run_in_process(product: Product, name: str, as_of: str, sweep: bool = False) -> dict[str, Any]:
    """The outcome of an experiment's job. Raises RunFailed with the reason."""
    from pipelines.products import build_definitions

    op = experiment_op(product).name
    config = {
        "ops": {op: {"config": {"name": name, "as_of": as_of, "sweep": sweep}}},
        "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
    }
    with opened_instance() as instance:
        job = build_definitions().resolve_job_def(experiment_name(product))
        result = job.execute_in_process(
            instance=instance, tags=tags.OF_THIS_PROCESS, run_config=config, raise_on_error=False
        )
    if not result.success:
        raise RunFailed(explain_failure(result, job.name, name))
    return dict(result.output_for_node(op))
