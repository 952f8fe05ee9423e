"""A product's life in a folder of its own: what the whole-loop tests drive and compare."""

import atexit
import io
import json
import os
import shutil
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import cache
from pathlib import Path
from subprocess import CompletedProcess
from tempfile import mkdtemp
from typing import Any

import dagster as dg
import pytest
import yaml

from evergreen.config import Product
from evergreen.digests import digest_frame
from evergreen.ledger import Entry
from evergreen.periods import days_between
from evergreen.product_files import load_product, overlay, read_yaml
from evergreen.promotion import judged
from evergreen.storage import Store
from pipelines import places
from pipelines.cli import main
from pipelines.instance import opened_instance
from pipelines.products import build_definitions
from pipelines.registry import registry_here
from pipelines.replay import Replay, opened_replay
from pipelines.resources import Home
from pipelines.screen import console

TABLES_OF_A_DAY = ("batch", "quarantine", "labels", "predictions", "performance", "drift")
NO_NEW_PROCESS = {"gates": {"disabled": ["new_process"]}}
SHORT = {
    "training": {"at_least": "4d", "refit_on_promotion": False, "model": {"n_estimators": 20}},
    "evaluation": {"window": "4d"},
    **NO_NEW_PROCESS,
}
"""Days are what a whole-loop test costs: with these, the first day that can be decided is 2013-01-09."""

UNTIMED = {"service_levels": {"scoring_latency_p99": "60s"}}
"""How fast a machine is that runs other tests beside must decide nothing."""
DAILY = {
    "retraining": {
        "schedule": "daily",
        "triggers": [{"kind": "performance"}, {"kind": "drift"}, {"kind": "staleness"}],
    },
    "training": {"refit_on_promotion": True},
}
HUNDRED = {
    "training": {"at_least": "7d", "model": {"n_estimators": 20}},
    "evaluation": {"window": "14d"},
    "gates": {"change": {"days": "14d"}, "disabled": ["new_process"]},
    "retraining": {"triggers": [{"kind": "performance"}, {"kind": "staleness"}]},
    "rollback": {"automatic": False},
}
"""The product as it is shipped, with less to compute; 2013-01-22 is the first day that can be decided."""


@dataclass
class Told:
    """A watcher that remembers what it was told."""

    days: list[date] = field(default_factory=list)
    happened: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def starts(self, days: int) -> None:
        pass

    def day(self, day: date, serving: str, happened: str) -> None:
        self.days.append(day)
        if happened:
            self.happened.append(f"{day} {happened}")

    def note(self, text: str) -> None:
        self.notes.append(text)


@dataclass(frozen=True)
class Loop:
    """A product's life in a folder of its own."""

    folder: Path
    product: Product

    @property
    def home(self) -> Home:
        return Home(path=str(self.folder / "home"))

    @property
    def store(self) -> Store:
        return self.home.store(self.product)

    @property
    def decisions(self) -> list[Entry]:
        return self.home.promotions(self.product).entries()

    def changed(self, changes: dict[str, Any]) -> "Loop":
        """The same home, after somebody laid these changes over the product file."""
        path = self.folder / "configs" / "products" / "flights.yaml"
        path.write_text(yaml.safe_dump(overlay(read_yaml(path), changes)))
        return loop_in(self.folder)

    def live(self, last: str) -> Told:
        told = Told()
        with self.opened() as replay:
            replay.run(date.fromisoformat(last), told)
        return told

    def opened(self) -> Any:
        return opened_replay(self.product)

    def run_again(self, job: str, day: str, only: str | None = None) -> Any:
        """One job, or one asset of it, for one day on the loop's instance, as from the UI's launchpad."""
        with self.opened() as replay:
            return execute(replay, job, day, only)

    def content(self, last: str, tables: tuple[str, ...] = TABLES_OF_A_DAY) -> dict[str, Any]:
        """What every day up to `last` holds, without run ids, wall times and places."""
        days = [day for day in self.store.days("batch") if str(day) <= last]
        held: dict[str, Any] = {}
        for table in tables:
            for day in days:
                frame = self.store.read(table, day)
                held[f"{table} {day}"] = digest_frame(frame.drop(columns=["ledger_head"], errors="ignore"))
        for name in ("retrain_decision", "training_set", "evaluation_set"):
            for day in self.store.document_days(name):
                if str(day) <= last:
                    document = self.store.read_document(name, day)
                    held[f"{name} {day}"] = {key: value for key, value in document.items() if key != "product"}
        held["decisions"] = [canonical(entry) for entry in self.decisions if entry["as_of"] <= last]
        return held


def tick(loop: Loop, schedule: str, moment: datetime) -> Any:
    """What a schedule asks for at a moment, as the daemon would evaluate it."""
    definitions = build_definitions()
    with (
        opened_instance() as instance,
        dg.build_schedule_context(
            instance,
            scheduled_execution_time=moment,
            repository_def=definitions.get_repository_def(),
            resources={"home": loop.home},
        ) as context,
    ):
        return definitions.resolve_schedule_def(schedule).evaluate_tick(context)


