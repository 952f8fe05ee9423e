"""What went wrong in a run, in one message: the rule that was broken and the way out, not the stack."""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from evergreen.errors import EvergreenError

CHECKED = dg.DagsterEventType.ASSET_CHECK_EVALUATION.value


class RunFailed(EvergreenError):
    """A Dagster run failed; the message says which, and why."""


def explain_failure(result: dg.ExecuteInProcessResult, job: str, day: str) -> str:
    """The failed blocking checks and the innermost errors of a run's failed steps."""
    return (
        f"{job} failed for {day}: {failure_reason(result.all_events)}\n"
        f"(run {result.run_id[:8]}; the full trace is in the Dagster UI: make ui)"
    )


def failure_reason(events: Sequence[dg.DagsterEvent]) -> str:
    """What a run's events say about why it failed, a line each."""
    checks = [event.asset_check_evaluation_data for event in events if event.event_type_value == CHECKED]
    reasons = [check.description or check.check_name for check in checks if _stops(check)]
    if not reasons:
        failed = [event for event in events if event.is_step_failure]
        reasons = [_reason(event.step_failure_data.error) or event.message or "unknown failure" for event in failed]
    return "\n".join(reasons) or "the run was interrupted"


def _stops(check: dg.AssetCheckEvaluation) -> bool:
    return not check.passed and check.severity == dg.AssetCheckSeverity.ERROR


def _reason(error: Any) -> str | None:
    """The message of the error that Evergreen raised on purpose; where there is none, of the innermost one with its type."""
    chain = []
    while error is not None:
        chain.append(error.message.strip())
        error = error.cause
    purposeful = [message.partition(": ")[2] for message in chain if message.startswith("evergreen.errors.")]
    return (purposeful or chain[::-1] or [None])[0]
