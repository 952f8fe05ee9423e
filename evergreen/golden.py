"""Golden days: whole days reserved before the first training and never trained on, the same reference for every version.

They are chosen once and stand in the ledger of evaluation sets; once there they stay, whatever the product file says later.
"""

from collections.abc import Iterable
from datetime import date
from itertools import chain
from typing import Any

from evergreen.as_of import AsOf
from evergreen.cadence import parse_period
from evergreen.config import Product
from evergreen.ledger import Entry
from evergreen.periods import Periods

KEY = "golden"


def golden_key(product: Product) -> str:
    """Under which the ledger of evaluation sets keeps the reservation."""
    return f"{product.name}/{KEY}"


def reserved(entries: Iterable[Entry], product: Product, day: date) -> list[date]:
    """The golden days that the ledger knows of as of a day; empty where none are reserved."""
    found = (entry for entry in entries if entry["key"] == golden_key(product) and entry["as_of"] <= str(day))
    return [parse_period(text) for entry in found for text in entry["days"]]


def choose(whole_days: list[date], trained: Iterable[date], product: Product) -> list[date]:
    """The oldest days that no model was trained on and that do not judge today.

    The oldest, because they are worth least to a model and are there before any other. Before the first training the product
    waits for as many as it asks for; where it trains already and too few are free, none are reserved.
    """
    if product.evaluation.golden is None:
        return []
    used, count = set(trained), product.count(product.evaluation.golden)
    earlier = Periods.of(product.time).blocks(whole_days)[: -product.count(product.evaluation.window)]
    free = [block for block in earlier if used.isdisjoint(block)]
    return [] if used and len(free) < count else list(chain(*free[:count]))


def golden_days(view: AsOf, whole_days: list[date], entries: Iterable[Entry]) -> list[date]:
    """The reserved days, or those that a training as of the view's day would reserve; fewer than asked for only where it must wait."""
    entries = list(entries)
    if view.product.evaluation.golden is None or any(entry["key"] == golden_key(view.product) for entry in entries):
        return reserved(entries, view.product, view.day)
    return choose(whole_days, _trained_before(view), view.product)


def _trained_before(view: AsOf) -> set[date]:
    """Every day that a training set of an earlier as-of day names."""
    earlier = [day for day in view.store.document_days("training_set") if day < view.day]
    sets: list[dict[str, Any]] = [view.store.read_document("training_set", day) for day in earlier]
    manifests = [manifest for made in sets for manifest in (made, made.get("refit")) if manifest]
    return {parse_period(day) for manifest in manifests for day in manifest["days"]}
