"""What went wrong in a run, in one message: the rule that was broken and the way out, not the stack."""

import dagster as dg

from evergreen.errors import EvergreenError


class RunFailed(EvergreenError):
    """A Dagster run failed; the message says which, and why."""


def explain_failure(result: dg.ExecuteInProcessResult, job: str, day: str) -> str:
    """The failed blocking checks and the innermost errors of a run's failed steps."""
    reasons = [check.description or check.check_name for check in result.get_asset_check_evaluations() if _stops(check)]
    for event in result.all_events:
        if event.is_step_failure and not reasons:
            error = event.step_failure_data.error
            while error is not None and error.cause is not None:
                error = error.cause
            reasons.append(error.message.strip() if error else event.message or "unknown failure")
    text = "\n".join(_without_module(reason) for reason in reasons) or "the run was interrupted"
    return f"{job} failed for {day}: {text}\n(run {result.run_id[:8]}; the full trace is in the Dagster UI: make ui)"


def _stops(check: dg.AssetCheckEvaluation) -> bool:
    return not check.passed and check.severity == dg.AssetCheckSeverity.ERROR


def _without_module(message: str) -> str:
    """`evergreen.errors.SourceError: text` is shown as `text`; other errors keep their type's name."""
    head, separator, tail = message.partition(": ")
    return tail if separator and head.startswith("evergreen.errors.") else message
