"""Comparing recipes on days that neither saw: both are fitted to the same cutoff, judged on the days after it, and the cutoff rolls on."""

from collections.abc import Callable, Mapping
from datetime import date
from itertools import chain

import numpy as np
import pandas as pd

from evergreen.config import Product
from evergreen.evaluation import score_card
from evergreen.periods import Periods
from evergreen.tasks import Floats

Progress = Callable[[str], None]
Fold = tuple[list[date], list[date]]
WEEK = 7  # days


def folds(whole_days: list[date], product: Product, days: int) -> list[Fold]:
    """(training days, judging days) pairs whose judging days are the newest `days` whole mature days, in blocks of the evaluation window.

    A block is a week at most, or one longer period: what is compared are recipes that are kept fresh. Fewer pairs where history is
    too short to train for the earliest. Days are whole also of an hourly product.
    """
    known, least = Periods.of(product.time).blocks(whole_days), product.count(product.training.at_least)
    step = min(product.count(product.evaluation.window), WEEK if product.time.block == "day" else 1)
    window = None if product.training.window == "expanding" else product.count(product.training.window)
    pairs: list[Fold] = []
    for end in range(len(known), len(known) - days, -step):
        start = max(end - step, len(known) - days)
        training = known[:start] if window is None else known[max(0, start - window) : start]
        if start < least:
            break
        pairs.insert(0, (list(chain(*training)), list(chain(*known[start:end]))))
    return pairs


def predict_prequentially(
    rows: pd.DataFrame, recipe: Product, pairs: list[Fold], progress: Progress = lambda _: None
) -> tuple[pd.DataFrame, Floats]:
    """Fit a recipe before each fold and predict the fold: the judging rows of all folds, in order, and their scores."""
    from evergreen import models

    judged, scores = [], []
    for training, judging in pairs:
        progress(f"fit through {training[-1]}, judge {judging[0]} to {judging[-1]}")
        known = rows[rows.day.isin(pd.DatetimeIndex(training))]
        fresh = rows[rows.day.isin(pd.DatetimeIndex(judging))]
        pipeline = models.fit(recipe.training.model, recipe.features, recipe.training.seed, known, recipe.target)
        judged.append(fresh)
        scores.append(models.predict(pipeline, fresh))
    return pd.concat(judged, ignore_index=True), np.concatenate(scores)


def compare_recipes(
    rows: pd.DataFrame,
    whole_days: list[date],
    recipes: dict[str, Product],
    days: int,
    progress: Progress = lambda _: None,
    fed: Mapping[str, pd.DataFrame] | None = None,
) -> pd.DataFrame:
    """The score card of several recipes on the same newest `days` prequential days; empty where history is too short for one fold.

    The first recipe's slices and costs measure them all. `fed` has the same rows for a recipe that needs other features; None means
    that `rows` hold every recipe's.
    """
    judge = next(iter(recipes.values()))
    per_recipe = dict(zip(recipes, shared_folds(whole_days, list(recipes.values()), days), strict=True))
    predicted = {
        name: predict_prequentially((fed or {}).get(name, rows), recipe, per_recipe[name], _prefixed(progress, name))
        for name, recipe in recipes.items()
        if per_recipe[name]
    }
    judged = next((fresh for fresh, _ in predicted.values()), rows.iloc[:0])
    return score_card(judged, {name: scores for name, (_, scores) in predicted.items()}, judge)


def shared_folds(whole_days: list[date], recipes: list[Product], days: int) -> list[list[Fold]]:
    """Each recipe's folds with the same judging days for all, in the first one's blocks; empty where history is too short for one.

    A fold is used only if every recipe has the days that it needs before it.
    """
    blocks = {"evaluation": recipes[0].evaluation}
    made = [folds(whole_days, recipe.model_copy(update=blocks), days) for recipe in recipes]
    fewest = min(map(len, made))
    return [pairs[len(pairs) - fewest :] for pairs in made]


def _prefixed(progress: Progress, name: str) -> Progress:
    return lambda step: progress(f"{name}: {step}")
