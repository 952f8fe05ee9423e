"""The four laws on real rows, each with a test that fails when it is broken, also when runs are killed, asked for twice, or MLflow is away.

One file, so that one worker lives the ten days once.
"""

import json
import multiprocessing
import re
import shutil
import signal
import time
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import dagster as dg
import pandas as pd
import pytest
from mlflow import MlflowClient

from evergreen.as_of import AsOf
from evergreen.errors import OverlapError
from evergreen.evaluation import refuse_overlap
from evergreen.product_files import overlay
from evergreen.training import manifest_of, possible_training_ids, read_manifest_rows
from pipelines import places, tags
from pipelines.instance import opened_instance
from pipelines.products import build_definitions
from pipelines.registry import registry_here
from tests.loop.life import (
    DAILY,
    SHORT,
    Loop,
    Told,
    canonical,
    copied,
    enter,
    failures,
    first_days,
    make_loop,
    replay_as_a_process,
)

DAY, LAST = "2013-01-09", "2013-01-10"
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
GIVE_UP_AFTER = 120  # seconds
PROCESSES = multiprocessing.get_context("forkserver")
"""New processes, each from one that has imported what a replay needs and done nothing else: importing it four times costs most."""
PROCESSES.set_forkserver_preload(
    [
        "tests.loop.life",
        "mlflow.sklearn",
        "evergreen.models",
        "evergreen.plots",
        "pandera.pandas",
        "pandera.backends.pandas.register",
        "pandera.backends.pandas.builtin_checks",
    ]
)


def garbage(frame: pd.DataFrame) -> pd.DataFrame:
    """The same rows with every number and flag turned around."""
    wrong = frame.copy()
    for name in wrong.columns:
        if wrong[name].dtype == bool:
            wrong[name] = ~wrong[name]
        elif wrong[name].dtype.kind in "fi":
            wrong[name] = -1000 - wrong[name]
    return wrong


def poison(folder: Path, after: str) -> int:
    """Every Parquet file for a day after `after` is replaced by garbage of the same shape."""
    files = [path for path in folder.rglob("*.parquet") if DATE.findall(str(path))[-1] > after]
    for path in files:
        garbage(pd.read_parquet(path)).to_parquet(path, index=False)
    return len(files)


@pytest.fixture
def ten_days(lived_ten_days, tmp_path, monkeypatch) -> Loop:
    """A copy of ten days, the last two of them decided; a test may damage it."""
    return copied(lived_ten_days, tmp_path / "copy", monkeypatch)


@pytest.fixture(scope="module")
def _hard_life(tmp_path_factory, landing) -> tuple[Loop, Told]:
    """Ten days whose later deliveries are garbage, killed four times and then completed; and what the last replay told."""
    folder = tmp_path_factory.mktemp("hard")
    poisoned_landing = first_days(landing, folder / "poisoned", 20)
    assert poison(poisoned_landing, LAST) == 2 * (20 - 10)
    with pytest.MonkeyPatch.context() as patch:
        loop = make_loop(folder / "days", poisoned_landing, patch, overlay(SHORT, DAILY))
        document = loop.store.document_path
        days = {number: loop.product.time.start.replace(day=number) for number in (3, 9, 10)}
        kill_when(loop, lambda: loop.store.path("batch", days[3]).exists())
        kill_when(loop, lambda: document("baseline_model", days[9]).exists())
        kill_when(loop, lambda: len(loop.decisions) == 1)
        kill_when(loop, lambda: document("refit_model", days[10]).exists())
        return loop, loop.live(LAST)


@pytest.fixture
def hard_life(_hard_life, monkeypatch) -> Loop:
    """That life, to be read alone."""
    enter(_hard_life[0].folder, monkeypatch)
    return _hard_life[0]


def test_a_poisoned_future_changes_nothing(ten_days, hard_life):
    """Law 1: a life whose later deliveries are garbage is the same life, up to the day before."""
    assert len(hard_life.decisions) == 2
    assert hard_life.content(LAST) == ten_days.content(LAST)


