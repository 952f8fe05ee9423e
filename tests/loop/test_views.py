"""What people look at: lineage over GraphQL, the command line's explanations, the report, an experiment."""

import pytest
from starlette.testclient import TestClient
from typer.testing import CliRunner

from pipelines.cli import app
from pipelines.instance import prepare_home

pytestmark = pytest.mark.xdist_group("hundred")

LINEAGE = """{ assetNodes(group: {groupName: "flights", repositoryName: "__repository__", repositoryLocationName: "evergreen"}) {
    assetKey { path } dependencyKeys { path } groupName kinds isPartitioned } }"""
RUNS = '{ pipelineRunsOrError(filter: {pipelineName: "flights_retrain"}) { ... on Runs { results { status tags { key value } } } } }'


def ask(query: str) -> dict:
    from dagster import DagsterInstance
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.webserver import DagsterWebserver

    from pipelines import places

    prepare_home()
    with (
        DagsterInstance.get() as instance,
        WorkspaceProcessContext(instance, WorkspaceFileTarget([str(places.REPOSITORY / "workspace.yaml")])) as context,
        TestClient(DagsterWebserver(context).create_asgi_app()) as client,
    ):
        return client.post("/graphql", json={"query": query}).json()["data"]


def test_the_webserver_shows_the_lineage_from_raw_batch_to_promotion(hundred_days):
    nodes = {node["assetKey"]["path"][-1]: node for node in ask(LINEAGE)["assetNodes"]}

    upstream, path = "promotion", ["promotion"]
    while nodes[upstream]["dependencyKeys"]:
        upstream = nodes[upstream]["dependencyKeys"][0]["path"][-1]
        path.append(upstream)
    assert len(nodes) == 15
    assert path[-1] == "raw_batch"
    assert all(node["groupName"] == "flights" and node["isPartitioned"] for node in nodes.values())
    assert {"xgboost", "mlflow"} <= set(nodes["candidate_model"]["kinds"])


def test_the_webserver_knows_the_runs_of_the_replay(hundred_days):
    runs = ask(RUNS)["pipelineRunsOrError"]["results"]

    assert len(runs) >= len(hundred_days.decisions) > 5
    requested = {tag["value"] for run in runs for tag in run["tags"] if tag["key"] == "evergreen/requested_by"}
    assert "schedule" in requested


def invoke(*arguments: str) -> str:
    """The command line's output; a purposeful error leaves as its message."""
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(arguments))
    return result.output if result.exception is None else str(result.exception)


def test_a_prediction_is_traced_to_its_delivery_its_training_and_its_gates(hundred_days):
    entry = next(entry for entry in hundred_days.decisions if entry["decision"] == "promoted")
    made = hundred_days.store.read("predictions", hundred_days.store.days("predictions")[-1])

    text = invoke("explain", "flights", "--prediction", made.id.iloc[0])

    served = hundred_days.decisions[-1]["serving"]["champion"]
    for expected in (
        "events/2013-04-10.parquet",
        f"served by: champion, version {served['version']}",
        f"training: digest {served['training_digest']}, through {served['trained_through']}",
        f"config {hundred_days.product.digest}",
        "beats_baseline (hard): pass",
    ):
        assert expected in text.replace("\n", " "), text
    assert entry["effective_from"] > entry["as_of"]


def test_status_says_who_serves_and_what_was_decided(hundred_days):
    text = invoke("status", "flights")

    assert f"champion v{hundred_days.decisions[-1]['serving']['champion']['version']}" in text
    assert "last retrain" in text


def test_the_report_opens_without_anything_from_outside(hundred_days):
    page = (hundred_days.store.root / "reports" / "2013-04-10.html").read_text()

    assert "never retraining" in page
    assert "polyline" in page
    assert not [word for word in ("http://", "https://", "src=", "@import") if word in page]


def test_an_experiment_judges_both_recipes_and_writes_no_ledger(hundred_days):
    before = hundred_days.content("2013-04-10")

    first = invoke("experiment", "without_aircraft")
    second = invoke("experiment", "without_aircraft", "--as-of", "2013-04-10")

    assert "Log-loss, changed minus current:" in first
    assert "over 28 days" in first
    assert "looked at 1 time(s)" in first
    assert "looked at 2 time(s)" in second
    assert hundred_days.content("2013-04-10") == before
