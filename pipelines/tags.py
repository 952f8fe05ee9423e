"""The tags that Evergreen's runs carry."""

PRODUCT = "evergreen/product"
REQUESTED_BY = "evergreen/requested_by"
IN_PROCESS = "evergreen/in_process"
PARTITION = "dagster/partition"
RUN_KEY = "dagster/run_key"
OF_THIS_PROCESS = {IN_PROCESS: "true", ".dagster/repository": "__repository__@evergreen"}
"""Of runs that no daemon launched; the second is by what the UI finds a job's runs: repository @ code location (workspace.yaml)."""
RETRY_WHOLE = {"dagster/retry_strategy": "ALL_STEPS"}
"""Of a run whose process died: every step is idempotent, and a later one may have read half a day."""
