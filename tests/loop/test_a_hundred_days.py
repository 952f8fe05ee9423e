"""A hundred days, retrained daily, then weekly, then when it is needed: the laws over a longer life, MLflow beside it, and what
people look at.

One file, so that one worker lives the hundred days once.
"""

import re
import shutil
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import dagster as dg
import mlflow
import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient
from starlette.testclient import TestClient
from typer.testing import CliRunner

from evergreen.periods import days_between
from evergreen.promotion import judged
from pipelines import places, tags
from pipelines.cli import app
from pipelines.instance import opened_instance, prepare_home
from pipelines.products import build_definitions
from pipelines.registry import Registry
from tests.loop.life import TABLES_OF_A_DAY, Loop, assert_decisions, copied, failures, tick

FOUR_WEEKS, EIGHT_WEEKS, LAST = date(2013, 1, 28), date(2013, 2, 25), "2013-04-10"
DAILY = [str(day) for day in days_between(date(2013, 1, 22), FOUR_WEEKS)]
SUNDAYS = [str(day) for day in days_between(FOUR_WEEKS, EIGHT_WEEKS) if day.weekday() == 6]
BY_AGE = "2013-03-20"  # what serves was trained as of 17 February, more than 30 days before: the 24th was refused


@pytest.fixture(scope="module")
def lived(_hundred_days: Loop) -> dict[str, Any]:
    """What every day held when the hundred were over."""
    return _hundred_days.content(LAST)


@pytest.fixture
def client(hundred_days) -> MlflowClient:
    mlflow.set_tracking_uri(places.tracking_uri())
    return MlflowClient(places.tracking_uri())


def registered(client: MlflowClient) -> tuple[int, dict[str, str]]:
    """How many versions there are, and where each alias points."""
    return len(client.search_model_versions("name='flights'")), dict(client.get_registered_model("flights").aliases)


def test_day_40_run_again_after_day_100_moves_nothing(hundred_days: Loop, lived, client):
    """Law 1: the decision stands, no version is added, no alias moves, and who served that day is still who served it."""
    versions, aliases = registered(client)
    decided = next(entry["as_of"] for entry in hundred_days.decisions if entry["as_of"] >= "2013-02-09")

    for day in ("2013-02-09", decided):
        assert hundred_days.run_again("daily", day).success
    assert hundred_days.run_again("retrain", decided).success

    assert hundred_days.content(LAST) == lived
    assert registered(client) == (versions, aliases)


def test_retrains_every_day_and_then_every_sunday_that_can_be_decided(hundred_days: Loop, capsys):
    """28 days `daily` and 28 `weekly` under the default gates: the exact days, and no row that judges what was trained on it.

    In the six weeks after them the schedule asks for nothing, and the age of what serves asks once: a refusal made nothing newer.
    """
    asked = [entry["requested_by"] for entry in hundred_days.decisions]
    assert asked == ["schedule"] * (len(DAILY) + len(SUNDAYS)) + ["sensor: staleness"]
    with capsys.disabled():
        print(f"\ndaily, weekly, by age: {assert_decisions(hundred_days, [*DAILY, *SUNDAYS, BY_AGE])}")


def test_a_second_replay_does_no_day_twice_and_repeats_no_retrain(hundred_days: Loop):
    def runs() -> list[str]:
        with opened_instance() as instance:
            return [run.run_id for run in instance.get_runs()]

    before = runs()

    assert hundred_days.live(LAST).days == []

    assert runs() == before
    with opened_instance() as instance:
        asked = [run.tags.get(tags.REQUESTED_BY) for run in instance.get_runs() if run.job_name == "flights_retrain"]
    assert len([name for name in asked if name]) == len(hundred_days.decisions)