def execute(replay: Replay, job: str, day: str, only: str | None = None, raise_on_error: bool = False) -> Any:
    asset = [dg.AssetKey([replay.product.name, only])] if only else None
    return replay.definitions.resolve_job_def(f"{replay.product.name}_{job}").execute_in_process(
        instance=replay.instance,
        partition_key=day,
        asset_selection=asset,
        run_config={"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}},
        raise_on_error=raise_on_error,
    )


def failures(result: Any) -> str:
    """The messages of a run's failed steps."""
    return "\n".join(str(event.step_failure_data.error) for event in result.all_events if event.is_step_failure)


def canonical(entry: Entry) -> dict[str, Any]:
    """A decision without what differs from run to run: identities of runs, digests of files, of the chain
    and of a config that names folders, measured seconds."""
    volatile = {"at", "run_id", "experiment", "dagster_run", "digest", "previous", "commit", "config"}

    def strip(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: strip(item) for name, item in value.items() if name not in volatile}
        return [strip(item) for item in value] if isinstance(value, list) else value

    kept = strip(entry)
    kept["gates"] = [gate for gate in kept["gates"] if gate["name"] not in ("latency", "size")]
    return kept


def replay_as_a_process(folder: str, last: str) -> None:
    """What a process of its own does with the life in a folder: `evergreen replay flights --to LAST`."""
    enter(Path(folder), pytest.MonkeyPatch())
    sys.argv = ["evergreen", "replay", "flights", "--to", last]
    with Path(os.devnull).open("w") as nowhere, redirect_stdout(nowhere):
        main()


def first_days(landing: Path, folder: Path, days: int) -> Path:
    """A landing zone of the first days alone, to be damaged."""
    for kind in ("events", "outcomes"):
        (folder / kind).mkdir(parents=True)
        for day in days_between(date(2013, 1, 1), date(2013, 1, days)):
            shutil.copy(landing / kind / f"{day}.parquet", folder / kind)
    return folder


@cache
def unlived() -> Path:
    """A home before its first day: making the tables of Dagster and of MLflow, by all their migrations, takes seconds."""
    folder = Path(mkdtemp())
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        patch.delenv(places.DAGSTER_DATABASE, raising=False)
        with opened_instance():
            registry_here().aliases("flights")
    return folder / "home"


def make_loop(
    folder: Path, landing: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], with_tables: bool = True
) -> Loop:
    """A loop in a new folder: the shipped product with `changes` laid over it. Without tables, its first start makes them."""
    shipped = places.REPOSITORY / "configs"
    files = {
        "kind": "files",
        **{kind: str(landing / kind / "{day}.parquet") for kind in ("events", "outcomes")},
        "sample": None,
    }
    content = overlay(read_yaml(shipped / "products" / "flights.yaml"), {"source": files, **UNTIMED})
    content = overlay(content, changes)
    path = folder / "configs" / "products" / "flights.yaml"
    path.parent.mkdir(parents=True)
    path.write_text(yaml.safe_dump(json.loads(json.dumps(content, default=str))))
    shutil.copytree(shipped / "experiments", folder / "configs" / "experiments")
    if with_tables:
        shutil.copytree(unlived(), folder / "home")
    enter(folder, monkeypatch)
    return Loop(folder, load_product(path))


def evergreen(*arguments: str, columns: int = 80) -> CompletedProcess[str]:
    """The command line as its entry point answers, in this process: a new one would take seconds to import what is here already."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["evergreen", *arguments])
        patch.setattr(console, "width", columns)
        try:
            main()
            code = 0
        except SystemExit as end:
            code = int(end.code or 0)
    return CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def loop_in(folder: Path) -> Loop:
    """The loop that lives in a folder."""
    return Loop(folder, load_product(folder / "configs" / "products" / "flights.yaml"))


def copied(loop: Loop, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Loop:
    """A copy, to which the environment points from now on; MLflow's files stay the original's."""
    shutil.copytree(loop.folder, folder)
    enter(folder, monkeypatch)
    return Loop(folder, loop.product)


def enter(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVERGREEN_HOME", str(folder / "home"))
    monkeypatch.setenv("EVERGREEN_CONFIGS", str(folder / "configs"))
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def assert_decisions(loop: Loop, expected: list[str]) -> str:
    """Decided as of exactly these days, each on a window of days that no model in it was trained on; returns the counts, in words."""
    assert [entry["as_of"] for entry in loop.decisions] == expected
    for entry in loop.decisions:
        judging, trained = entry["evaluation"]["days"], entry["training"]["last_day"]
        assert min(judging) > trained, "judging days lie after training's end"
        assert len(judging) == loop.product.count(loop.product.evaluation.window)
    for before, after in zip(loop.decisions, loop.decisions[1:], strict=False):
        champion = before["serving"]["champion"]
        assert champion is None or judged(champion)["trained_through"] < min(after["evaluation"]["days"])
    promoted = [entry for entry in loop.decisions if entry["decision"] == "promoted"]
    compared = [gate for entry in loop.decisions for gate in entry["gates"] if gate["name"] == "comparison"]
    seen = [gate["smallest_effect"] for gate in compared if gate["smallest_effect"] is not None]
    return f"{len(loop.decisions)} retrains, {len(promoted)} promotions, smallest detectable effects {seen}"
