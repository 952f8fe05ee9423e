"""Killed at any moment, the next run completes, with nothing lost or doubled."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable

from mlflow import MlflowClient

from pipelines import places
from pipelines.instance import opened_instance
from tests.loop.life import Loop

LAST = "2013-01-10"
DAILY = {"retraining": {"schedule": "daily", "triggers": []}}
GIVE_UP_AFTER = 120


def kill_when(moment: Callable[[], bool]) -> None:
    """Start the command line's replay in a process of its own, and kill it as soon as `moment` has come."""
    process = subprocess.Popen(
        [sys.executable, "-m", "pipelines.cli", "replay", "flights", "--to", LAST],
        cwd=places.REPOSITORY,
        stdout=subprocess.DEVNULL,
        env={**os.environ},
    )
    deadline = time.monotonic() + GIVE_UP_AFTER
    while not moment() and process.poll() is None:
        assert time.monotonic() < deadline, "the moment to kill the replay never came"
        time.sleep(0.002)
    assert process.poll() is None, "the replay ended before it could be killed"
    process.send_signal(signal.SIGKILL)
    process.wait()


def versions() -> list[tuple[str, str]]:
    """(decision, role) of every registered version."""
    found = MlflowClient(places.tracking_uri()).search_model_versions("name='flights'")
    return sorted((version.tags["evergreen.decision"], version.tags["evergreen.role"]) for version in found)


def test_killed_replays_end_where_an_uninterrupted_one_does(new_loop):
    killed: Loop = new_loop("killed", DAILY)
    document = killed.store.document_path
    days = {number: killed.product.time.start.replace(day=number) for number in (3, 9, 10)}
    kill_when(lambda: killed.store.path("batch", days[3]).exists())
    kill_when(lambda: document("baseline_model", days[9]).exists())
    kill_when(lambda: len(killed.decisions) == 1)
    told = killed.live(LAST)
    after = (killed.content(LAST), versions())
    with opened_instance() as instance:
        left = [run.status.value for run in instance.get_runs() if run.status.value not in ("SUCCESS", "FAILURE")]

    whole: Loop = new_loop("whole", DAILY)
    whole.live(LAST)

    assert after[0] == whole.content(LAST)
    assert (
        after[1]
        == versions()
        == sorted((f"flights/{days[day]}", role) for day in (9, 10) for role in ("baseline", "candidate"))
    )
    assert left == []
    assert told.notes[0] == "A run that was interrupted is done again."