def test_a_day_run_again_reads_nothing_later_than_itself(ten_days):
    """Law 1: with every later partition turned into garbage, a day and its retrain still come out as they were."""
    before, decisions = ten_days.content(DAY), len(ten_days.decisions)
    page = ten_days.store.root / "reports" / f"{DAY}.html"
    said = page.read_text()
    assert poison(ten_days.store.root, DAY) > 0

    assert ten_days.run_again("daily", DAY).success
    assert ten_days.run_again("retrain", DAY).success

    assert ten_days.content(DAY) == before
    assert page.read_text() == said
    assert len(ten_days.decisions) == decisions


def forget_decisions(loop: Loop) -> None:
    loop.home.promotions(loop.product).path.unlink()
    for name in ("training_set", "baseline_model", "candidate_model", "evaluation_report", "refit_model"):
        shutil.rmtree(loop.store.root / name)


def readings(loop: Loop) -> dict[str, tuple[str, str]]:
    """The last decision's gates: role and verdict."""
    return {gate["name"]: (gate["role"], gate["verdict"]) for gate in loop.decisions[-1]["gates"]}


def test_a_disabled_gate_is_off_on_the_record_and_reads_when_it_is_not(ten_days):
    """Also, that a new process loads what the registry gave and answers alike."""
    assert readings(ten_days)["new_process"] == ("hard", "off")
    forget_decisions(ten_days)
    path = ten_days.folder / "configs" / "products" / "flights.yaml"
    path.write_text(path.read_text().replace("- new_process", "- latency"))

    assert ten_days.run_again("retrain", DAY).success

    found = readings(ten_days)
    assert [found[name][1] for name in ("new_process", "reloads", "size", "latency")] == ["pass", "pass", "pass", "off"]


def test_a_day_decided_after_its_future_was_poisoned_is_decided_the_same(ten_days):
    """Law 1: not a recorded decision but a fresh one, taken among later partitions and outcomes that are garbage."""
    expected = canonical(ten_days.decisions[0])
    forget_decisions(ten_days)
    assert poison(ten_days.store.root, DAY) > 0

    assert ten_days.run_again("retrain", DAY).success

    [decided] = ten_days.decisions
    compared = ("decision", "deciding_gate", "gates", "training", "evaluation")
    assert {name: canonical(decided)[name] for name in compared} == {name: expected[name] for name in compared}


@pytest.mark.parametrize(
    ("decided", "edited", "rows"),
    [("2013-01-10", "2013-01-01", "training"), ("2013-01-09", "2013-01-08", "evaluation")],
)
def test_a_changed_past_is_refused_where_it_was_decided(ten_days, decided, edited, rows):
    """Law 1: a decided day, promoted or kept, verifies its digests; data that was edited since is an error that names both."""
    loop = ten_days
    sets = loop.home.evaluation_sets(loop.product).entries()
    judged_on = loop.store.read_document("evaluation_set", date.fromisoformat(decided))
    path = loop.store.path("labels", date.fromisoformat(edited))
    labels = pd.read_parquet(path)
    labels.assign(label=1 - labels.label).to_parquet(path, index=False)

    result = loop.run_again("retrain", decided)

    assert not result.success
    assert f"flights/{decided} was decided on the {rows} digest" in failures(result)
    assert loop.home.evaluation_sets(loop.product).entries() == sets
    assert loop.store.read_document("evaluation_set", date.fromisoformat(decided)) == judged_on


def test_labels_that_come_early_are_not_used_early(ten_days):
    """Law 2: outcomes of the as-of day are delivered and stored, and neither train nor judge before they are due."""
    loop = ten_days
    day = loop.store.days("batch")[-1]
    view = AsOf(loop.store, loop.product, day)

    delivered = view.label_log(view.product.time.start)
    mature = view.mature(view.product.time.start)

    ids_of_today = set(loop.store.read("batch", day).flight_id)
    early = ids_of_today & set(delivered.id[delivered.label.notna()])
    assert len(early) > 500, "most flights of the day have landed: their labels are stored"
    assert not early & set(mature.rows.flight_id)
    assert str(day) not in [str(known) for known in mature.whole_days()]


