"""The portions of the evaluation set on real rows: one short life with two retrains, shared by all tests."""

import json
import shutil
from datetime import date

import pytest
from typer.testing import CliRunner

from evergreen.as_of import AsOf
from evergreen.product_files import overlay
from evergreen.training import possible_training_ids
from pipelines.cli import app
from tests.loop.life import SHORT, Loop, canonical, enter, failures, make_loop

PORTIONS = {
    "time": {"start": "2013-01-29"},  # the first baseline is under the prior, so it serves, and errs
    "training": {"at_least": "2d"},
    "evaluation": {"window": "2d", "golden": "1d", "slice_rows_at_least": 300},
    "retraining": {"schedule": "weekly", "triggers": []},
}
CASES = {"evaluation": {"failures": {"log_loss_over": 1.5, "at_most": 20}}}
FIRST, SECOND, GOLDEN = "2013-02-03", "2013-02-06", "2013-01-29"


@pytest.fixture(scope="module")
def _nine_days(tmp_path_factory, landing):
    with pytest.MonkeyPatch.context() as patch:
        changes = overlay(overlay(SHORT, PORTIONS), CASES)
        loop = make_loop(tmp_path_factory.mktemp("nine") / "days", landing, patch, changes)
        loop.live(SECOND)
        assert loop.run_again("retrain", SECOND).success
        yield loop


@pytest.fixture
def nine_days(_nine_days, tmp_path, monkeypatch) -> Loop:
    """A copy of nine days, retrained as of FIRST by the schedule and as of SECOND by hand; a test may damage it."""
    shutil.copytree(_nine_days.folder, tmp_path / "copy")
    enter(tmp_path / "copy", monkeypatch)
    return Loop(tmp_path / "copy", _nine_days.product)


def document(loop: Loop, name: str, day: str) -> dict:
    return loop.store.read_document(name, date.fromisoformat(day))


def test_golden_days_are_reserved_before_the_first_training_and_cases_withheld_once_known(nine_days):
    loop = nine_days
    entries = loop.home.evaluation_sets(loop.product).entries()
    trainings = {day: document(loop, "training_set", day) for day in (FIRST, SECOND)}
    cases = document(loop, "evaluation_set", SECOND)["portions"]["failures"]["cases"]

    assert entries[0]["key"] == "flights/golden"
    assert (entries[0]["as_of"], entries[0]["days"]) == (FIRST, [GOLDEN])
    assert [entry["as_of"] for entry in entries[1:]] == [FIRST, SECOND]
    assert all(GOLDEN not in training["days"] for training in trainings.values())
    assert all(training["withheld"]["golden"] == 890 for training in trainings.values())
    assert len(cases) == 20
    view = AsOf(loop.store, loop.product, date.fromisoformat(SECOND))
    assert set(possible_training_ids(view, trainings[SECOND])).isdisjoint(case["id"] for case in cases)


def test_every_version_is_measured_on_all_portions_and_the_report_says_so(nine_days):
    loop = nine_days
    report = document(loop, "evaluation_report", SECOND)

    assert report["golden"]["rows"] == 890
    assert report["failures"]["asked"] == 20
    assert {line["slice"] for line in report["slices"]} >= {"origin=EWR", "carrier=UA"}
    page = (loop.store.root / "reports" / f"{SECOND}.html").read_text()
    assert "Golden days (1, 890 rows)" in page


def test_what_golden_days_and_cases_say_moves_no_gate(nine_days):
    loop, path = nine_days, nine_days.store.document_path("evaluation_report", date.fromisoformat(SECOND))
    before = canonical(loop.decisions[-1])
    ledger = loop.home.promotions(loop.product).path
    ledger.write_text(ledger.read_text().splitlines()[0] + "\n")
    report = json.loads(path.read_text())
    path.write_text(
        json.dumps(report | {"golden": None, "slices": [], "failures": {"asked": 9, "right": [], "fixed": 9}})
    )

    assert loop.run_again("retrain", SECOND, only="promotion").success

    assert canonical(loop.decisions[-1])["gates"] == before["gates"]
    assert loop.decisions[-1]["decision"] == before["decision"]


def test_the_same_day_gives_the_same_version_again(nine_days):
    loop = nine_days
    ledger = loop.home.evaluation_sets(loop.product)
    before, entries = document(loop, "evaluation_set", FIRST), ledger.entries()

    assert loop.run_again("retrain", FIRST, only="evaluation_set").success

    assert document(loop, "evaluation_set", FIRST) == before
    assert ledger.entries() == entries


def test_a_candidate_that_was_trained_on_a_golden_day_stops_the_run(nine_days):
    loop, path = nine_days, nine_days.store.document_path("training_set", date.fromisoformat(SECOND))
    ledger = loop.home.promotions(loop.product).path
    ledger.write_text(ledger.read_text().splitlines()[0] + "\n")
    training = json.loads(path.read_text())
    path.write_text(json.dumps(training | {"days": [GOLDEN, *training["days"]]}))

    result = loop.run_again("retrain", SECOND, only="evaluation_report")

    assert not result.success
    assert "890 judging rows were trained on by the candidate" in failures(result)
    assert len(loop.decisions) == 1


def shown(*arguments: str) -> str:
    result = CliRunner().invoke(app, ["evaluation-set", "flights", *arguments], env={"COLUMNS": "200"})
    if result.exception is not None:
        raise result.exception
    return " ".join(result.output.split())


def test_the_command_shows_portions_and_what_changed(nine_days):
    newest = shown("--rows")
    assert "evaluation set as of 2013-02-06: version 3, digest" in newest
    assert "Withheld from training: " in newest
    assert "its day is wholly mature now" in newest
    assert "trained on now" in newest
    assert "fresh went 2013-02-01 2013-02-01-0" in newest
    assert "There is no version before 2013-02-03 to compare with." in shown("--as-of", FIRST)
    with pytest.raises(
        Exception, match="no evaluation set as of 2013-02-02; the newest are as of 2013-02-03, 2013-02-06"
    ):
        shown("--as-of", SECOND, "--against", "2013-02-02")
