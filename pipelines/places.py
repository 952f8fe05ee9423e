"""Where things lie on this machine: read from the environment at call time, never at import."""

import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
DAGSTER_DATABASE = "EVERGREEN_DAGSTER_POSTGRES_URL"
TRACKING_URI = "MLFLOW_TRACKING_URI"


def home() -> Path:
    """The folder with all data, ledgers, Dagster and MLflow stores: EVERGREEN_HOME, or `.evergreen` in the repository."""
    return Path(os.environ.get("EVERGREEN_HOME") or REPOSITORY / ".evergreen").resolve()


def configs() -> Path:
    """The folder with `products/` and `experiments/`: EVERGREEN_CONFIGS, or `configs` in the repository."""
    return Path(os.environ.get("EVERGREEN_CONFIGS") or REPOSITORY / "configs").resolve()


def dagster_url() -> str:
    return os.environ.get("EVERGREEN_DAGSTER_URL", "http://127.0.0.1:3000")


def dagster_database() -> str | None:
    """The PostgreSQL database of Dagster's runs and events, a secret: EVERGREEN_DAGSTER_POSTGRES_URL, such as
    postgresql+psycopg2://USER:PASSWORD@HOST/DATABASE. None: they lie in SQLite files in the home."""
    return os.environ.get(DAGSTER_DATABASE) or None


def tracking_uri() -> str:
    """MLflow's store: MLFLOW_TRACKING_URI, a server or a database (then a secret), or a SQLite file in the home."""
    return os.environ.get(TRACKING_URI) or f"sqlite:///{home() / 'mlflow' / 'mlflow.db'}"


def is_database(tracking_uri: str) -> bool:
    """Whether MLflow's store is a database that this installation opens itself, with artifacts in the home."""
    return tracking_uri.partition(":")[0].partition("+")[0] in ("sqlite", "postgresql", "mysql", "mssql")


def mlflow_url() -> str:
    """Where MLflow's pages are: the tracking server itself, or the one that `make ui` starts."""
    uri = tracking_uri()
    return uri if uri.startswith("http") else os.environ.get("EVERGREEN_MLFLOW_URL", "http://127.0.0.1:5000")
