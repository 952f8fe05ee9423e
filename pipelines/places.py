"""Where things lie on this machine: read from the environment at call time, never at import."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent


def home() -> Path:
    """The folder with all data, ledgers, Dagster and MLflow stores: EVERGREEN_HOME, or `.evergreen` in the repository."""
    return Path(os.environ.get("EVERGREEN_HOME") or REPOSITORY / ".evergreen").resolve()


def configs() -> Path:
    """The folder with `products/` and `experiments/`: EVERGREEN_CONFIGS, or `configs` in the repository."""
    return Path(os.environ.get("EVERGREEN_CONFIGS") or REPOSITORY / "configs").resolve()


def dagster_url() -> str:
    return os.environ.get("EVERGREEN_DAGSTER_URL", "http://127.0.0.1:3000")


def tracking_uri() -> str:
    """The MLflow tracking server: MLFLOW_TRACKING_URI, or a SQLite file in the home."""
    return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{home() / 'mlflow' / 'mlflow.db'}"


def mlflow_url() -> str:
    """Where MLflow's pages are: the tracking server itself, or the one that `make ui` starts."""
    uri = tracking_uri()
    return uri if uri.startswith("http") else os.environ.get("EVERGREEN_MLFLOW_URL", "http://127.0.0.1:5000")
