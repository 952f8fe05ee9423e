"""A small product and the tables around it: an online shop that asks whether an order will come back.

Orders are placed at noon UTC unless a test says otherwise, and their label is due a day later.
"""

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evergreen.as_of import AsOf
from evergreen.config import Product
from evergreen.labeling import NEWS, OUTCOME, Before, label_parts, read_outcomes
from evergreen.product_files import overlay, parse
from evergreen.scoring import Scored, predictions
from evergreen.storage import Store
from evergreen.validation import validate

REPOSITORY = Path(__file__).parents[2]
START = date(2024, 1, 1)
SHOP: dict[str, Any] = {
    "version": 2,
    "name": "shop",
    "question": "Will the order come back?",
    "owner": "team:shop",
    "task": "binary",
    "decision": {
        "action": "call the customer",
        "costs": {"true_positive": 2, "false_positive": 2, "false_negative": 10, "true_negative": 0},
        "good_enough": {"metric": "expected_cost", "at_most": 1.8},
    },
    "service_levels": {"freshness": "26h", "scoring_latency_p99": "50ms"},
    "source": {"kind": "files", "events": "orders/{day}.parquet", "outcomes": "returns/{day}.parquet"},
    "time": {"event": "ordered_at", "predict_before": "2h", "start": "2024-01-01", "timezone": "UTC"},
    "id": "order_id",
    "label": {"when": "returned", "known_at": "told_at", "matures_after": "1d", "matched_for": "3d"},
    "features": {"numeric": ["amount"], "categorical": ["color"]},
    "training": {"at_least": "2d", "model": {"kind": "logistic"}},
    "evaluation": {"window": "1d", "slices": ["color"], "slice_rows_at_least": 100},
    "heuristic": {"before_training": 0.25},
}


def shop(changes: Mapping[str, Any] | None = None) -> Product:
    """The shop with changes laid over it, as an overlay would."""
    return _shop(json.dumps(changes or {}))


@cache
def _shop(changes: str) -> Product:
    return parse(Product, overlay(SHOP, json.loads(changes)), "shop")


def day(number: int) -> date:
    """The n-th day of the shop's life, from 1."""
    return START + timedelta(days=number - 1)


def at(number: int, clock: str = "12:00") -> pd.Timestamp:
    """A moment of the n-th day, UTC."""
    return pd.Timestamp(f"{day(number)}T{clock}:00Z")


def orders(number: int, ids: Sequence[str], **columns: Any) -> pd.DataFrame:
    """A day's deliveries of orders."""
    content = {"order_id": list(ids), "ordered_at": at(number), "amount": 1.0, "color": "red"} | columns
    return pd.DataFrame(content)


def returns(told: Mapping[str, bool | None], when: pd.Timestamp) -> pd.DataFrame:
    """Outcomes: for each order whether it came back, told at one moment."""
    return pd.DataFrame({"order_id": list(told), "told_at": when, "returned": list(told.values())})


def batch(product: Product, number: int, ids: Sequence[str], **columns: Any) -> pd.DataFrame:
    """A day's orders as validation lets them through."""
    return validate(orders(number, ids, **columns), product, day(number)).batch


def label_log(labels: Mapping[str, float], origin: str = OUTCOME, when: pd.Timestamp | None = None) -> pd.DataFrame:
    """What earlier days wrote of labels: one entry an id, known on the first day unless a test says otherwise."""
    known = pd.Series(at(1) if when is None else when, index=range(len(labels)), dtype="datetime64[us, UTC]")
    entries = {"id": pd.Series(list(labels), dtype="str"), "known_at": known, "label": list(labels.values())}
    return pd.DataFrame(entries).astype({"label": "float64"})[NEWS].assign(origin=origin)


def label_day(
    outcomes: pd.DataFrame, recent: pd.DataFrame, log: pd.DataFrame, product: Product, today: date
) -> pd.DataFrame:
    """The label entries of a day, given what earlier days wrote."""
    told = read_outcomes([outcomes], product, today)
    return pd.concat(list(label_parts(told, [recent], Before.of(log), product, today)), ignore_index=True)


def live_a_day(
    store: Store, product: Product, number: int, events: pd.DataFrame, outcomes: pd.DataFrame | None = None
) -> None:
    """Write a day's `raw_events`, `batch`, `quarantine` and `labels`, as the daily job does."""
    today = day(number)
    told = returns({}, at(number)) if outcomes is None else outcomes
    validated = validate(events, product, today)
    store.write("raw_events", today, events)
    store.write("batch", today, validated.batch)
    store.write("quarantine", today, validated.quarantine)
    view, read = AsOf(store, product, today), read_outcomes([told], product, today)
    store.write("labels", today, label_parts(read, view.recent_due_times(), view.labels_before(), product, today))


def scored_days(folder: Path, last: int) -> Store:
    """A store of days 1 to `last` that were lived and have predictions, with the recipe that day 3 trained."""
    store, product = Store(folder), shop()
    live_days(store, product, last)
    for number in range(1, last + 1):
        store.write("predictions", day(number), store.read("batch", day(number)))
    store.write_document("training_set", day(3), {"product": product.model_dump(mode="json")})
    return store


def live_days(store: Store, product: Product, last: int, rows: int = 20) -> None:
    """Days 1 to `last`, each with `rows` orders; large amounts and blue ones come back, and all is told the next day at noon."""
    random, told = np.random.default_rng(7), returns({}, at(1))
    for number in range(1, last + 1):
        amounts = random.uniform(0, 10, rows).round(3)
        colors = np.where(np.arange(rows) % 2 == 0, "red", "blue")
        ids = [f"{number}-{row}" for row in range(rows)]
        live_a_day(store, product, number, orders(number, ids, amount=amounts, color=colors), told)
        back = amounts + 2 * (colors == "blue") + random.normal(0, 2, rows) > 6
        told = returns(dict(zip(ids, back.tolist(), strict=True)), at(number + 1))


def serve(
    store: Store, product: Product, number: int, scores: Mapping[str, float], by: str = "champion", version: int = 1
) -> None:
    """Write a day's `predictions`: a score for each order of its batch, 0.5 where none is given."""
    rows = store.read("batch", day(number))
    answers = np.array([scores.get(identity, 0.5) for identity in rows.order_id])
    record = None if by == "heuristic" else {"version": version}
    store.write("predictions", day(number), predictions(rows, Scored(answers, by, record), {}, product, None))
