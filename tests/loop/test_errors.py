"""Each thing that goes wrong gives one message with the way out, and leaves what was there intact."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from pipelines import places
from tests.loop.life import Loop, evergreen, first_days, tick

ONE_WEEK = {"retraining": {"schedule": "weekly", "triggers": []}}


def refused(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("evergreen: ")
    return " ".join(result.stderr.split())


def empty(path: Path) -> None:
    pd.read_parquet(path).iloc[:0].to_parquet(path, index=False)


def spoil(path: Path) -> None:
    pd.read_parquet(path).assign(origin="nowhere").to_parquet(path, index=False)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "2013-01-02.parquet has not been delivered: deliver it and run the day again"),
        (lambda path: path.write_bytes(b"not parquet"), "2013-01-02.parquet is not readable as Parquet"),
        (empty, "volume: 0 rows, at least 300 are expected a day; the day is in quarantine as a whole"),
        (spoil, "rows are bad; the day is in quarantine as a whole: correct the delivery"),
    ],
    ids=["not delivered", "unreadable", "empty day", "all rows bad"],
)
def test_a_bad_delivery_stops_its_day_and_the_mended_one_goes_on(new_loop, landing, tmp_path, damage, message):
    good = landing / "events" / "2013-01-02.parquet"
    loop: Loop = new_loop("bad", ONE_WEEK, deliveries=first_days(landing, tmp_path / "landing", 2))
    place = tmp_path / "landing" / "events" / "2013-01-02.parquet"
    damage(place)

    with pytest.raises(Exception, match="flights_daily failed for 2013-01-02") as failure:
        loop.live("2013-01-02")

    assert message in " ".join(str(failure.value).split())
    assert [str(day) for day in loop.store.days("predictions")] == ["2013-01-01"]
    shutil.copy(good, place)
    assert len(loop.live("2013-01-02").days) == 1


def test_a_refused_day_does_not_stop_the_days_after_it(new_loop, landing, tmp_path):
    """In production the next day's tick comes anyway: what the refused day leaves out is counted, not invented."""
    loop: Loop = new_loop("refused", ONE_WEEK, deliveries=first_days(landing, tmp_path / "landing", 4))
    empty(tmp_path / "landing" / "events" / "2013-01-02.parquet")
    results = [loop.run_again("daily", f"2013-01-0{day}").success for day in (1, 2, 3, 4)]

    assert results == [True, False, True, True]
    assert len(loop.store.read("quarantine", loop.store.days("quarantine")[1])) == 0
    assert [str(day) for day in loop.store.days("predictions")] == ["2013-01-01", "2013-01-03", "2013-01-04"]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.unlink(), "partition(s) of batch are missing"),
        (lambda path: path.write_bytes(b"PAR1 garbage"), "is not a readable Parquet file"),
    ],
    ids=["missing", "corrupt"],
)
def test_a_lost_partition_names_itself_and_the_way_out(new_loop, damage, message):
    loop: Loop = new_loop("lost", ONE_WEEK)
    loop.live("2013-01-02")
    damage(loop.store.path("batch", loop.store.days("batch")[0]))

    with pytest.raises(Exception, match="flights_daily failed for 2013-01-03") as failure:
        loop.live("2013-01-03")

    text = " ".join(str(failure.value).split())
    assert message in text
    assert "day=2013-01-01" in text
    assert "again" in text


def test_a_retrain_before_there_is_evidence_says_how_much_is_missing(new_loop):
    loop: Loop = new_loop("young", ONE_WEEK)
    loop.live("2013-01-03")

    result = loop.run_again("retrain", "2013-01-03")

    assert not result.success
    from pipelines.failures import explain_failure

    text = explain_failure(result, "flights_retrain", "2013-01-03")
    reason = "2 whole mature days, 4 are needed to train and 4 more to judge; until then the heuristic serves"
    assert reason in text
    asked = tick(loop, "flights_retrain_schedule", datetime(2013, 1, 4, 9, tzinfo=UTC))
    assert asked.skip_message == f"flights: {reason}"


def test_a_misspelt_key_names_the_file_the_key_and_the_near_miss(new_loop):
    loop: Loop = new_loop("misspelt")
    path = loop.folder / "configs" / "products" / "flights.yaml"
    path.write_text(path.read_text().replace("cooldown:", "cooldwn:"))

    command = [sys.executable, "-m", "pipelines.cli", "replay", "flights"]
    text = refused(subprocess.run(command, cwd=places.REPOSITORY, capture_output=True, text=True, check=False))

    assert "flights.yaml: retraining.cooldwn: unknown key; did you mean cooldown?" in text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("replay", "flihgts"), "no product 'flihgts'; did you mean flights?"),
        (
            ("replay", "flights", "--to", "2014-06-01"),
            "--to 2014-06-01: flights has days from 2013-01-01 to 2013-12-31",
        ),
        (("experiment", "deeper_tree"), "no experiment 'deeper_tree'; did you mean deeper_trees?"),
        (("experiment", "deeper_trees"), "flights has no monitored day yet: run `evergreen replay flights` first"),
        (("explain", "flights", "--prediction", "x"), "flights has no prediction with id 'x'"),
        (("validate-config", "nowhere.yaml"), "nowhere.yaml: there is no such file"),
    ],
)
def test_the_command_line_answers_misuse_with_a_sentence(new_loop, arguments, message):
    new_loop("misused")

    assert message in refused(evergreen(*arguments))


def test_status_before_the_first_day_says_what_to_run(new_loop):
    new_loop("untouched")

    result = evergreen("status", "flights")

    assert (result.returncode, result.stdout.strip()) == (
        0,
        "flights: no day is done yet. Run: evergreen replay flights",
    )
