"""Retention, on a life that was restored from its backup."""

from datetime import date, timedelta

import dagster as dg

from evergreen.as_of import AsOf
from evergreen.digests import digest_file
from evergreen.explain import explain
from evergreen.summary import summarize_life
from pipelines.instance import opened_instance
from pipelines.products import build_definitions
from pipelines.retention import prunable, remove
from tests.loop.care import LAST, NO_RETRAIN, examined, registry

RETENTION = {"quarantine": "2d", "event_logs": "1d", "refused_models": "1d", "superseded_models": "1d"}


def test_a_pruned_home_still_serves_falls_back_and_explains(restored):
    pruned, tomorrow = restored.changed({"retention": RETENTION}), date.today() + timedelta(days=2)
    view = AsOf(restored.store, restored.product, date.fromisoformat(LAST))
    before = summarize_life(view, restored.decisions)
    entries = restored.decisions
    with opened_instance() as instance:
        gone = prunable(pruned.product, restored.home, registry(), instance, tomorrow)
        for held in gone:
            remove(held, pruned.product, restored.home, registry())
        assert prunable(pruned.product, restored.home, registry(), instance, tomorrow) == []

    kinds = {kind: {held.name for held in gone if held.kind == kind} for kind in RETENTION}
    assert kinds["quarantine"] == {f"2013-01-{number:02}" for number in range(1, 10)}
    assert kinds["refused_models"] == {entries[0]["candidate"]["digest"], entries[1]["candidate"]["digest"]}
    assert kinds["superseded_models"] == {entries[0]["serving"]["baseline"]["digest"]}
    assert len(kinds["event_logs"]) == 12  # daily runs; the four that decided stay
    assert all(path.parent != restored.store.root / "ledgers" for held in gone for path in held.paths)

    assert examined(pruned) == []
    assert summarize_life(view, restored.decisions) == before
    prediction = restored.store.read("predictions", date.fromisoformat(LAST)).id.iloc[0]
    assert (
        explain(restored.store, restored.product, entries, prediction).model["digest"]
        == entries[2]["candidate"]["digest"]
    )

    restored.changed(NO_RETRAIN).live("2013-01-13")
    day = date(2013, 1, 13)
    assert set(restored.store.read("predictions", day).served_by) == {"champion"}
    lost = entries[-1]["serving"]["champion"]["digest"]
    for path in [*registry().local_files("flights"), *registry().kept_files("flights")]:
        if digest_file(path) == lost:
            path.unlink()
    restored.store.path("predictions", day).unlink()  # what was answered would stay answered
    assert restored.run_again("daily", str(day), only="predictions").success
    assert set(restored.store.read("predictions", day).served_by) == {"previous"}


def test_care_runs_by_itself_only_where_a_retention_is_declared(restored):
    assert not build_definitions().get_repository_def().has_job("flights_care")

    restored.changed({"retention": {"quarantine": "2d"}})
    definitions = build_definitions()

    assert definitions.resolve_schedule_def("flights_care_schedule").default_status == dg.DefaultScheduleStatus.RUNNING
    with opened_instance() as instance:
        assert definitions.resolve_job_def("flights_care").execute_in_process(instance=instance).success
    assert len(restored.store.days("quarantine")) == 3