def test_an_outcome_that_is_told_on_the_eve_waits_for_its_flight(new_loop, landing, tmp_path):
    """Law 2: it is an orphan of the day that told it, a label of the day that has the flight, and of use when that is due."""
    early = first_days(landing, tmp_path / "early", 3)
    paths = [early / "outcomes" / f"2013-01-0{number}.parquet" for number in (1, 2)]
    told_before, told_then = map(pd.read_parquet, paths)
    cancelled = told_then[told_then.flight_id.str.startswith("2013-01-02")].iloc[:1]
    eve = cancelled.assign(outcome_at=told_before.outcome_at.iloc[0], cancelled=True)
    pd.concat([told_before, eve]).to_parquet(paths[0], index=False)
    told_then.drop(cancelled.index).to_parquet(paths[1], index=False)
    loop = new_loop("early", {"retraining": {"triggers": []}}, deliveries=early)
    loop.live("2013-01-03")
    first, then, due = loop.store.days("labels")

    logs = {day: loop.store.read("labels", day).set_index("id").origin for day in (first, then, due)}
    flight = cancelled.flight_id.item()
    assert [log.get(flight) for log in logs.values()] == ["unmatched", "outcome", None]
    views = [AsOf(loop.store, loop.product, day).mature(first) for day in (then, due)]
    assert [view.rows.set_index("flight_id").label.get(flight) for view in views] == [None, 1.0]
    for day, orphans in ((first, 1), (then, 0)):
        digest = loop.store.digest("labels", day)
        [shown] = loop.run_again("daily", str(day), only="labels").asset_materializations_for_node("flights__labels")
        counts = {name: shown.metadata[name].value for name in ("orphans", "labelled", "pending")}
        assert counts["orphans"] == (logs[day] == "unmatched").sum() == orphans
        assert sum(counts.values()) == len(logs[day])
        assert loop.store.digest("labels", day) == digest, "a day that is done again gives the same"


def test_mature_rows_without_an_outcome_are_pending_and_too_many_of_them_judge_nothing(new_loop, landing, tmp_path):
    """Law 2: deliveries that stop leave rows pending, counted, without a class; days under the coverage bound have no measures."""
    silent = first_days(landing, tmp_path / "silent", 5)
    for day in ("2013-01-03", "2013-01-04"):
        path = silent / "outcomes" / f"{day}.parquet"
        pd.read_parquet(path).iloc[:0].to_parquet(path, index=False)
    loop = new_loop("silent", {"retraining": {"schedule": "weekly", "triggers": []}}, deliveries=silent)
    loop.live("2013-01-05")
    log = loop.store.read("labels", loop.store.days("labels")[3])

    pending = log[log.origin == "none"]

    assert len(pending) > 800
    assert pending.label.isna().all()
    judged = loop.store.read("performance", loop.store.days("performance")[3])
    assert (judged.coverage < 0.95).all()
    assert judged.log_loss.isna().all()


def test_a_judging_row_that_was_trained_on_stops_the_run(ten_days):
    """Law 3: a training manifest that reaches into the judging days fails the run, and nothing is decided."""
    loop, day = ten_days, "2013-01-10"
    loop.home.promotions(loop.product).path.unlink()
    path = loop.store.document_path("training_set", loop.store.days("batch")[-1])
    manifest = json.loads(path.read_text())
    manifest["days"].append(str(loop.store.read_document("evaluation_set", loop.store.days("batch")[-1])["days"][0]))
    path.write_text(json.dumps(manifest))

    result = loop.run_again("retrain", day, only="evaluation_report")

    assert not result.success
    assert "were trained on by the candidate" in failures(result)
    assert loop.decisions == []


def test_judging_days_that_a_wider_window_takes_from_the_champion_judge_nothing(ten_days):
    """Law 3: with a window of six days the champion's twin was trained on the first of them, and stays champion until they have passed."""
    loop = ten_days.changed({"evaluation": {"window": "6d"}})

    loop.live("2013-01-11")

    before, decided = loop.decisions[-2:]
    assert (decided["as_of"], decided["serving"]["champion"]) == ("2013-01-11", before["serving"]["champion"])
    [compared] = [gate for gate in decided["gates"] if gate["name"] == "comparison"]
    assert compared["verdict"] == "not enough evidence"
    assert "it was trained through 2013-01-05 and the judging days begin with 2013-01-05" in compared["sentence"]


