"""Pruning a home: what is held, listed for the rules of `evergreen.retention`, and the removal of what they let go."""

from collections.abc import Iterator
from datetime import date
from pathlib import Path

import dagster as dg

from evergreen.config import Product
from evergreen.digests import digest_file
from evergreen.ledger import Entry
from evergreen.retention import Held, ModelUse, digests_of, model_uses, needed_runs, removable
from pipelines import places, tags
from pipelines.registry import Registry
from pipelines.resources import Home

PRUNED_TAG = "evergreen.model_file"


def prunable(product: Product, home: Home, registry: Registry, instance: dg.DagsterInstance, today: date) -> list[Held]:
    """What the product's retention lets go, oldest first; `today` is the clock's, for event logs.

    Raises LedgerError or RegistryError: who is needed must be known.
    """
    entries, retention = home.promotions(product).entries(), product.retention
    data = [*_quarantine(product, home), *_models(product, entries, registry)]
    days = home.store(product).days("batch")
    gone = removable(data, retention, days[-1], _aliased(product, entries, registry)) if days else []
    if retention.event_logs is not None:
        gone += removable(_event_logs(product, instance), retention, today, needed_runs(entries))
    return sorted(gone, key=lambda held: (held.kind, held.since, held.name))


def remove(held: Held, product: Product, home: Home, registry: Registry) -> None:
    """Remove one thing; a registered version first says in a tag that its file is gone on purpose.

    Killed in between, the next prune goes on.
    """
    if held.kind in ("refused_models", "superseded_models"):
        use = model_uses(home.promotions(product).entries())[held.name]
        registry.tag_version(product.name, use.version, PRUNED_TAG, f"removed by retention, {held.why}")
    for path in held.paths:
        path.unlink(missing_ok=True)
        if not any(path.parent.iterdir()):
            path.parent.rmdir()


def _quarantine(product: Product, home: Home) -> Iterator[Held]:
    store = home.store(product)
    for day in store.days("quarantine"):
        path = store.path("quarantine", day)
        yield Held("quarantine", str(day), day, (path,), path.stat().st_size)


def _models(product: Product, entries: list[Entry], registry: Registry) -> Iterator[Held]:
    """The files that hold a version which the newest entry no longer names: the home's copy and the registry's, found by digest."""
    if not product.retention.spares_models:
        return
    files: dict[str, list[Path]] = {}
    for path in [*registry.kept_files(product.name), *registry.local_files(product.name)]:
        files.setdefault(digest_file(path), []).append(path)
    for digest, use in model_uses(entries).items():
        if use.last_day is not None and digest in files:
            yield _model(digest, use, use.last_day, tuple(files[digest]))


def _model(digest: str, use: ModelUse, last_day: date, paths: tuple[Path, ...]) -> Held:
    return Held("superseded_models" if use.served else "refused_models", digest, last_day, paths, _bytes(paths))


def _aliased(product: Product, entries: list[Entry], registry: Registry) -> set[str]:
    """The model files that any alias names, also one that a person set by hand."""
    if not entries or not product.retention.spares_models:
        return set()
    digests = digests_of(entries)
    aliases = registry.aliases(product.name) or {}
    return {digests[int(version)] for version in aliases.values() if int(version) in digests}


def _event_logs(product: Product, instance: dg.DagsterInstance) -> Iterator[Held]:
    """The log and the output of each run that has ended.

    On SQLite a run's log is a file of its own, and its materializations and checks have a copy in the index: removing the file
    leaves the asset's history, and with it what the replay has done. (`instance.delete_run` would take the index's copy too.)
    """
    folder = places.home() / "dagster"
    for record in instance.get_run_records(dg.RunsFilter(tags={tags.PRODUCT: product.name})):
        run = record.dagster_run
        log = folder / "history" / "runs" / f"{run.run_id}.db"
        output = sorted((folder / "storage" / run.run_id / "compute_logs").glob("*"))
        paths = tuple(path for path in [*log.parent.glob(f"{log.name}*"), *output] if path.is_file())
        if run.is_finished and paths:
            yield Held("event_logs", run.run_id, record.create_timestamp.date(), paths, _bytes(paths))


def _bytes(paths: tuple[Path, ...]) -> int:
    return sum(path.stat().st_size for path in paths)
