"""Backfill: assets of the daily job for past days, through the job itself on the persistent instance, one day after the other.

It takes no decision and asks no schedule. What was decided, who served and what was answered stays: those assets return what is on
record when they are run again.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import date
from typing import Any

import dagster as dg

from evergreen.backfill import MADE_BY, days_left, newest_day
from evergreen.config import Product
from evergreen.errors import EvergreenError, StorageError
from evergreen.periods import Periods
from evergreen.product_files import near_miss
from evergreen.storage import Store
from pipelines import tags
from pipelines.failures import RunFailed, explain_failure
from pipelines.instance import close_interrupted_runs, days_underway
from pipelines.jobs import DAILY_STAGES, daily_name, stage_assets
from pipelines.replay import QUIET, Replay, opened_replay

Progress = Callable[[Sequence[Any], str], Iterable[Any]]
WRITTEN_WITH = {"batch": "quarantine"}
"""An asset that only comes with another, by that other."""


def chosen_assets(product: Product, names: str) -> list[str]:
    """The assets that a person selects, separated by commas. Raises EvergreenError where the daily job has no such asset."""
    known = [key.path[-1] for asset in stage_assets(product, DAILY_STAGES) for key in asset.keys]
    chosen = [MADE_BY.get(name, name) for name in names.replace(" ", "").split(",")]
    for name in chosen:
        if name not in known:
            raise EvergreenError(
                f"--select {name}: {daily_name(product)} has no such asset{near_miss(name, known)} (known: {', '.join(known)})"
            )
    return list(dict.fromkeys(chosen))


def span(product: Product, store: Store, first: str | None, last: str | None) -> list[date]:
    """The days from `first` to `last`; None is the product's start, and its newest day. Raises EvergreenError for other days."""
    periods, newest = Periods.of(product.time), newest_day(store)
    if newest is None:
        raise EvergreenError(
            f"{product.name}: no {product.time.word} is done yet. Run: evergreen replay {product.name}"
        )
    begin = periods.asked_for(first, last=False) if first else periods.start
    end = periods.asked_for(last) if last else newest
    if not periods.start <= begin <= end <= newest:
        raise EvergreenError(
            f"--from {begin} --to {end}: {product.name} has {product.time.word}s from {periods.start} to {newest}"
        )
    return periods.between(begin, end)


def backfill(product: Product, assets: list[str], days: list[date], again: bool, progress: Progress) -> Iterator[str]:
    """Materialise the assets for those of these days that need it, or with `again` for all; yields what a person should know.

    A day whose run was interrupted needs it: its partition may be there, and its record on the instance not. Raises EvergreenError
    where a replay of the product or the daemon works on this home, and RunFailed at the first run that fails.
    """
    with opened_replay(product) as replay:
        interrupted = days_underway(replay.instance, daily_name(product))
        store = replay.home.store(product)
        needed = interrupted.union(days if again else days_left(store, product, assets, days))
        left = [day for day in days if day in needed]
        for day in progress(left, product.name):
            before = _ids(store, product, day)
            yield from _materialise(replay, assets, day)
            yield from _other_rows(product, day, before, _ids(store, product, day))
        close_interrupted_runs(replay.instance, {daily_name(product)}, tags.IN_PROCESS)
    named = f"{', '.join(assets)} of {product.name}"
    if left:
        days_made = f"{len(left)} {product.time.word}{'' if len(left) == 1 else 's'}"
        yield f"{named}: {days_made} made again, {left[0]} to {left[-1]}"
    else:
        yield f"Nothing is left: {named} is there, and made for today's features, for every {product.time.word} asked for"


def _materialise(replay: Replay, assets: list[str], day: date) -> Iterator[str]:
    product = replay.product
    names = [*assets, *(WRITTEN_WITH[name] for name in assets if name in WRITTEN_WITH)]
    result = replay.definitions.resolve_job_def(daily_name(product)).execute_in_process(
        instance=replay.instance,
        partition_key=str(day),
        asset_selection=[dg.AssetKey([product.name, name]) for name in names],
        tags=tags.OF_THIS_PROCESS,
        run_config=QUIET,
        raise_on_error=False,
    )
    if result.success:
        return
    why = explain_failure(result, daily_name(product), str(day))
    if not _is_refused(result):
        raise RunFailed(why)
    yield f"{why}\nIt is left out of everything, as any refused {product.time.word}; the others go on."


def _is_refused(result: dg.ExecuteInProcessResult) -> bool:
    """Whether validation refused the whole day: that is an outcome, and the next day does not depend on it."""
    checks = result.get_asset_check_evaluations()
    return any(check.check_name == "day_is_usable" and not check.passed for check in checks)


def _ids(store: Store, product: Product, day: date) -> set[str]:
    """The rows that a day's batch holds; none where there is no readable one."""
    try:
        return set(store.read("batch", day, [product.id])[product.id])
    except StorageError:
        return set()


def _other_rows(product: Product, day: date, before: set[str], after: set[str]) -> Iterator[str]:
    """What to do about rows that rules accept now and did not then."""
    if before and after != before:
        yield (
            f"{day}: {len(after - before)} rows came into the batch and {len(before - after)} went out, for its rules are others now; "
            f"their labels follow with: evergreen backfill {product.name} --select labels --from {day} --again"
        )
