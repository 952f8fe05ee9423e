"""Replay: real days through the real jobs, with the product's own schedules and sensor under an injected clock.

For each day the clock moves through the ticks that the day's end brings; what a schedule or the sensor requests is executed here,
in this process, on the persistent instance. A request that was carried out is never carried out again: run keys are checked on the
instance, and decisions in the ledger.
"""

import fcntl
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Protocol

import dagster as dg
from croniter import croniter

from evergreen.config import FilesSource, Product, TableSource
from evergreen.errors import EvergreenError
from evergreen.ladder import first_rung
from evergreen.ledger import Entry
from evergreen.periods import Periods
from evergreen.promotion import ROLLED_BACK, decisions, serving_as_of
from evergreen.sources import import_function
from evergreen.timeline import server_name
from pipelines import places, tags
from pipelines.failures import RunFailed, explain_failure
from pipelines.instance import (
    close_interrupted_runs,
    days_left,
    opened_instance,
    prepare_home,
    refuse_daemon,
    succeeded,
)
from pipelines.jobs import daily_name, retrain_name, rollback_name
from pipelines.registry import Registry
from pipelines.resources import Home
from pipelines.schedules import daily_schedule, retrain_schedule
from pipelines.sensors import retrain_sensor, rollback_sensor

A_MOMENT = timedelta(microseconds=1)  # croniter gives what lies after a moment, and a tick may be the moment itself
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


class Watcher(Protocol):
    """Who is told what happens, for a progress bar."""

    def starts(self, days: int) -> None: ...

    def day(self, day: date, serving: str, happened: str) -> None: ...

    def note(self, text: str) -> None: ...


class Tick(dg.ScheduleEvaluationContext):
    """A moment at which a schedule is asked, on an instance that is open: `dg.build_schedule_context` would open it anew."""

    def __init__(
        self, instance: dg.DagsterInstance, moment: datetime, repository: dg.RepositoryDefinition, home: Home
    ) -> None:
        resources = dg.build_schedule_context(resources={"home": home}).resource_defs
        super().__init__(instance.get_ref(), moment, resources=resources, repository_def=repository)
        self._opened = instance

    @property
    def instance(self) -> dg.DagsterInstance:
        return self._opened


@contextmanager
def own_errors() -> Iterator[None]:
    """An error of ours in a schedule or a sensor leaves as itself, and not as Dagster's with a trace."""
    try:
        yield
    except dg.DagsterUserCodeExecutionError as problem:
        if isinstance(problem.user_exception, EvergreenError):
            raise problem.user_exception from None
        raise


