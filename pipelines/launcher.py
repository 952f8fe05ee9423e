"""Launching runs so that a dead one is noticed.

Dagster's run monitoring asks whether a run's process lives; a run whose process died is marked as failed, and then retried
(configs/dagster.yaml). With the default launcher it would be `started` for ever, and keep its product's place in the queue.
"""

import time

from dagster import DagsterRun
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus

from pipelines import tags
from pipelines.alive import Sign, sign_of_life

SHOWS_WITHIN = 120  # seconds from a run's start until its process must have shown a sign of life


class WatchedRunLauncher(DefaultRunLauncher):
    """Dagster's default launcher, which can also tell whether a product's run is alive."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: DagsterRun) -> CheckRunHealthResult:
        """FAILED where the run's process died; RUNNING otherwise, also for runs that are no product's."""
        sign = sign_of_life(run.run_id)
        died = sign is Sign.LEFT or (sign is Sign.NONE and self._should_have_shown(run))
        if tags.PRODUCT in run.tags and died:
            return CheckRunHealthResult(WorkerStatus.FAILED, "its process ended in the middle of it")
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def _should_have_shown(self, run: DagsterRun) -> bool:
        record = self._instance.get_run_record_by_id(run.run_id)
        started = record.start_time if record else None
        return started is not None and time.time() - started > SHOWS_WITHIN
