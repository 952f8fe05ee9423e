"""What went wrong in a run, in one message: the rule that was broken and the way out, not the stack."""

from typing import Any

import dagster as dg

from evergreen.errors import EvergreenError


class RunFailed(EvergreenError):
    """A Dagster run failed; the message says which, and why."""


def explain_failure(result: dg.ExecuteInProcessResult, job: str, day: str) -> str:
    """The failed blocking checks and the innermost errors of a run's failed steps."""
    reasons = [check.description or check.check_name for check in result.get_asset_check_evaluations() if _stops(check)]
    for event in result.all_events:
        if event.is_step_failure and not reasons:
            reasons.append(_reason(event.step_failure_data.error) or event.message or "unknown failure")
    text = "\n".join(reasons) or "the run was interrupted"
    return f"{job} failed for {day}: {text}\n(run {result.run_id[:8]}; the full trace is in the Dagster UI: make ui)"


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
