"""The doctor: every check of a home, from its files to its daemon. It reads; what it can mend by itself it offers as a cure."""

import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, date, datetime
from functools import partial
from pathlib import Path
from typing import Any

import dagster as dg

from evergreen import checkup
from evergreen.backfill import newest_day
from evergreen.cadence import parse_period
from evergreen.checkup import FROM_BACKUP, Finding
from evergreen.config import FilesSource, Product
from evergreen.digests import digest_file
from evergreen.errors import ConfigError, EvergreenError
from evergreen.ledger import Entry
from evergreen.periods import Periods
from evergreen.product_files import load_product
from evergreen.promotion import ROLES, WAITING
from evergreen.retention import digests_of
from pipelines import places, tags
from pipelines.alive import is_held
from pipelines.instance import (
    close_interrupted_runs,
    daemon_lives,
    newest_heartbeat,
    prepare_home,
    unfinished_runs,
)
from pipelines.jobs import daily_name, retrain_name
from pipelines.registry import Registry
from pipelines.resources import Home
from pipelines.restore import UNFINISHED
from pipelines.settings import settings_are_shipped

Progress = Callable[[Sequence[Any], str], Iterable[Any]]
ENOUGH_DISK = 1024**3
OLD_ENOUGH = 3600  # seconds after which no write is still under way
MENDS = "evergreen doctor --mend"
DIGESTED = ("batch", "labels", "predictions")


def load_each(folder: Path) -> tuple[dict[str, Product], list[Finding]]:
    """The product files that load, and a finding for each that does not."""
    products, found = {}, []
    for path in sorted(folder.glob("*.yaml")):
        try:
            products[path.stem] = load_product(path)
        except ConfigError as problem:
            found.append(Finding(str(problem), "broken", "correct the file; evergreen validate-config checks it"))
    return products, found


def examine_home(home: Path) -> list[Finding]:
    """What concerns no single product: settings, disk, leftovers. Raises EvergreenError where there is no home."""
    if not home.is_dir():
        raise EvergreenError(
            f"{home} does not exist yet: evergreen replay makes it, or evergreen restore brings one back"
        )
    found = []
    if not settings_are_shipped():
        what = f"{home / 'dagster' / 'dagster.yaml'} differs from configs/dagster.yaml, which every start writes there"
        mend = f"{MENDS}, or any start, replaces it: keep your own settings in configs/dagster.yaml"
        found.append(Finding(what, "warning", mend, prepare_home))
    free = shutil.disk_usage(home).free
    if free < ENOUGH_DISK:
        found.append(
            Finding(
                f"{free // 1024**2} MiB are free on the disk of {home}", "warning", "evergreen prune, or a larger disk"
            )
        )
    left = [*home.rglob(".*.tmp"), *home.parent.glob(f".{home.name}.*{UNFINISHED}")]
    return [
        *found,
        *checkup.leftovers(sorted(path for path in left if time.time() - path.stat().st_mtime > OLD_ENOUGH)),
    ]