def test_what_ships_knows_the_judging_days_and_what_was_judged_does_not(ten_days):
    """Law 3: the refit of the promoted candidate is trained through the newest whole day, its twin to the day before the first judging
    one; a kept candidate has no refit; and a refit that is judged on its own rows stops the run."""
    kept, promoted = ten_days.decisions
    assert (kept["decision"], promoted["decision"]) == ("kept", "promoted")
    assert kept["refit"] is None and "twin" not in kept["candidate"]
    ships, twin, days = promoted["candidate"], promoted["candidate"]["twin"], promoted["evaluation"]["days"]
    assert promoted["serving"]["champion"] == ships
    assert (ships["trained_through"], ships["training_digest"]) == (days[-1], promoted["refit"]["digest"])
    assert twin["trained_through"] == promoted["training"]["last_day"] < days[0]
    assert promoted["refit"]["rows"] > promoted["training"]["rows"]
    assert ships["reference_log_loss"] == twin["reference_log_loss"]

    view = AsOf(ten_days.store, ten_days.product, date.fromisoformat(promoted["as_of"]))
    made = ten_days.store.read_document("training_set", view.day)
    judging = read_manifest_rows(view, ten_days.store.read_document("evaluation_set", view.day)).flight_id
    assert refuse_overlap(judging, {"twin": possible_training_ids(view, manifest_of(made, twin))}) > 1000
    with pytest.raises(OverlapError, match=f"{len(judging)} judging rows were trained on by the refit"):
        refuse_overlap(judging, {"refit": possible_training_ids(view, manifest_of(made, ships))})


def test_missing_evidence_is_never_a_number(ten_days):
    """Law 4: before the first decision nothing has a measure, and a champion of a week has no alarm threshold."""
    loop = ten_days
    days = loop.store.document_days("retrain_decision")

    for day in (days[0], days[-1]):
        decision = loop.store.read_document("retrain_decision", day)
        performance = decision["readings"][0]
        assert not decision["retrain"]
        assert performance["threshold"] is None
        assert performance["evidence"].startswith("not enough evidence (n=")
    first = loop.store.read_document("retrain_decision", days[0])
    assert first["readings"][1] == {
        "trigger": "drift",
        "value": None,
        "threshold": 0.25,
        "fired": False,
        "evidence": "not enough evidence (no champion to drift from, or under 200 rows)",
    }
    judged = next(gate for gate in loop.decisions[0]["gates"] if gate["name"] == "slices")
    assert (judged["verdict"], judged["value"]) == ("not enough evidence", None)


def kill_when(loop: Loop, moment: Callable[[], bool]) -> None:
    """Start the command line's replay in a process of its own, and kill it as soon as `moment` has come."""
    process = PROCESSES.Process(target=replay_as_a_process, args=(str(loop.folder), LAST))
    process.start()
    deadline = time.monotonic() + GIVE_UP_AFTER
    while not moment() and process.is_alive():
        assert time.monotonic() < deadline, "the moment to kill the replay never came"
        time.sleep(0.002)
    assert process.is_alive(), "the replay ended before it could be killed"
    process.kill()
    process.join()
    assert process.exitcode == -signal.SIGKILL


def versions() -> list[tuple[str, str]]:
    """(decision, role) of every registered version."""
    found = MlflowClient(places.tracking_uri()).search_model_versions("name='flights'")
    return sorted((version.tags["evergreen.decision"], version.tags["evergreen.role"]) for version in found)


def test_killed_replays_end_where_an_uninterrupted_one_does(ten_days, _hard_life, monkeypatch):
    """Law 1: killed at any moment, the next run completes, with nothing lost or doubled."""
    whole = (ten_days.content(LAST), versions())
    killed, told = _hard_life
    enter(killed.folder, monkeypatch)
    with opened_instance() as instance:
        left = [run.status.value for run in instance.get_runs() if run.status.value not in ("SUCCESS", "FAILURE")]

    expected = sorted((f"flights/2013-01-{day}", role) for day in ("09", "10") for role in ("baseline", "candidate"))
    expected.append((f"flights/{LAST}", "refit"))
    assert whole == (killed.content(LAST), expected)
    assert versions() == expected
    assert left == []
    assert told.notes[0] == "A run that was interrupted is done again."