def test_a_training_run_says_everything_about_itself(hundred_days, client):
    entry = hundred_days.decisions[-1]
    run = client.get_run(judged(entry["candidate"])["run_id"])

    assert run.data.params["kind"] == "xgboost"
    assert run.data.params["n_estimators"] == "20"
    assert run.data.metrics["training_rows"] == entry["training"]["rows"]
    assert run.data.metrics["judged_log_loss"] == pytest.approx(entry["candidate"]["reference_log_loss"])
    assert run.data.tags["evergreen.training_digest"] == entry["training"]["digest"]
    assert run.data.tags["evergreen.evaluation_digest"] == entry["evaluation"]["digest"]
    assert run.data.tags["evergreen.config"] == hundred_days.product.digest
    assert run.data.tags["mlflow.source.git.commit"]
    assert run.data.tags["mlflow.note.content"].endswith(f"/runs/{run.data.tags['evergreen.dagster_run']}")
    assert {"calibration.png", "precision_recall.png", "importances.svg"} <= {
        artifact.path for artifact in client.list_artifacts(run.info.run_id)
    }


def test_a_promotion_costs_one_more_version_and_a_refusal_none(hundred_days, client):
    """A version a role and decision; the refit's run says that it learnt from more than its twin, and nothing of a judgement."""
    promoted = [entry for entry in hundred_days.decisions if entry["decision"] == "promoted"]
    versions = client.search_model_versions("name='flights'")
    roles = [version.tags["evergreen.role"] for version in versions]
    decisions = len(hundred_days.decisions)
    assert 0 < len(promoted) < decisions
    assert {role: roles.count(role) for role in set(roles)} == {
        "baseline": decisions,
        "candidate": decisions,
        "refit": len(promoted),
    }
    run = client.get_run(promoted[-1]["candidate"]["run_id"])
    assert run.data.metrics["training_rows"] == promoted[-1]["refit"]["rows"] > promoted[-1]["training"]["rows"]
    assert "judged_log_loss" not in run.data.metrics
    reference = promoted[-1]["candidate"]["reference_log_loss"]
    assert run.data.metrics["twin_judged_log_loss"] == pytest.approx(reference)
    assert run.data.tags["evergreen.twin"].endswith(judged(promoted[-1]["candidate"])["run_id"])
    said = {int(version.version): version.description for version in versions}
    assert said[promoted[-1]["candidate"]["version"]].startswith("Promoted: ")


def test_the_columns_that_the_ui_shows_are_those_of_the_tables(hundred_days):
    day = hundred_days.store.days("batch")[-1]
    specs = {spec.key.path[-1]: spec for spec in build_definitions().resolve_all_asset_specs()}
    for table in TABLES_OF_A_DAY:
        shown = specs[table].metadata["dagster/column_schema"].columns
        written = hundred_days.store.read(table, day)
        assert {column.name: column.type for column in shown} == {
            str(name): str(kind) for name, kind in written.dtypes.items()
        }
        assert all(column.description for column in shown)


def test_an_assets_page_has_row_counts_pictures_and_a_decision_in_words(hundred_days):
    with opened_instance() as instance:

        def shown(name: str, day: object) -> dict[str, Any]:
            wanted = dg.AssetRecordsFilter(dg.AssetKey(["flights", name]), asset_partitions=[str(day)])
            [record] = instance.fetch_materializations(wanted, limit=1).records
            return {label: value.value for label, value in record.asset_materialization.metadata.items()}

        day = hundred_days.store.days("batch")[-1]
        for table in TABLES_OF_A_DAY:
            assert shown(table, day)["dagster/row_count"] == len(hundred_days.store.read(table, day))
        assert shown("performance", day)["live"].startswith("![Expected cost, live, by day](data:image/svg+xml;base64,")
        assert shown("drift", day)["by_feature"].startswith(
            "![Population stability index, by feature](data:image/svg+xml;base64,"
        )
        numbers = shown("health_report", day)
        titles = re.findall(r"!\[(.*?)\]", numbers["by_day"])
        assert titles[0] == "Rows, by day" and len(titles) == 5
        assert numbers["rows"] == len(hundred_days.store.read("predictions", day))
        assert numbers["served_log_loss"] == shown("performance", day)["served_log_loss"]
        promotion = shown("promotion", hundred_days.decisions[-1]["as_of"])
        assert next(iter(promotion)) == "decision"
        assert "asked for by a trigger (staleness)" in promotion["decision"]


