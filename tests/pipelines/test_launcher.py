"""A run whose process died is told from one that lives, has not begun to show, or is no product's."""

import os
import signal
import subprocess
import sys
import time

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus

from pipelines import places, tags
from pipelines.alive import Sign, alive, sign_of_life
from pipelines.instance import opened_instance
from pipelines.launcher import SHOWS_WITHIN, WatchedRunLauncher


@pytest.fixture
def instance(tmp_path, monkeypatch):
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path))
    with opened_instance() as instance:
        yield instance


def killed(run_id: str) -> None:
    """A process that shows a sign of life for the run, and is killed."""
    code = f"from pipelines.alive import alive\nwith alive({run_id!r}):\n    print('shown', flush=True)\n    input()"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=places.REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ},
    )
    with process:
        assert process.stdout is not None
        process.stdout.readline()
        assert sign_of_life(run_id) is Sign.HELD
        process.send_signal(signal.SIGKILL)


def test_a_sign_of_life_ends_with_the_process_and_goes_with_the_run(instance):
    assert sign_of_life("run") is Sign.NONE
    with alive("run"):
        assert sign_of_life("run") is Sign.HELD
    assert sign_of_life("run") is Sign.NONE
    killed("run")
    assert sign_of_life("run") is Sign.LEFT


def started(instance: dg.DagsterInstance, run_id: str, tagged: bool, ago: float) -> dg.DagsterRun:
    run = dg.DagsterRun("flights_daily", run_id=run_id, tags={tags.PRODUCT: "flights"} if tagged else {})
    instance.add_run(run)
    event = dg.DagsterEvent("PIPELINE_START", "flights_daily")
    instance.handle_new_event(
        dg.EventLogEntry(
            error_info=None,
            level="debug",
            user_message="",
            run_id=run_id,
            timestamp=time.time() - ago,
            dagster_event=event,
        )
    )
    return run


@pytest.mark.parametrize(
    ("tagged", "ago", "left", "status"),
    [
        (True, 1, True, WorkerStatus.FAILED),
        (True, 1, False, WorkerStatus.RUNNING),
        (True, SHOWS_WITHIN + 1, False, WorkerStatus.FAILED),
        (False, SHOWS_WITHIN + 1, False, WorkerStatus.RUNNING),
    ],
    ids=["died", "just started", "never showed", "no product's"],
)
def test_the_health_of_a_started_run(instance, tagged, ago, left, status):
    launcher = instance.run_launcher
    run = started(instance, "0" * 8, tagged, ago)
    if left:
        killed(run.run_id)

    assert isinstance(launcher, WatchedRunLauncher)
    assert launcher.check_run_worker_health(run).status is status