def test_mlflow_that_does_not_answer_fails_the_retrain_and_not_the_scoring(ten_days, monkeypatch):
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    with pytest.raises(Exception, match="flights_retrain failed for 2013-01-11") as failure:
        ten_days.live("2013-01-11")

    assert "MLflow at http://127.0.0.1:9 does not answer" in str(failure.value)
    assert "unset MLFLOW_TRACKING_URI" in str(failure.value)
    assert str(ten_days.store.days("predictions")[-1]) == "2013-01-11"
    projected = (ten_days.store.root / "aliases.json").read_bytes()
    nobody = ten_days.decisions[-1]["serving"] | {"champion": None}
    assert "are left behind the ledger" in str(registry_here().follow("flights", nobody))
    assert (ten_days.store.root / "aliases.json").read_bytes() == projected, "what did not answer was not moved"
    monkeypatch.delenv("MLFLOW_TRACKING_URI")
    ten_days.live("2013-01-11")
    assert [entry["as_of"] for entry in ten_days.decisions] == ["2013-01-09", "2013-01-10", "2013-01-11"]


def look(loop: Loop) -> Any:
    definitions = build_definitions()
    repository = definitions.get_repository_def()
    with (
        opened_instance() as instance,
        dg.build_sensor_context(instance, repository_def=repository, resources={"home": loop.home}) as context,
    ):
        return definitions.resolve_sensor_def("flights_retrain_sensor").evaluate_tick(context)


def fire(loop: Loop, day: str) -> None:
    """The day's decision says that performance crossed its threshold."""
    decision = loop.store.read_document("retrain_decision", date.fromisoformat(day))
    loop.store.write_document(
        "retrain_decision", date.fromisoformat(day), decision | {"retrain": True, "fired": ["performance"]}
    )


def test_the_sensor_asks_once_a_decision_and_never_for_a_decided_day(ten_days):
    """A fired decision becomes one request; once the day is decided, whoever asked for it, there is none."""
    by_age = {"schedule": "0 4 1 7 *", "triggers": [{"kind": "staleness", "days": 1}], "cooldown": "1d"}
    loop = ten_days.changed({"retraining": by_age})
    loop.live("2013-01-12")
    newest = loop.decisions[-1]
    assert (newest["as_of"], newest["requested_by"]) == ("2013-01-12", "sensor: staleness")
    assert look(loop).skip_message == "flights/2013-01-12 is decided already"

    loop.live("2013-01-13")
    assert look(loop).skip_message == "2013-01-13: No retrain: no trigger fired."
    fire(loop, "2013-01-13")
    held = "flights/2013-01-13: held back by cooldown (1 days after 2013-01-12)"
    assert look(loop).skip_message == held, "a day that was caught up did not know of the retrain before it"

    loop = loop.changed({"retraining": {"triggers": []}})
    loop.live("2013-01-14")
    fire(loop, "2013-01-14")
    job = build_definitions().resolve_job_def("flights_retrain")
    with opened_instance() as instance:
        waiting = instance.create_run_for_job(job, tags={tags.PARTITION: "2013-01-13"})
        assert look(loop).skip_message == "flights/2013-01-14: held back by cooldown (1 days after 2013-01-13)"
        instance.delete_run(waiting.run_id)
    asked = [request.run_key for _ in range(2) for request in look(loop).run_requests]
    assert asked == ["retrain/flights/2013-01-14"] * 2, "one key: the daemon runs it once"

    assert loop.run_again("retrain", "2013-01-14").success
    assert look(loop).skip_message == "flights/2013-01-14 is decided already"
    assert loop.run_again("retrain", "2013-01-14").success
    assert [entry["as_of"] for entry in loop.decisions][2:] == ["2013-01-12", "2013-01-14"]
