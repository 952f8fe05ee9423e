"""Dagster's and MLflow's stores as databases: what is written, what is refused, and what nobody gets to see."""

import pytest
import yaml

from evergreen.errors import ConfigError, DatabaseError, RegistryError
from pipelines import places
from pipelines.instance import prepare_home
from pipelines.registry import Registry
from pipelines.servers import _mlflow_command

ABSENT = "postgresql+psycopg2://me:sesame@127.0.0.1:9/"


@pytest.fixture
def home(tmp_path, monkeypatch):
    for variable in ("EVERGREEN_HOME", "DAGSTER_HOME", "MLFLOW_BACKEND_STORE_URI"):
        monkeypatch.setenv(variable, str(tmp_path))
    for variable in (places.DAGSTER_DATABASE, places.TRACKING_URI):
        monkeypatch.delenv(variable, raising=False)
    return tmp_path


def settings(home):
    return yaml.safe_load((home / "dagster" / "dagster.yaml").read_text())


def test_dagsters_settings_follow_the_environment_and_name_the_variable_alone(home, postgres, monkeypatch):
    shipped = yaml.safe_load((places.REPOSITORY / "configs" / "dagster.yaml").read_text())
    prepare_home()
    assert settings(home) == shipped
    monkeypatch.setenv(places.DAGSTER_DATABASE, postgres.url())
    prepare_home()
    assert settings(home) == {**shipped, "storage": {"postgres": {"postgres_url": {"env": places.DAGSTER_DATABASE}}}}
    monkeypatch.delenv(places.DAGSTER_DATABASE)
    prepare_home()
    assert settings(home) == shipped


@pytest.mark.parametrize(
    ("dagster", "mlflow", "error", "message"),
    [
        ("postgresql://me:sesame@host/one", "", ConfigError, "a URL that spells the driver out, postgresql+psycopg2://USER"),
        ("sesame", "", ConfigError, "a URL that spells the driver out"),
        (ABSENT + "one", ABSENT + "one", ConfigError, "lead to one database, but Dagster and MLflow keep tables of the same names"),
        (ABSENT + "one", ABSENT + "two", DatabaseError, "EVERGREEN_DAGSTER_POSTGRES_URL: postgresql+psycopg2://***@127.0.0.1:9/one"),
    ],
)  # fmt: skip
def test_a_database_on_which_dagster_would_not_come_up_is_refused_first(
    home, monkeypatch, dagster, mlflow, error, message
):
    monkeypatch.setenv(places.DAGSTER_DATABASE, dagster)
    monkeypatch.setenv(places.TRACKING_URI, mlflow)
    with pytest.raises(error) as refused:
        prepare_home()
    assert message in str(refused.value)
    assert "sesame" not in str(refused.value)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        (ABSENT + "mlflow", "MLFLOW_TRACKING_URI: postgresql+psycopg2://***@127.0.0.1:9/mlflow cannot be opened (connection to server"),
        ("postgresql://me:sesame@127.0.0.1:9/mlflow", "no driver for postgresql://***@127.0.0.1:9/mlflow is installed"),
    ],
)  # fmt: skip
def test_a_registry_that_cannot_be_reached_is_named_without_the_password(home, uri, message):
    registry = Registry(home=str(home), tracking_uri=uri)
    with pytest.raises(RegistryError) as refused:
        registry.project("shop", {})
    assert message in str(refused.value)
    assert "sesame" not in f"{refused.value} {registry}"


@pytest.mark.parametrize(
    ("uri", "opened_here"),
    [
        ("", True),
        (ABSENT + "mlflow", True),
        ("mysql+pymysql://host/mlflow", True),
        ("http://127.0.0.1:5000", False),
        ("databricks", False),
    ],
)
def test_a_store_in_a_database_is_opened_by_this_installation(home, monkeypatch, uri, opened_here):
    monkeypatch.setenv(places.TRACKING_URI, uri)
    assert places.is_database(places.tracking_uri()) == opened_here


def test_the_password_is_not_in_the_list_of_processes(home, monkeypatch):
    monkeypatch.setenv(places.TRACKING_URI, ABSENT + "mlflow")
    assert "sesame" not in " ".join(_mlflow_command(5000))
