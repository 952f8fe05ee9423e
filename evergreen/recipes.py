"""Serving or judging a model whose recipe is not today's: the features that it needs come from the raw deliveries."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import pandas as pd
from pydantic import ValidationError

from evergreen.as_of import AsOf
from evergreen.cadence import parse_period
from evergreen.config import Product
from evergreen.errors import ModelError
from evergreen.migrations import migrated
from evergreen.storage import Store
from evergreen.validation import column_kinds, validate


def recorded_recipe(store: Store, record: Mapping[str, Any]) -> Product:
    """The product as it was when a version was trained, in today's words, without its gates: they judged that day and are not
    asked again, so a key of theirs that has another name today stops no model. Code of the clone comes back as it was then.

    Raises PartitionMissing where the record is lost, and ModelError where the code in it was changed or it is no product any more."""
    recorded = store.read_document("training_set", parse_period(record["as_of"]))["product"]
    product = migrated(recorded, f"the product as of {record['as_of']}")
    try:
        recipe = Product.model_validate({name: block for name, block in product.items() if name != "gates"})
    except ValidationError as problem:
        told = "; ".join(error["msg"] for error in problem.errors())
        raise ModelError(f"the product as of {record['as_of']} is none that this Evergreen can be: {told}") from None
    if recipe.own_code and recipe.recipe != record["recipe"]:
        raise ModelError(
            f"the code recorded with the product as of {record['as_of']} is not that of the recipe {record['recipe']}; it is not run"
        )
    return recipe


def with_features_of(recipe: Product, rows: pd.DataFrame, store: Store, days: Iterable[date]) -> pd.DataFrame:
    """`rows` with every feature of a recipe; those that the rows lack or have in another kind, and all where other code made them, come
    from the raw events of `days`.

    A row that breaks the recipe's own rules keeps missing values there. Raises ModelError where no row has a value of such a
    feature: a recipe that cannot be fed does not answer.
    """
    kinds = column_kinds(recipe)
    lacking = [name for name in recipe.features.names if name not in rows.columns or _differs(rows[name], kinds[name])]
    if not set(recipe.features.marks).issubset(rows.columns):
        lacking = recipe.features.names
    if not lacking:
        return rows
    batches = [validate(store.read("raw_events", day), recipe, day).batch[[recipe.id, *lacking]] for day in days]
    rest = rows.drop(columns=lacking, errors="ignore")
    fed = rest.merge(pd.concat(batches, ignore_index=True), on=recipe.id, how="left")
    silent = [name for name in lacking if fed[name].isna().all()]
    if silent and len(rows):
        raise ModelError(f"{', '.join(silent)}: no value in the raw deliveries, and the model was trained on it")
    return fed


def _differs(values: pd.Series, kind: str) -> bool:
    """Whether a column holds numbers where a recipe has none, or the reverse."""
    return pd.api.types.is_numeric_dtype(values) != (kind == "float64")


@dataclass(frozen=True)
class StoreOfRecipe(Store):
    """A store in which `batch` is what a recipe made of each day: where the stored one lacks its columns, because other code or another
    config made it, the raw delivery is validated again under the recipe's own rules."""

    recipe: Product

    def read_days(self, table: str, days: Iterable[date], columns: list[str] | None = None) -> pd.DataFrame:
        days = list(days)
        if self._held(table, days):
            return super().read_days(table, days, columns)
        made = pd.concat([self._made(day) for day in days], ignore_index=True)
        return made[columns] if columns else made

    def scan(self, table: str, days: Iterable[date], columns: list[str] | None = None) -> Iterator[pd.DataFrame]:
        days = list(days)
        if self._held(table, days):
            yield from super().scan(table, days, columns)
        else:
            yield self.read_days(table, days, columns)

    def _made(self, day: date) -> pd.DataFrame:
        return validate(self.read("raw_events", day), self.recipe, day).batch

    def _held(self, table: str, days: list[date]) -> bool:
        needed = column_kinds(self.recipe).items()
        return table != "batch" or all(needed <= self.kinds(table, day).items() for day in days)


def as_it_was(store: Store, record: Mapping[str, Any]) -> AsOf:
    """A version's as-of day, through the product and the code that it was trained with: what was decided then can be verified after
    both have changed. Raises as `recorded_recipe` does."""
    recipe = recorded_recipe(store, record)
    return AsOf(StoreOfRecipe(store.root, recipe), recipe, parse_period(record["as_of"]))
