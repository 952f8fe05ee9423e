"""Why a prediction is what it is: from the row back to its delivery, and from the model back to its training and its gates."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
import pyarrow.dataset as ds

from evergreen.cadence import parse_period
from evergreen.config import Product
from evergreen.errors import NotEnoughEvidence
from evergreen.labeling import UNMATCHED, latest_labels
from evergreen.ladder import NO_VERSION
from evergreen.ledger import Entry
from evergreen.periods import Periods
from evergreen.promotion import PROMOTED, WAITING, decisions
from evergreen.recipes import recorded_recipe, with_features_of
from evergreen.storage import Store


@dataclass(frozen=True)
class Explanation:
    """Every link of the chain. `inputs` are the features as the model was fed with them, by its own recipe. `promoted` is the ledger
    entry that let the serving version through, None where no champion answered; `state` is the entry that was in effect, None before
    the first decision; `label` is None while nothing is known."""

    day: date
    prediction: dict[str, Any]
    inputs: dict[str, Any]
    delivery: dict[str, Any]
    label: dict[str, Any] | None
    state: Entry | None
    model: dict[str, Any] | None
    promoted: Entry | None


def explain(store: Store, product: Product, entries: list[Entry], prediction: str) -> Explanation:
    """The chain behind one prediction. Raises NotEnoughEvidence where no scored day has that id."""
    day = find_day(store, prediction)
    if day is None:
        raise NotEnoughEvidence(
            f"{product.name} has no prediction with id {prediction!r}: ids look like {_example(store)!r}"
        )
    made = _row(store.read("predictions", day), "id", prediction)
    state = next((entry for entry in entries if entry["digest"] == made["ledger_head"]), None)
    model = _record(state, made)
    promoted = [
        entry
        for entry in decisions(entries)
        if entry["decision"] in (PROMOTED, *WAITING) and entry["candidate"]["version"] == made["version"]
    ]
    return Explanation(
        day=day,
        prediction=made,
        inputs=_inputs(store, product, model, day, prediction),
        delivery=store.read_document("raw_batch", day),
        label=_label(store, product, day, prediction),
        state=state,
        model=model,
        promoted=promoted[-1] if promoted else None,
    )


def _inputs(store: Store, product: Product, model: dict[str, Any] | None, day: date, prediction: str) -> dict[str, Any]:
    """Where the heuristic answered, the product's features as they are stored."""
    batch, recipe = store.read("batch", day), product
    if model:
        recipe = product if model["recipe"] == product.recipe else recorded_recipe(store, model)
        batch = with_features_of(recipe, batch, store, [day])
    row = _row(batch, product.id, prediction)
    return {name: row[name] for name in recipe.features.names if name in row}


def find_day(store: Store, prediction: str) -> date | None:
    """The newest scored day that has a prediction with this id."""
    paths = [str(store.path("predictions", day)) for day in store.days("predictions")]
    if not paths:
        return None
    found = ds.dataset(paths, format="parquet", partitioning="hive").to_table(
        columns=["day"], filter=ds.field("id") == prediction
    )
    days = sorted(str(day) for day in found["day"].to_pylist())
    return parse_period(days[-1]) if days else None


def _example(store: Store) -> str:
    days = store.days("predictions")
    ids = store.read("predictions", days[-1], ["id"]).id if days else pd.Series(dtype="str")
    return str(ids.iloc[0]) if len(ids) else "nothing: no day has been scored yet"


def _row(table: pd.DataFrame, column: str, value: str) -> dict[str, Any]:
    return {str(name): item for name, item in table[table[column] == value].iloc[0].items()}


def _label(store: Store, product: Product, day: date, prediction: str) -> dict[str, Any] | None:
    """The label of a row of `day`, or that it is pending: none is entered once outcomes are no longer matched to it."""
    periods, entered = Periods.of(product.time), []
    last = periods.after(day, periods.covering(product.label.matched_for))
    for known in (other for other in store.days("labels") if day <= other <= last):
        log = store.read("labels", known)
        entered.append(log[(log.id == prediction) & (log.origin != UNMATCHED)].assign(entered_on=known))
    if not any(map(len, entered)):
        return None
    log = pd.concat(entered)
    told = latest_labels(log)
    return _row(told if len(told) else log, "id", prediction)


def _record(state: Entry | None, made: dict[str, Any]) -> dict[str, Any] | None:
    """The model record, as the ledger had it, of the version that answered; None for the heuristic."""
    if state is None or made["version"] == NO_VERSION:
        return None
    record: dict[str, Any] = state["serving"][made["served_by"]]
    return record