def test_the_report_of_a_day_shows_its_champion_and_the_index_lists_every_day(hundred_days):
    folder = hundred_days.store.root / "reports"
    index, page = (folder / "index.html").read_text(), (folder / "2013-04-10.html").read_text()
    assert sorted(set(re.findall(r'href="(\d{4}-\d\d-\d\d)\.html"', index))) == [
        str(day) for day in hundred_days.store.days("batch")
    ]
    champion = hundred_days.decisions[-1]["serving"]["champion"]["version"]
    assert f"Served by the champion, version {champion}" in page
    assert "share of the gain that the trees drew from it" in page


def test_aliases_are_the_ledgers_head_and_the_newest_candidate(hundred_days, client):
    newest = hundred_days.decisions[-1]
    serving = newest["serving"]
    expected = {"champion": "champion", "previous": "previous", "baseline": "baseline", "never_retrained": "first"}
    aliases = client.get_registered_model("flights").aliases

    assert {alias: str(version) for alias, version in aliases.items()} == {
        **{alias: str(serving[role]["version"]) for alias, role in expected.items() if serving[role]},
        "candidate": str(newest["candidate"]["version"]),
    }


def test_a_moved_alias_is_put_back_at_start_up(hundred_days, client):
    champion = hundred_days.decisions[-1]["serving"]["champion"]["version"]
    client.set_registered_model_alias("flights", "champion", "1")

    told = hundred_days.live(LAST)

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


def test_the_daily_schedule_asks_for_the_days_that_nobody_did(hundred_days):
    """The day that has just ended, and before it those of a weekend without a daemon."""
    found = tick(hundred_days, "flights_daily_schedule", datetime(2013, 4, 13, 6, 30, tzinfo=UTC))

    assert [(request.partition_key, request.run_key) for request in found.run_requests] == [
        ("2013-04-11", "daily/flights/2013-04-11"),
        ("2013-04-12", "daily/flights/2013-04-12"),
    ]


def test_the_daily_schedule_asks_for_no_day_twice(hundred_days):
    found = tick(hundred_days, "flights_daily_schedule", datetime(2013, 3, 5, 7, 30, tzinfo=UTC))

    assert found.skip_message == "every day up to 2013-03-04 is done or under way"


def test_outside_its_life_a_product_asks_for_nothing(hundred_days):
    found = tick(hundred_days, "flights_daily_schedule", datetime(2026, 3, 5, 7, 30, tzinfo=UTC))

    assert found.run_requests == []
    assert found.skip_message.startswith("flights lives from 2013-01-01 to 2013-12-31")


def test_the_retrain_schedule_does_not_ask_where_a_later_day_is_decided(hundred_days):
    found = tick(hundred_days, "flights_retrain_schedule", datetime(2013, 2, 11, 9, tzinfo=UTC))

    assert found.skip_message == "flights/2013-02-10 is decided already, or a later day is"


def test_the_retrain_schedule_asks_for_the_newest_monitored_day(hundred_days):
    [request] = tick(hundred_days, "flights_retrain_schedule", datetime(2013, 4, 22, 9, tzinfo=UTC)).run_requests

    assert (request.partition_key, request.run_key) == (LAST, f"retrain/flights/{LAST}")
    assert request.tags["evergreen/requested_by"] == "schedule"


LINEAGE = """{ assetNodes(group: {groupName: "flights", repositoryName: "__repository__", repositoryLocationName: "evergreen"}) {
    assetKey { path } dependencyKeys { path } groupName kinds isPartitioned } }"""
LAUNCHPAD = """{ pipelineOrError(params: {
    pipelineName: "flights_experiment", repositoryName: "__repository__", repositoryLocationName: "evergreen"
}) { ... on Pipeline { presets { runConfigYaml } } } }"""
RUNS = """{ pipelineRunsOrError(filter: {
    pipelineName: "flights_retrain", tags: [{key: ".dagster/repository", value: "__repository__@evergreen"}]
}) { ... on Runs { results { status tags { key value } } } } }"""
CHECKS = """{ assetCheckExecutions(assetKey: {path: ["flights", "batch"]}, checkName: "day_is_usable", limit: 200) {
    status partition evaluation { success } } }"""