@dataclass(frozen=True)
class Replay:
    """One product's life on one instance."""

    product: Product
    definitions: dg.Definitions
    instance: dg.DagsterInstance
    home: Home
    registry: Registry

    def run(self, last: date, watcher: Watcher) -> int:
        """Every day up to `last` that is not done yet; returns how many were done. Raises RunFailed at the first run that fails."""
        jobs = {daily_name(self.product), retrain_name(self.product), rollback_name(self.product)}
        if close_interrupted_runs(self.instance, jobs, tags.IN_PROCESS):
            watcher.note("A run that was interrupted is done again.")
        self._repair_aliases(watcher)
        self._finish_decision(watcher)
        left = days_left(self.instance, self.product, last)
        watcher.starts(len(left))
        resumed = [Periods.of(self.product.time).before(left[0])] if left else [last]
        for day in resumed:
            if self.product.time.start <= day:
                self._live_through(day)
        for day in left:
            happened = self._live_through(day)
            if happened or day == left[0]:
                _keep_what_is_loaded()
            watcher.day(day, self.serving(day), "; ".join(happened))
        return len(left)

    def serving(self, day: date) -> str:
        """Who serves on a day, in words."""
        entry = serving_as_of(self.home.promotions(self.product).entries(), day)
        if entry is None:
            return "heuristic"
        return server_name(first_rung(entry["serving"]))

    def _live_through(self, day: date) -> list[str]:
        """Carry out what the ticks after a day's end ask for; returns what happened beyond the daily run."""
        happened = []
        for moment, schedule in self._ticks(day):
            for request in self._schedule_requests(schedule, moment):
                happened += self._carry_out(schedule.job_name, request)
            for build, job in ((rollback_sensor, rollback_name), (retrain_sensor, retrain_name)):
                for request in self._sensor_requests(build(self.product).name):
                    happened += self._carry_out(job(self.product), request)
        return happened

    def _ticks(self, day: date) -> list[tuple[datetime, dg.ScheduleDefinition]]:
        """The moments at which the schedules tick while `day` is the newest day that is over, in order."""
        periods = Periods.of(self.product.time)
        begin, end = periods.ends(day), periods.ends(periods.after(day))
        ticks = []
        for build in (daily_schedule, retrain_schedule):
            schedule = self.definitions.resolve_schedule_def(build(self.product).name)
            cron = croniter(str(schedule.cron_schedule), (begin - A_MOMENT).astimezone(periods.zone))
            moment = cron.get_next(datetime)
            while moment < end:
                ticks.append((moment, schedule))
                moment = cron.get_next(datetime)
        return sorted(ticks, key=lambda tick: tick[0])

    def _schedule_requests(self, schedule: dg.ScheduleDefinition, moment: datetime) -> list[dg.RunRequest]:
        repository = self.definitions.get_repository_def()
        with own_errors(), Tick(self.instance, moment, repository, self.home) as context:
            return list(schedule.evaluate_tick(context).run_requests or [])

    def _sensor_requests(self, name: str) -> list[dg.RunRequest]:
        sensor = self.definitions.resolve_sensor_def(name)
        with (
            own_errors(),
            dg.build_sensor_context(
                self.instance,
                repository_def=self.definitions.get_repository_def(),
                resources={"home": self.home},
                sensor_name=sensor.name,
            ) as context,
        ):
            return list(sensor.evaluate_tick(context).run_requests or [])

    def _carry_out(self, job: str, request: dg.RunRequest) -> list[str]:
        """Execute a request unless it was carried out before; returns what it entered in the promotion ledger, in words."""
        ledger = self.home.promotions(self.product)
        before = len(ledger.entries())
        if request.run_key and succeeded(self.instance, request.run_key):
            return []
        result = self.definitions.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            tags={**request.tags, tags.RUN_KEY: request.run_key or "", **tags.OF_THIS_PROCESS},
            run_config={**QUIET, **request.run_config},
            raise_on_error=False,
        )
        if not result.success:
            raise RunFailed(explain_failure(result, job, request.partition_key or ""))
        return [_in_words(entry) for entry in ledger.entries()[before:]]

    def _finish_decision(self, watcher: Watcher) -> None:
        """What a retrain that was killed after its decision still owes: the gates as checks, the model card."""
        decided = decisions(self.home.promotions(self.product).entries())
        if not decided:
            return
        newest, promotion = decided[-1], dg.AssetKey([self.product.name, "promotion"])
        if newest["as_of"] in self.instance.get_materialized_partitions(promotion):
            return
        watcher.note(f"The decision as of {newest['as_of']} stands; its checks and its card are made again.")
        asked = {tags.REQUESTED_BY: newest["requested_by"]}
        request = dg.RunRequest(f"retrain/{newest['key']}", partition_key=newest["as_of"], tags=asked)
        self._carry_out(retrain_name(self.product), request)

    def _repair_aliases(self, watcher: Watcher) -> None:
        """MLflow's aliases follow the ledger: what a killed promotion left undone is done here."""
        entries = self.home.promotions(self.product).entries()
        if not entries:
            return
        try:
            moved = self.registry.project(self.product.name, entries[-1]["serving"])
        except EvergreenError as problem:
            watcher.note(f"Aliases were not checked: {problem}")
            return
        if moved:
            watcher.note(f"MLflow aliases repaired from the ledger: {', '.join(moved)}.")


def _in_words(entry: Entry) -> str:
    if entry["decision"] == ROLLED_BACK:
        return f"rollback: {entry['reason']}"
    if "kind" in entry:
        return f"{entry['kind']}: {entry['decision']}; {entry['reason']}"
    return f"retrain ({entry['requested_by']}): {entry['decision']} by {entry['deciding_gate']}"


@contextmanager
def opened_replay(product: Product) -> Iterator[Replay]:
    """A replay that no other process can run at the same time. Raises EvergreenError where one does, or a daemon works on the home:
    each would take days and decisions from under the other."""
    from pipelines.products import build_definitions

    with opened_instance() as instance, _only_one(product):
        refuse_daemon(instance, places.home())
        home = Home(path=str(places.home()))
        registry = Registry(home=str(places.home()), tracking_uri=places.tracking_uri())
        yield Replay(product, build_definitions(), instance, home, registry)


def _keep_what_is_loaded() -> None:
    """The libraries that a first day, or a first retrain, loads stay: the garbage collector need not go through them every day."""
    gc.collect()
    gc.freeze()


def deliver_sample(product: Product) -> int:
    """Write the files of the sample that the product declares, where they are not yet; returns how many were written."""
    source = product.source
    if not isinstance(source, FilesSource | TableSource) or source.sample is None:
        return 0
    prepare_home()
    return int(import_function(source.sample)(*[str(places.home() / place) for place in source.places]))


@contextmanager
def _only_one(product: Product) -> Iterator[None]:
    path = places.home() / product.name / "replay.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EvergreenError(
                f"another replay or backfill of {product.name} is running on {places.home()}: wait for it, or stop it"
            ) from None
        yield
