"""Experiments: an overlay on a product, with a stated hypothesis, judged beside the current recipe on the same rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from pydantic import Field

from evergreen.as_of import AsOf
from evergreen.config import Name, Product, Section
from evergreen.digests import digest_json
from evergreen.errors import ConfigError, NotEnoughEvidence
from evergreen.evaluation import ALL_ROWS, by_day
from evergreen.prequential import Progress, compare_recipes
from evergreen.product_files import near_miss, overlay, parse, read_config
from evergreen.recipes import with_features_of
from evergreen.statistics import Interval, mean_interval
from evergreen.storage import Store


class Experiment(Section):
    """One experiment file: what is changed, and what is expected of it, written down before it is run."""

    version: Literal[2] = 2
    name: Name
    product: Name
    hypothesis: str = Field(min_length=10, description="what the change will do, and why")
    changes: dict[str, Any] = Field(
        min_length=1, description="laid over the product file: features, training, and validation of new columns"
    )


@dataclass(frozen=True)
class Outcome:
    """What an experiment found: the daily log-loss difference (changed minus current) and both recipes' means over the same rows.

    `difference` is None with fewer than two days. `digest` identifies the judging rows by their days.
    """

    difference: Interval | None
    means: pd.DataFrame
    days: list[date]
    rows: int
    digest: str


def load_experiment(folder: Path, name: str) -> Experiment:
    """An experiment by name. Raises ConfigError with the names that exist."""
    known = sorted(path.stem for path in folder.glob("*.yaml"))
    if name not in known:
        raise ConfigError(
            f"{folder}: no experiment {name!r}{near_miss(name, known)} (known: {', '.join(known) or 'none'})"
        )
    path = folder / f"{name}.yaml"
    return parse(Experiment, read_config(path), str(path))


def changed_product(product: Product, changes: Mapping[str, Any], origin: str) -> Product:
    """The product with an experiment's changes laid over it, validated like any product."""
    refused = sorted(set(changes) - {"features", "training", "validation"})
    if refused:
        raise ConfigError(
            f"{origin}: changes.{refused[0]} cannot be compared on the same rows; "
            "change features, training, or the validation of new columns"
        )
    return parse(Product, overlay(product.model_dump(mode="json"), dict(changes)), f"{origin}: with its changes")


def run_experiment(
    store: Store, current: Product, changed: Product, as_of: date, progress: Progress = lambda _: None
) -> Outcome:
    """Fit both recipes to the same cutoffs, judge both on the same prequential days. Writes nothing.

    Raises NotEnoughEvidence where history is too short for one cutoff.
    """
    view = AsOf(store, current, as_of)
    history = view.mature(current.time.start)
    rows = with_features_of(changed, history.rows, store, view.days(current.time.start))
    card = compare_recipes(
        rows,
        history.whole_days(),
        {"current": current, "changed": changed},
        current.count(current.gates.change.days),
        progress,
    )
    if card.empty:
        needed = f"{current.count(current.training.at_least)} {current.time.block}s"
        raise NotEnoughEvidence(
            f"{current.name} has {len(history.whole_days())} whole mature {current.time.word}s as of {as_of}: too few to "
            f"train for {needed} and to judge after them; replay further, or choose a later --as-of"
        )
    whole = card[card.slice == ALL_ROWS]
    losses = by_day(card, "log_loss")
    days = [pd.Timestamp(day).date() for day in losses.index]
    return Outcome(
        difference=mean_interval((losses.changed - losses.current).to_list(), current.gates.confidence),
        means=whole.groupby("scorer")[["log_loss", "expected_cost", "squared_error", "calibration_gap"]].mean(),
        days=days,
        rows=int(whole[whole.scorer == "current"].rows.sum()),
        digest=digest_json([current.name, *map(str, days)]),
    )