def ask(query: str) -> dict:
    from dagster import DagsterInstance
    from dagster._core.workspace.context import WorkspaceProcessContext
    from dagster._core.workspace.load_target import WorkspaceFileTarget
    from dagster_webserver.webserver import DagsterWebserver

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
    assert len(nodes) == 16
    assert path[-1] == "raw_batch"
    assert all(node["groupName"] == "flights" and node["isPartitioned"] for node in nodes.values())
    assert {"xgboost", "mlflow"} <= set(nodes["candidate_model"]["kinds"])


def test_the_webserver_knows_the_runs_of_the_replay(hundred_days):
    runs = ask(RUNS)["pipelineRunsOrError"]["results"]

    assert len(runs) >= len(hundred_days.decisions) > 5
    requested = {tag["value"] for run in runs for tag in run["tags"] if tag["key"] == "evergreen/requested_by"}
    assert "schedule" in requested


def test_a_check_has_one_result_a_run_and_its_day(hundred_days):
    found = ask(CHECKS)["assetCheckExecutions"]

    assert {check["partition"] for check in found} == {str(day) for day in hundred_days.store.days("batch")}
    assert all(check["evaluation"] for check in found)


def invoke(*arguments: str) -> str:
    """The command line's output; a purposeful error leaves as its message."""
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, list(arguments))
    return result.output if result.exception is None else str(result.exception)


def squeezed(text: str) -> str:
    """Without the blanks and branches with which the terminal wraps lines."""
    return re.sub(r"[\s│├└─]+", "", text)


def test_a_prediction_is_traced_to_its_delivery_its_training_and_its_gates(hundred_days):
    entry = next(entry for entry in hundred_days.decisions if entry["decision"] == "promoted")
    made = hundred_days.store.read("predictions", hundred_days.store.days("predictions")[-1])

    text = invoke("explain", "flights", "--prediction", made.id.iloc[0])

    served = hundred_days.decisions[-1]["serving"]["champion"]
    for expected in (
        "events/2013-04-10.parquet",
        f"served by: champion, version {served['version']}",
        f"training: digest {served['training_digest']}, through {served['trained_through']}",
        f"config {served['config']}",
        "beats_baseline (hard): pass",
    ):
        assert squeezed(expected) in squeezed(text), text
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


EXPERIMENTS = {
    "shallow": {
        "hypothesis": "Shallower trees overfit less on few days.",
        "expected": {"metric": "log_loss", "change": -0.5},
        "sweep": {"training.model.max_depth": [2, 3]},
    },
    "strict": {
        "hypothesis": "A bound that nothing keeps lets nothing through.",
        "expected": {"metric": "promotions", "change": -1},
        "changes": {"gates": {"ranking_loss_at_most": 0.0001}, "retraining": {"triggers": []}},
    },
}


@pytest.fixture
def experiments(hundred_days: Loop, tmp_path, monkeypatch) -> Loop:
    """The hundred days, with two experiments of the test's own."""
    shutil.copytree(hundred_days.folder / "configs" / "products", tmp_path / "products")
    (tmp_path / "experiments").mkdir()
    for name, content in EXPERIMENTS.items():
        declared = {"version": 2, "name": name, "product": "flights", **content}
        (tmp_path / "experiments" / f"{name}.yaml").write_text(yaml.safe_dump(declared))
    monkeypatch.setenv("EVERGREEN_CONFIGS", str(tmp_path))
    return hundred_days


def files(loop: Loop) -> dict[Path, int]:
    """When each file of the product's folder was written."""
    return {path: path.stat().st_mtime_ns for path in loop.store.root.rglob("*") if path.is_file()}


def test_an_experiment_judges_both_recipes_and_writes_no_ledger(hundred_days, client):
    before = files(hundred_days)

    first = invoke("experiment", "without_aircraft", "--as-of", LAST)

    assert "Log-loss, changed minus current:" in first
    assert "over 14 days" in first
    assert "Expected: log_loss at most +0.001; found " in first
    assert "looked at 1 time(s)" in first
    assert files(hundred_days) == before
    [run] = client.search_runs([client.get_experiment_by_name("flights/experiments").experiment_id])
    assert run.data.params["expected"] == "log_loss at most +0.001"
    assert run.data.tags["evergreen.judged"] in ("met", "not met", "cannot tell")


