"""The flights of 2013 as a field of trials: recipes, honest and sabotaged, fitted to a cutoff and scored on the days after it."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evergreen import models
from evergreen.config import Product
from evergreen.product_files import load_product, overlay, parse
from evergreen.samples import nycflights
from evergreen.tasks import Floats, task_of
from pipelines import places

DAY, WEEK = pd.Timedelta(days=1), pd.Timedelta(days=7)
FIRST, LAST = pd.Timestamp("2013-02-10"), pd.Timestamp("2013-12-22")
END = pd.Timestamp("2013-12-31")
WEATHER = ["temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]

Sabotage = Callable[[pd.DataFrame, np.random.Generator], pd.DataFrame]


def flights(ahead: pd.Timedelta) -> pd.DataFrame:
    """Every departure with its label, in order of days; the weather is the newest report `ahead` of the departure."""
    rows = nycflights.load(nycflights.package_folder(), ahead)
    rows["day"] = rows.scheduled_departure.dt.tz_convert(nycflights.TIMEZONE).dt.tz_localize(None).dt.normalize()
    rows["label"] = (rows.cancelled | rows.diverted | (rows.arr_delay >= 15)).astype(float)
    return rows.sort_values("day", kind="stable").reset_index(drop=True)


def shipped() -> Product:
    return load_product(places.REPOSITORY / "configs" / "products" / "flights.yaml")


def recipes(product: Product) -> dict[str, Product]:
    """The shipped recipe (`full`) and poorer ones; `linear` is its baseline."""

    def changed(**changes: Any) -> Product:
        return parse(Product, overlay(product.model_dump(mode="json"), changes), "benchmark")

    numeric = product.features.numeric
    return {
        "full": product,
        "linear": changed(training={"model": product.baseline.model_dump()}),
        "no weather": changed(features={"numeric": [name for name in numeric if name not in WEATHER]}),
        "no rain, no sight": changed(
            features={"numeric": [n for n in numeric if n not in ("precip", "visib", "humid")]}
        ),
        "no aircraft": changed(features={"numeric": [n for n in numeric if n not in ("seats", "built")]}),
        "30 stumpy trees": changed(training={"model": {"n_estimators": 30, "max_depth": 3}}),
        "20 stumpy trees": changed(training={"model": {"n_estimators": 20, "max_depth": 3}}),
        "depth 12": changed(training={"model": {"max_depth": 12}}),
    }


def noise(share: float) -> Sabotage:
    def flip(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
        flipped = random.random(len(rows)) < share
        return rows.assign(label=np.where(flipped, 1 - rows.label, rows.label))

    return flip


def silent(features: list[str], since: pd.Timedelta | None = None) -> Sabotage:
    """No value in these numeric features, since so long before the end of training or always."""

    def blank(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
        told = rows.day <= (rows.day.max() - since if since is not None else pd.Timestamp(0))
        return rows.assign(**{name: rows[name].where(told) for name in features})

    return blank


def _permuted(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    return rows.assign(label=random.permutation(rows.label.to_numpy()))


def _stale(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
    """Too little history for that leaves nothing: the decision is left out."""
    return rows[rows.day <= rows.day.max() - pd.Timedelta(days=60)]


def _last_week_permuted(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    newest = (rows.day > rows.day.max() - WEEK).to_numpy()
    labels = rows.label.to_numpy().copy()
    labels[newest] = random.permutation(labels[newest])
    return rows.assign(label=labels)


def inverted(days: int) -> Sabotage:
    """The labels of the newest days are turned around."""

    def invert(rows: pd.DataFrame, _: np.random.Generator) -> pd.DataFrame:
        return rows.assign(label=rows.label.where(rows.day <= rows.day.max() - days * DAY, 1 - rows.label))

    return invert


def _most(rows: pd.DataFrame, random: np.random.Generator) -> pd.DataFrame:
    return rows[random.random(len(rows)) < 0.9]


SABOTAGE: dict[str, Sabotage] = {
    "labels shuffled": _permuted,
    "data 60 days stale": _stale,
    "two weeks of data alone": lambda rows, _: rows[rows.day > rows.day.max() - 2 * WEEK],
    "weather silent": silent(WEATHER),
    "weather silent for 30 days": silent(WEATHER, pd.Timedelta(days=30)),
    "time of day silent": silent(["minute_of_day"]),
    "label noise 5%": noise(0.05),
    "label noise 10%": noise(0.1),
    "label noise 20%": noise(0.2),
    "label noise 40%": noise(0.4),
}
OTHER: dict[str, Sabotage] = {
    "90% of rows, a": _most,
    "90% of rows, b": _most,
    "last week's labels shuffled": _last_week_permuted,
    "last week's labels inverted": inverted(7),
    "labels of 3 days inverted": inverted(3),
    "labels of 14 days inverted": inverted(14),
    "labels of 21 days inverted": inverted(21),
}


class Trials:
    """Scores of every trial, each fitted once and kept in `folder`.

    Models learn from a random `share` of the rows, the same rows in every trial; every row is scored and judges.
    """

    def __init__(self, folder: Path, share: float = 1.0, progress: Callable[[str], None] = print) -> None:
        self.product, self.folder, self.progress = shipped(), folder, progress
        self.rows = flights(pd.Timedelta(hours=2))
        self.recipes, self.task = recipes(self.product), task_of(self.product)
        self.starts = self.rows.day.searchsorted(pd.date_range("2013-01-01", "2014-01-01"))
        self.learnt = np.random.default_rng(0).random(len(self.rows)) < share
        self.fitted = 0

    def span(self, first: pd.Timestamp, last: pd.Timestamp) -> slice:
        """The positions of the rows from `first` to `last`, both included."""
        origin = pd.Timestamp("2013-01-01")
        return slice(int(self.starts[(first - origin).days]), int(self.starts[min(365, (last - origin).days + 1)]))

    def between(self, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
        return self.rows.iloc[self.span(first, last)]

    def scores(
        self, recipe: str, cutoff: pd.Timestamp, first: pd.Timestamp, last: pd.Timestamp, sabotage: str = ""
    ) -> Floats | None:
        """Scores of the rows from `first` to `last` by a recipe trained through `cutoff`; None where nothing is left to train on."""
        path = self.folder / f"{f'{recipe} {cutoff.date()} {sabotage}'.strip()}.npy"
        if not path.exists():
            fitted = self._fit(recipe, cutoff, sabotage)
            np.save(half := path.with_suffix(".half.npy"), fitted)
            half.rename(path)
        known, begin, wanted = (
            np.load(path, mmap_mode="r"),
            self.span(cutoff + DAY, cutoff + DAY).start,
            self.span(first, last),
        )
        if not len(known):
            return None
        found = np.asarray(known[wanted.start - begin : wanted.stop - begin], dtype="float64")
        assert first > cutoff and len(found) == wanted.stop - wanted.start, "scored on unseen days within the horizon"
        return found

    def _fit(self, recipe: str, cutoff: pd.Timestamp, sabotage: str) -> Floats:
        """Scores of the days after the cutoff: to the end of the year for the shipped recipe, seven weeks for any other."""
        known = self.known(cutoff, sabotage)
        if known.day.nunique() < 10:
            return np.empty(0)
        self.fitted += 1
        if self.fitted % 10 == 1:
            self.progress(f"fit {self.fitted}: {recipe} {sabotage} through {cutoff.date()}")
        horizon = END if recipe == "full" and not sabotage else cutoff + 7 * WEEK
        after = self.between(cutoff + DAY, horizon)
        return models.predict(self.pipeline(recipe, known), after).astype("float32")

    def known(self, cutoff: pd.Timestamp, sabotage: str = "") -> pd.DataFrame:
        """The rows to train on, through the cutoff."""
        end = self.span(cutoff, cutoff).stop
        known = self.rows.iloc[:end][self.learnt[:end]]
        random = np.random.default_rng([cutoff.dayofyear, *sabotage.encode()])
        return (SABOTAGE | OTHER)[sabotage](known, random) if sabotage else known

    def pipeline(self, recipe: str, known: pd.DataFrame) -> Any:
        declared = self.recipes[recipe]
        return models.fit(declared.training.model, declared.features, declared.training.seed, known)

    def auc(self, scores: Floats, first: pd.Timestamp, last: pd.Timestamp) -> float:
        return float(self.task.ranking(self.between(first, last).label.to_numpy(), scores) or np.nan)

    def decisions(self, every: int = 1) -> list[pd.Timestamp]:
        """The Sundays on which a decision is taken; events of the day before are the newest whose labels are due."""
        return list(pd.date_range(FIRST, LAST, freq=every * WEEK))