class Doctor:
    """One product on one home. `now` is the moment of the visit."""

    def __init__(self, product: Product, registry: Registry, instance: dg.DagsterInstance, now: datetime) -> None:
        self.product, self.registry, self.instance, self.now = product, registry, instance, now
        self.home = Home(path=str(places.home()))
        self.store = self.home.store(product)
        self.replaying = is_held(self.store.root / "replay.lock")
        self.daemon = daemon_lives(instance)

    def examine(self, newest: date, progress: Progress) -> list[Finding]:
        """Every finding, up to the newest day."""
        broken = checkup.ledgers(self.home.ledgers(self.product))
        entries = [] if broken else self.home.promotions(self.product).entries()
        found = [*broken, *self._data(newest, progress), *checkup.decisions(self.store, self.product, entries)]
        found += [] if found else checkup.serving_rows(self.store, entries)
        found += checkup.outdated(self.store, self.product, newest)
        if entries:
            found += [*self._models(entries), *self._aliases(entries)]
        return [*found, *self._runs(), *self._daemon(newest), *self._delivery(newest)]

    def _data(self, newest: date, progress: Progress) -> Iterator[Finding]:
        working = (self.replaying or self.daemon) and unfinished_runs(self.instance, {tags.PRODUCT: self.product.name})
        periods = Periods.of(self.product.time)
        last = periods.before(newest) if working else newest
        yield from checkup.gaps(self.store, self.product, last)
        written = self._written()
        for day in progress(periods.between(self.product.time.start, last), self.product.name):
            yield from checkup.contents(self.store, self.product, day, written)

    def _written(self) -> dict[tuple[str, date], str]:
        """The digests that the newest run of each partition recorded."""
        digests: dict[tuple[str, date], str] = {}
        for table in DIGESTED:
            for record in self._materializations(table):
                made = record.asset_materialization
                if made and "digest" in made.metadata and record.partition_key:
                    digests[table, parse_period(record.partition_key)] = str(made.metadata["digest"].value)
        return digests

    def _materializations(self, table: str) -> Iterator[dg.EventLogRecord]:
        """Every one, oldest first."""
        wanted = dg.AssetRecordsFilter(asset_key=dg.AssetKey([self.product.name, table]))
        cursor, more = None, True
        while more:
            page = self.instance.fetch_materializations(wanted, limit=1000, cursor=cursor, ascending=True)
            yield from page.records
            cursor, more = page.cursor, page.has_more

    def _models(self, entries: list[Entry]) -> Iterator[Finding]:
        """Files whose content is not what their name says, and files of serving versions that are missing."""
        registry, name, head = self.registry, self.product.name, entries[-1]["serving"]
        kept = {path.stem: digest_file(path) for path in registry.kept_files(name)}
        registered = {digest_file(path) for path in registry.local_files(name)}
        versions = {digest: version for version, digest in digests_of(entries).items()}
        records = {role: head[role] for role in (*ROLES, *WAITING.values()) if head.get(role)}
        records |= {f"{role}'s twin": record["twin"] for role, record in records.items() if "twin" in record}
        serving = {record["digest"]: name for name, record in records.items()}
        for wanted in sorted(kept.keys() | serving.keys()):
            if kept.get(wanted) == wanted:
                continue
            state = "was changed" if wanted in kept else "is missing"
            path = self.store.root / "models" / f"{wanted}.skops"
            what = (
                f"{path} {state}: the file of {serving.get(wanted, 'a former version')}, v{versions.get(wanted, '?')}"
            )
            fetch = partial(registry.fetch, name, versions[wanted]) if wanted in registered & versions.keys() else None
            yield Finding(what, "broken", f"{MENDS}: it is fetched from MLflow" if fetch else FROM_BACKUP, fetch)
        for digest, role in serving.items():
            if registry.local and digest not in registered:
                what = (
                    f"the file of {role}, v{versions[digest]}, is missing from MLflow's artifacts, or was changed there"
                )
                yield Finding(what, "broken", FROM_BACKUP)

    def _aliases(self, entries: list[Entry]) -> list[Finding]:
        serving = entries[-1]["serving"]
        try:
            misplaced = self.registry.misplaced(self.product.name, serving)
        except EvergreenError as problem:
            return [Finding(str(problem), "broken", "see the message")]
        if not misplaced:
            return []
        what = f"MLflow's aliases {', '.join(misplaced)} of {self.product.name} differ from the promotion ledger, which is the truth"
        return [
            Finding(
                what,
                "warning",
                f"{MENDS}, or the next replay or retrain, sets them",
                partial(self.registry.project, self.product.name, serving),
            )
        ]

    def _runs(self) -> list[Finding]:
        """Runs that nobody works on any more."""
        if self.replaying:
            return []
        marks = {tags.PRODUCT: self.product.name} | ({tags.IN_PROCESS: "true"} if self.daemon else {})
        left = unfinished_runs(self.instance, marks)
        ours = [run for run in left if run.tags.get(tags.IN_PROCESS)]
        jobs = {daily_name(self.product), retrain_name(self.product)}
        found = []
        if ours:
            cure = partial(close_interrupted_runs, self.instance, jobs, tags.IN_PROCESS)
            found.append(
                Finding(
                    f"{_runs(ours)} left as started by a replay that was killed",
                    "warning",
                    f"{MENDS}, or the next replay, closes them",
                    cure,
                )
            )
        if len(left) > len(ours):
            others = [run for run in left if run not in ours]
            found.append(
                Finding(
                    f"{_runs(others)} not ended, and no daemon watches them",
                    "warning",
                    "start the daemon (evergreen ui): it ends or resumes them",
                )
            )
        return found

    def _daemon(self, newest: date) -> list[Finding]:
        """A product that goes on needs a daemon."""
        periods = Periods.of(self.product.time)
        if self.daemon or self.replaying or not periods.known(periods.last_ended(self.now)):
            return []
        last = newest_heartbeat(self.instance)
        when = f"reported last at {last:%Y-%m-%d %H:%M} UTC" if last else "does not run"
        what = f"the Dagster daemon {when}: the schedules of {self.product.name} do not tick (newest day: {newest})"
        return [Finding(what, "warning", "start it: evergreen ui, or dagster-daemon run -w workspace.yaml")]

    def _delivery(self, newest: date) -> list[Finding]:
        """The delivery after the newest day, once that day is over."""
        source, periods = self.product.source, Periods.of(self.product.time)
        day = periods.after(newest)
        if (
            not isinstance(source, FilesSource)
            or source.sample
            or not periods.known(day)
            or periods.ends(day) > self.now
        ):
            return []
        paths = [places.home() / pattern.format(day=day, period=day) for pattern in (source.events, source.outcomes)]
        return [
            Finding(f"{path} has not been delivered", "warning", "deliver it; the next replay or daily run takes it")
            for path in paths
            if not path.exists()
        ]


def _runs(runs: list[dg.DagsterRun]) -> str:
    names = ", ".join(f"{run.job_name} {run.tags.get('dagster/partition', '')} ({run.run_id[:8]})" for run in runs)
    return f"{len(runs)} run(s) {names}"


def visit(product: Product, progress: Progress, mend: bool = False) -> list[Finding]:
    """Examine one product with the stores of this home; with `mend`, what has a cure is cured too.

    A product that has not begun has no findings.
    """
    newest = newest_day(Home(path=str(places.home())).store(product))
    if newest is None:
        return []
    registry = Registry(home=str(places.home()), tracking_uri=places.tracking_uri())
    with dg.DagsterInstance.from_config(str(places.home() / "dagster")) as instance:
        found = Doctor(product, registry, instance, datetime.now(UTC)).examine(newest, progress)
        if mend:
            cure(found)
    return found


def cure(found: list[Finding]) -> None:
    """Mend what can be mended without a person."""
    for finding in found:
        if finding.cure:
            finding.cure()