def test_a_sweep_from_the_launchpad_is_gone_on_with_from_the_command_line(experiments, client):
    """What the launchpad shows filled in is launched as it is; no point is fitted a second time."""
    [preset] = ask(LAUNCHPAD)["pipelineOrError"]["presets"]
    filled_in = yaml.safe_load(preset["runConfigYaml"])
    assert filled_in["ops"]["flights__experiment"]["config"] == {"name": "shallow", "as_of": "", "sweep": True}

    with opened_instance() as instance:
        job = build_definitions().resolve_job_def("flights_experiment")
        launched = job.execute_in_process(instance=instance)
    again = invoke("experiment", "shallow", "--sweep")

    assert launched.output_for_node("flights__experiment")["done_before"] == 0
    assert "2 of 2 points were done before." in again
    assert "Best of 2: max_depth=" in again and "corrected for 2 looks" in again
    assert "Expected: log_loss -0.5; found " in again and again.count("not met") == 1
    runs = client.search_runs([client.get_experiment_by_name("flights/experiments").experiment_id])
    parents = {run.info.run_id for run in runs if run.info.run_name == "shallow"}
    children = [run for run in runs if run.data.tags.get("mlflow.parentRunId") in parents]
    assert (len(parents), sorted(run.info.run_name for run in children)) == (2, ["max_depth=2", "max_depth=3"])
    listed = invoke("experiments", "flights")
    assert listed.count("shallow") == 2 and "not met" in listed


def test_another_policy_is_told_what_it_would_have_decided(experiments):
    """The current product's own count is what happened: hindsight takes the recorded evidence for what it was."""
    before = files(experiments)

    told = invoke("experiment", "strict")

    happened = sum(entry["decision"] == "promoted" for entry in experiments.decisions)
    days = len(experiments.decisions)
    assert f"Promotions on the evidence of {days} recorded days: {happened} with the current product, " in told
    assert "kept by ranking: Daily AUC" in told
    assert "Retrains on the evidence of 100 recorded days: " in told and ", 0 with the changed one" in told
    assert "Expected: promotions -1; found -" in told and "met." in told
    assert files(experiments) == before


@pytest.fixture
def edited(hundred_days: Loop, tmp_path, monkeypatch):
    """`edited(changes)`: a copy of the hundred days, after somebody changed the product file."""

    def edit(changes: dict[str, Any]) -> Loop:
        return copied(hundred_days, tmp_path / "copy", monkeypatch).changed(changes)

    return edit


def test_a_feature_that_leaves_the_product_file_takes_no_model_down(edited):
    """The champion goes on with the features that it was trained on; the poorer recipe has to prove itself, and does not."""
    loop = edited({"features": {"numeric": ["distance", "minute_of_day", "temp"]}})

    assert loop.run_again("daily", "2013-04-11").success
    assert loop.run_again("retrain", "2013-04-11").success

    made = loop.store.read("predictions", loop.store.days("predictions")[-1])
    assert set(made.served_by) == {"champion"}
    newest = loop.decisions[-1]
    assert newest["as_of"] == "2013-04-11"
    assert newest["decision"] == "kept"
    [comparison] = [gate for gate in newest["gates"] if gate["name"] == "comparison"]
    assert comparison["sentence"].startswith("Change of recipe: log-loss differs by")


def test_a_decided_day_stays_decided_after_the_recipe_was_changed(edited, lived, client):
    loop, versions = edited({"training": {"model": {"max_depth": 2}}}), registered(client)
    decided = loop.decisions[-1]["as_of"]

    assert loop.run_again("retrain", decided).success

    assert loop.content(LAST) == lived
    assert registered(MlflowClient(places.tracking_uri())) == versions


def test_a_day_before_the_newest_decision_cannot_be_decided_any_more(edited):
    loop = edited({})

    result = loop.run_again("retrain", "2013-03-13")

    assert not result.success
    assert "2013-03-13 cannot be decided any more" in failures(result)
