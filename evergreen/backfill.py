"""Backfill: which past days must be materialised again, because something is missing or was made for other features than today's."""

from collections.abc import Iterable
from datetime import date

from evergreen.config import Product
from evergreen.errors import StorageError
from evergreen.storage import Store
from evergreen.validation import column_kinds

RAW = {"raw_events": "events", "raw_outcomes": "outcomes"}
TABLES = (*RAW, "batch", "quarantine", "labels", "predictions", "performance", "drift")
DOCUMENTS = ("raw_batch", "retrain_decision")
OF_A_REFUSED_DAY = {*RAW, "raw_batch", "batch", "quarantine"}
MADE_BY = {"raw_events": "raw_batch", "raw_outcomes": "raw_batch", "quarantine": "batch"}
"""The asset to select for what an asset of another name writes."""


def newest_day(store: Store) -> date | None:
    """The newest day that was ingested; None before the first."""
    days = {*store.document_days("raw_batch"), *store.days("batch")}
    return max(days, default=None)


def absent(store: Store, product: Product, day: date, newest: date) -> list[str]:
    """The tables and documents that a day should have, and has not; `newest` is the newest day."""
    held = {name for name in TABLES if store.path(name, day).exists()}
    held |= {name for name in DOCUMENTS if store.document_path(name, day).exists()}
    return [name for name in _expected(store, product, day, newest) if name not in held]


def _expected(store: Store, product: Product, day: date, newest: date) -> list[str]:
    expected = [*DOCUMENTS, *TABLES]
    if store.is_empty("batch", day):
        expected = [name for name in expected if name in OF_A_REFUSED_DAY]
    kept_for = product.retention.quarantine
    if kept_for is not None and day < newest - kept_for:
        expected.remove("quarantine")
    return expected


def outdated(store: Store, product: Product, days: Iterable[date]) -> list[date]:
    """The days whose batch lacks a column that the product names today, or has it in another type: the features were changed since,
    or the code that makes them. A day without a readable batch is none of them."""
    needed = column_kinds(product)
    return [day for day in days if not needed.items() <= _kinds(store, day, needed).items()]


def _kinds(store: Store, day: date, otherwise: dict[str, str]) -> dict[str, str]:
    try:
        return store.kinds("batch", day)
    except StorageError:
        return otherwise


def days_left(store: Store, product: Product, assets: Iterable[str], days: list[date]) -> list[date]:
    """Those of these days on which something that the assets write is missing, or a batch that they write is outdated."""
    newest, chosen = newest_day(store) or product.time.start, set(assets)
    stale = set(outdated(store, product, days)) if "batch" in chosen else set()

    def incomplete(day: date) -> bool:
        return any(MADE_BY.get(name, name) in chosen for name in absent(store, product, day, newest))

    return [day for day in days if day in stale or incomplete(day)]


def command(product: Product, names: Iterable[str], days: list[date], again: bool = False) -> str:
    """The command that materialises these tables or documents, from the first of these days to the last; `again` also where nothing
    seems to be missing."""
    assets = ",".join(sorted({MADE_BY.get(name, name) for name in names}))
    span = f"--from {days[0]} --to {days[-1]}{' --again' if again else ''}"
    return f"evergreen backfill {product.name} --select {assets} {span}"
