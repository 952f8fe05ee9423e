"""The real daemon and webserver on today's date: what they start by themselves, once each, also when they are killed.

It waits for the clock, so it is not part of `make test`: `make live` runs it.
"""

import json
import os
import signal
import socket
import subprocess
import time
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pandas as pd
import pytest
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.remote_origin import RegisteredCodeLocationOrigin, RemoteInstigatorOrigin, RemoteRepositoryOrigin
from dagster._core.scheduler.instigation import InstigatorState, InstigatorStatus, ScheduleInstigatorData
from mlflow import MlflowClient

from evergreen.periods import ONE_DAY, Periods, days_between
from evergreen.product_files import overlay
from evergreen.samples import nycflights_live
from evergreen.storage import write_parquet
from pipelines import places, tags
from pipelines.instance import opened_instance
from pipelines.servers import HOST, daemon_command, webserver_command
from tests.loop.life import SHORT, Loop, make_loop
from tests.pipelines.receivers import webhook

PATIENCE = 240  # seconds
LIVED = 17  # days before yesterday: the first decision falls on the ninth, the performance trigger can fire from the fifteenth
AUGUST = date(2013, 8, 5)  # what the first day repeats: its first candidate beats the baseline on four days of training
HOOK = "TEST_HOOK"
CODE_LOCATION, REPOSITORY = "evergreen", "__repository__"
TRIGGER = {"kind": "performance", "over": "3d", "false_alarms": 2}


class Clock:
    """Yesterday in the product's time zone, and the days before it."""

    def __init__(self) -> None:
        self.yesterday = Periods(date(2000, 1, 1), None, nycflights_live.TIMEZONE).last_ended(datetime.now(UTC))
        self.start = self.yesterday - LIVED * ONE_DAY


