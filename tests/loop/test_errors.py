"""Each thing that goes wrong gives one message with the way out, and leaves what was there intact."""

import shutil
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pytest

from evergreen.errors import LedgerError
from evergreen.product_files import overlay
from pipelines import places
from tests.loop.life import SHORT, Loop, copied, evergreen, first_days, make_loop, tick

ONE_WEEK = {"retraining": {"schedule": "weekly", "triggers": []}}


def refused(result: subprocess.CompletedProcess[str]) -> str:
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert result.stderr.startswith("evergreen: ")
    return " ".join(result.stderr.split())


def empty(path: Path) -> None:
    pd.read_parquet(path).iloc[:0].to_parquet(path, index=False)


def garble(path: Path) -> None:
    path.write_bytes(b"PAR1 garbage")


def spoil(path: Path) -> None:
    pd.read_parquet(path).assign(origin="nowhere").to_parquet(path, index=False)


BAD_DELIVERIES = {
    "2013-01-02": (Path.unlink, "2013-01-02.parquet has not been delivered: deliver it and run the day again"),
    "2013-01-03": (garble, "2013-01-03.parquet is not readable as Parquet"),
    "2013-01-04": (empty, "volume: 0 rows, at least 300 are expected a day; the day is in quarantine as a whole"),
    "2013-01-05": (spoil, "rows are bad; the day is in quarantine as a whole: correct the delivery"),
}


def test_a_bad_delivery_stops_its_day_and_the_mended_one_goes_on(new_loop, landing, tmp_path):
    """One life meets a bad delivery a day, each of another kind, and goes on from each."""
    loop: Loop = new_loop("bad", ONE_WEEK, deliveries=first_days(landing, tmp_path / "landing", 5))
    done = ["2013-01-01"]
    assert len(loop.live("2013-01-01").days) == 1
    for day, (damage, message) in BAD_DELIVERIES.items():
        place = tmp_path / "landing" / "events" / f"{day}.parquet"
        damage(place)

        with pytest.raises(Exception, match=f"flights_daily failed for {day}") as failure:
            loop.live(day)

        assert message in " ".join(str(failure.value).split())
        assert [str(day) for day in loop.store.days("predictions")] == done
        shutil.copy(landing / "events" / f"{day}.parquet", place)
        assert [str(day) for day in loop.live(day).days] == [day]
        done.append(day)


def test_a_refused_day_does_not_stop_the_days_after_it(new_loop, landing, tmp_path):
    """In production the next day's tick comes anyway: what the refused day leaves out is counted, not invented."""
    loop: Loop = new_loop("refused", ONE_WEEK, deliveries=first_days(landing, tmp_path / "landing", 4))
    empty(tmp_path / "landing" / "events" / "2013-01-02.parquet")
    results = [loop.run_again("daily", f"2013-01-0{day}").success for day in (1, 2, 3, 4)]

    assert results == [True, False, True, True]
    assert len(loop.store.read("quarantine", loop.store.days("quarantine")[1])) == 0
    assert [str(day) for day in loop.store.days("predictions")] == ["2013-01-01", "2013-01-03", "2013-01-04"]


@pytest.fixture(scope="module")
def _three_days(tmp_path_factory, landing) -> Loop:
    with pytest.MonkeyPatch.context() as patch:
        loop = make_loop(tmp_path_factory.mktemp("three") / "days", landing, patch, overlay(SHORT, ONE_WEEK))
        loop.live("2013-01-03")
    return loop


@pytest.fixture
def three_days(_three_days, tmp_path, monkeypatch) -> Loop:
    """A copy of three days; a test may damage it."""
    return copied(_three_days, tmp_path / "copy", monkeypatch)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (Path.unlink, "partition(s) of batch are missing"),
        (garble, "is not a readable Parquet file"),
    ],
    ids=["missing", "corrupt"],
)
def test_a_lost_partition_names_itself_and_the_way_out(three_days, damage, message):
    damage(three_days.store.path("batch", three_days.store.days("batch")[0]))

    with pytest.raises(Exception, match="flights_daily failed for 2013-01-04") as failure:
        three_days.live("2013-01-04")

    text = " ".join(str(failure.value).split())
    assert message in text
    assert "day=2013-01-01" in text
    assert "again" in text


def test_a_ledger_that_a_schedule_cannot_read_is_named_without_a_trace(three_days):
    ledger = three_days.store.root / "ledgers" / "evaluation_sets.jsonl"
    ledger.parent.mkdir(exist_ok=True)
    ledger.write_text('{"number": 1}\n')

    with pytest.raises(LedgerError, match=r"evaluation_sets\.jsonl"):
        three_days.live("2013-01-07")


def test_a_retrain_before_there_is_evidence_says_how_much_is_missing(three_days):
    result = three_days.run_again("retrain", "2013-01-03")

    assert not result.success
    from pipelines.failures import explain_failure

    text = explain_failure(result, "flights_retrain", "2013-01-03")
    reason = "2 whole mature days, 4 are needed to train and 4 more to judge; until then the heuristic serves"
    assert reason in text
    asked = tick(three_days, "flights_retrain_schedule", datetime(2013, 1, 4, 9, tzinfo=UTC))
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


def test_an_experiment_as_of_a_day_that_was_not_lived_says_how_far_it_was(three_days):
    text = refused(evergreen("experiment", "deeper_trees", "--as-of", "2013-02-01"))

    assert "as of 2013-02-01 nothing is known yet: flights was lived to 2013-01-03; replay it further" in text


def test_an_experiment_file_is_validated_as_one(new_loop):
    file = new_loop("overlay").folder / "configs" / "experiments" / "deeper_trees.yaml"
    assert "experiments/deeper_trees.yaml: valid" in evergreen("validate-config", str(file)).stdout
    file.write_text(file.read_text().replace("hypothesis:", "owner: team:flights\nhypothesis:"))

    assert f"{file}: owner: unknown key" in refused(evergreen("validate-config", str(file)))


def test_status_before_the_first_day_says_what_to_run(new_loop):
    new_loop("untouched")

    result = evergreen("status", "flights")

    assert (result.returncode, result.stdout.strip()) == (
        0,
        "flights: no day is done yet. Run: evergreen replay flights",
    )


def test_a_home_that_is_no_folder_is_named_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setenv("EVERGREEN_HOME", str(tmp_path / "file"))
    (tmp_path / "file").touch()
    for command in (("replay", "flights"), ("ui", "--port", "1")):
        assert "Not a directory; EVERGREEN_HOME has to be a folder that can be written" in refused(evergreen(*command))


def test_two_servers_need_two_ports():
    assert "--port and --mlflow-port are both 3000" in refused(
        evergreen("ui", "--port", "3000", "--mlflow-port", "3000")
    )
