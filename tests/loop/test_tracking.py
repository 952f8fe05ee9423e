"""MLflow beside the loop: every training run is traceable, and aliases are a projection of the ledger."""

import mlflow
import numpy as np
import pandas as pd
import pytest
from mlflow import MlflowClient

from pipelines import places
from pipelines.registry import Registry

pytestmark = pytest.mark.xdist_group("hundred")


@pytest.fixture
def client(hundred_days) -> MlflowClient:
    mlflow.set_tracking_uri(places.tracking_uri())
    return MlflowClient(places.tracking_uri())


def test_a_training_run_says_everything_about_itself(hundred_days, client):
    entry = hundred_days.decisions[-1]
    run = client.get_run(entry["candidate"]["run_id"])

    assert run.data.params["kind"] == "xgboost"
    assert run.data.params["n_estimators"] == "20"
    assert run.data.metrics["training_rows"] == entry["training"]["rows"]
    assert run.data.metrics["judged_log_loss"] == pytest.approx(entry["candidate"]["reference_log_loss"])
    assert run.data.tags["evergreen.training_digest"] == entry["training"]["digest"]
    assert run.data.tags["evergreen.evaluation_digest"] == entry["evaluation"]["digest"]
    assert run.data.tags["evergreen.config"] == hundred_days.product.digest
    assert run.data.tags["mlflow.source.git.commit"]
    assert run.data.tags["mlflow.note.content"].endswith(f"/runs/{run.data.tags['evergreen.dagster_run']}")
    assert {"calibration.png", "importances.png"} <= {
        artifact.path for artifact in client.list_artifacts(run.info.run_id)
    }


def test_aliases_are_the_ledgers_head(hundred_days, client):
    serving = hundred_days.decisions[-1]["serving"]
    expected = {"champion": "champion", "previous": "previous", "baseline": "baseline", "never_retrained": "first"}
    aliases = client.get_registered_model("flights").aliases

    assert {alias: str(version) for alias, version in aliases.items()} == {
        alias: str(serving[role]["version"]) for alias, role in expected.items() if serving[role]
    }


def test_a_moved_alias_is_put_back_at_start_up(hundred_days, client):
    champion = hundred_days.decisions[-1]["serving"]["champion"]["version"]
    client.set_registered_model_alias("flights", "champion", "1")

    told = hundred_days.live("2013-04-10")

    assert told.notes == ["MLflow aliases repaired from the ledger: champion."]
    assert client.get_model_version_by_alias("flights", "champion").version == champion


def test_anyone_can_load_the_champion_by_alias_and_gets_what_was_served(hundred_days, client):
    """The registered model, through MLflow's own interface, answers as the predictions table says."""
    entry = hundred_days.decisions[-1]
    day = pd.Timestamp(entry["effective_from"]).date()
    rows, made = hundred_days.store.read("batch", day), hundred_days.store.read("predictions", day)
    assert set(made.served_by) == {"champion"}

    model = mlflow.pyfunc.load_model("models:/flights@champion")
    answered = model.predict(rows[hundred_days.product.features.names])[:, 1]

    assert set(model.metadata.get_input_schema().input_names()) == set(hundred_days.product.features.names)
    assert np.allclose(answered, made.score, atol=1e-7)


def test_scoring_needs_no_registry(hundred_days, tmp_path):
    """With a tracking server that does not exist, the kept file answers; a file that was changed does not."""
    from evergreen.errors import ModelError

    record = hundred_days.decisions[-1]["serving"]["champion"]
    registry = Registry(home=hundred_days.home.path, tracking_uri=f"sqlite:///{tmp_path / 'nothing' / 'here.db'}")

    assert registry.load("flights", record).predict_proba is not None
    with pytest.raises(ModelError, match="differs from the file that was judged"):
        changed = tmp_path / "flights" / "models" / f"{record['digest']}.skops"
        changed.parent.mkdir(parents=True)
        changed.write_bytes(b"something else")
        Registry(home=str(tmp_path), tracking_uri=registry.tracking_uri).load("flights", record)