class Servers:
    """The daemon and the webserver, in process groups that can be killed as a machine would stop them."""

    def __init__(self, log: Path) -> None:
        self.log, self.running = log, []
        with socket.socket() as free:
            free.bind((HOST, 0))
            self.port = free.getsockname()[1]

    def start(self) -> None:
        with self.log.open("a") as log:
            for command in (webserver_command(self.port), daemon_command()):
                self.running.append(
                    subprocess.Popen(command, cwd=places.REPOSITORY, stdout=log, stderr=log, start_new_session=True)
                )

    def kill(self) -> None:
        for process in self.running:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        self.running.clear()

    def runs(self) -> list[dict[str, Any]]:
        """Every run, as the webserver tells of it."""
        found = self._ask("runsOrError { ... on Runs { results { runId jobName status tags { key value } } } }")
        return [{**run, "tags": {tag["key"]: tag["value"] for tag in run["tags"]}} for run in found["results"]]

    def every_sensor_looked_since(self, moment: float) -> bool:
        """Whether each sensor began to look after a moment, and came to its end."""
        here = f'{{repositoryLocationName: "{CODE_LOCATION}", repositoryName: "{REPOSITORY}"}}'
        newest = "sensorState { ticks(limit: 1) { timestamp status } }"
        found = self._ask(
            f"sensorsOrError(repositorySelector: {here}) {{ ... on Sensors {{ results {{ {newest} }} }} }}"
        )
        looks = [sensor["sensorState"]["ticks"] for sensor in found["results"]]
        assert len(looks) == 5, "a product has five sensors"
        return all(ticks and ticks[0]["timestamp"] > moment and ticks[0]["status"] != "STARTED" for ticks in looks)

    def _ask(self, query: str) -> dict[str, Any]:
        request = urllib.request.Request(
            f"http://{HOST}:{self.port}/graphql",
            json.dumps({"query": f"{{ answer: {query} }}"}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            return json.load(answer)["data"]["answer"]


def wait_for(what: str, moment: Callable[[], bool], log: Path) -> None:
    deadline = time.monotonic() + PATIENCE
    while not moment():
        assert time.monotonic() < deadline, f"{what} did not come:\n{log.read_text()[-5000:]}"
        time.sleep(0.2)


def deliver(
    folder: Path, start: date, day: date, kinds: tuple[str, ...] = ("events", "outcomes"), contrary: bool = False
) -> None:
    """A day's files; `contrary` turns the delays around, so that everything the model learnt is wrong."""
    begins = start - (AUGUST - nycflights_live.FIRST)
    tables = dict(zip(("events", "outcomes"), nycflights_live.read(day, begins), strict=True))
    if contrary:
        outcomes = tables["outcomes"]
        tables["outcomes"] = outcomes.assign(arr_delay=29.0 - outcomes.arr_delay)
    for kind in kinds:
        write_parquet(tables[kind], folder / kind / f"{day}.parquet")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def loop(tmp_path: Path, clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Loop:
    """A life up to the day before yesterday, with a champion that three contrary days prove wrong.

    Yesterday's outcomes have not been delivered. Its schedule has just ticked, with the daemon down: it makes good what it missed.
    """
    landing = tmp_path / "landing"
    for day in days_between(clock.start, clock.yesterday):
        deliver(landing, clock.start, day, contrary=clock.yesterday - day <= timedelta(days=3))
    (landing / "outcomes" / f"{clock.yesterday}.parquet").unlink()
    ninth = clock.start + 9 * ONE_DAY
    time_of_life = {"time": {"start": str(clock.start), "end": None}}
    retraining = {"schedule": f"0 4 {ninth.day} {ninth.month} *", "triggers": [TRIGGER], "cooldown": "1d"}
    lenient = {"good_enough": {"metric": "expected_cost", "at_most": 2.6}}  # four days of training teach little
    told = {"channels": [{"kind": "log"}, {"kind": "webhook", "url_from": HOOK}]}
    changes = overlay(SHORT, {**time_of_life, "decision": lenient, "retraining": retraining, "alerts": told})
    made = make_loop(tmp_path / "live", landing, monkeypatch, changes, with_tables=False)
    made.live(str(clock.yesterday - ONE_DAY))
    assert [(entry["as_of"], entry["decision"]) for entry in made.decisions] == [(str(ninth - ONE_DAY), "promoted")]
    tick = datetime.now(ZoneInfo(nycflights_live.TIMEZONE))
    _running_since("flights_daily_schedule", tick - timedelta(minutes=1))
    return made.changed({"time": {"runs_at": f"{tick.minute} {tick.hour} * * *"}})


def _running_since(schedule: str, moment: datetime) -> None:
    """Into Dagster's books, as a daemon that saw the schedule at that moment for the first time would have written."""
    repository = RemoteRepositoryOrigin(RegisteredCodeLocationOrigin(CODE_LOCATION), REPOSITORY)
    state = InstigatorState(
        RemoteInstigatorOrigin(repository, schedule),
        InstigatorType.SCHEDULE,
        InstigatorStatus.DECLARED_IN_CODE,
        ScheduleInstigatorData("", moment.timestamp()),
    )
    with opened_instance() as instance:
        instance.add_instigator_state(state)


def asked(servers: Servers, job: str, day: date) -> list[dict[str, Any]]:
    """The runs of a job for a day."""
    return [run for run in servers.runs() if run["jobName"] == job and run["tags"][tags.PARTITION] == str(day)]


def ended(runs: list[dict[str, Any]]) -> Counter[str]:
    return Counter(run["status"] for run in runs)


def versions() -> Counter[tuple[str, str]]:
    """How often each (decision, role) was registered."""
    found = MlflowClient(places.tracking_uri()).search_model_versions("name='flights'")
    return Counter((version.tags["evergreen.decision"], version.tags["evergreen.role"]) for version in found)


@pytest.fixture
def posted(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[dict[str, Any]]]:
    """What arrives at the product's webhook."""
    with webhook() as (url, bodies):
        monkeypatch.setenv(HOOK, url)
        yield bodies


def about(posted: list[dict[str, Any]], job: str) -> list[str]:
    """The subjects of the messages about a job's failures."""
    return [body["text"].splitlines()[0] for body in posted if job in body["text"]]


def test_the_daemon_lives_the_day(loop: Loop, posted: list[dict[str, Any]], clock: Clock, tmp_path: Path):
    day, log, landing = clock.yesterday, tmp_path / "servers.log", tmp_path / "landing"
    corrected = day - 5 * ONE_DAY
    before = loop.store.read("predictions", corrected)
    servers = Servers(log)
    servers.start()
    try:
        # a corrected delivery of an earlier day is asked for, that day alone, once
        events = landing / "events" / f"{corrected}.parquet"
        write_parquet(pd.read_parquet(events).iloc[1:], events)

        # the schedule asks for yesterday; its outcomes were not delivered, so the run fails, and one alert is raised
        wait_for("the alert", lambda: bool(about(posted, "flights_daily")), log)
        [failed] = asked(servers, "flights_daily", day)
        assert (failed["status"], failed["tags"][tags.RUN_KEY]) == ("FAILURE", f"daily/flights/{day}")
        wait_for("the corrected day", lambda: ended(asked(servers, "flights_daily", corrected))["SUCCESS"] == 2, log)

        # the late delivery is noticed, and the day is done
        deliver(landing, clock.start, day, ("outcomes",), contrary=True)
        wait_for("the late day", lambda: loop.store.document_path("retrain_decision", day).exists(), log)
        decision = loop.store.read_document("retrain_decision", day)
        assert decision["fired"] == ["performance"], decision

        # its performance asks for a retrain, which is killed in the middle with everything else
        wait_for("the retrain", lambda: loop.store.document_path("baseline_model", day).exists(), log)
        servers.kill()
        assert [entry["as_of"] for entry in loop.decisions] == [str(clock.start + 8 * ONE_DAY)]

        # started again, the retrain is done, once; a delivery that came again meanwhile with the same content is not asked for
        deliver(landing, clock.start, day, ("events",))
        servers.start()
        wait_for("the decision", lambda: len(loop.decisions) == 2, log)
        wait_for("the retried run", lambda: ended(asked(servers, "flights_retrain", day))["SUCCESS"] == 1, log)
        moment = time.time()
        wait_for("another look of every sensor", lambda: servers.every_sensor_looked_since(moment), log)

        runs = servers.runs()
    finally:
        servers.kill()

    assert len(about(posted, "flights_daily")) == 2, "one that the day failed, one that this is over"
    failures = [entry["job"] for entry in loop.home.failed_runs(loop.product).entries() if entry["event"] == "failed"]
    assert failures == ["flights_daily", "flights_retrain"]
    requested = Counter((run["jobName"], run["tags"][tags.PARTITION], run["status"]) for run in runs)
    expected = {
        ("flights_daily", str(day), "FAILURE"): 1,
        ("flights_daily", str(day), "SUCCESS"): 1,
        ("flights_daily", str(corrected), "SUCCESS"): 2,
        ("flights_retrain", str(day), "FAILURE"): 1,
        ("flights_retrain", str(day), "SUCCESS"): 1,
    }
    lived = {
        ("flights_daily", str(lived), "SUCCESS"): 1
        for lived in days_between(clock.start, day - ONE_DAY)
        if lived != corrected
    }
    first = {("flights_retrain", str(clock.start + 8 * ONE_DAY), "SUCCESS"): 1}
    assert requested == Counter(expected | lived | first)
    assert set(versions().values()) == {1}
    assert len(versions()) == 4
    assert loop.decisions[-1]["requested_by"] == "sensor: performance"
    answers = loop.store.read("predictions", corrected)
    pd.testing.assert_frame_equal(answers, before[before.id.isin(answers.id)].reset_index(drop=True))
    assert len(answers) == len(before) - 1
