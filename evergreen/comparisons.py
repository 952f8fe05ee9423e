"""Comparing a product with changed ones on the same rows: what their recipes answer, and what their decisions cost."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date

import pandas as pd

from evergreen.as_of import AsOf
from evergreen.config import Product
from evergreen.digests import digest_json
from evergreen.errors import NotEnoughEvidence
from evergreen.evaluation import by_day, score_card
from evergreen.prequential import Fold, Progress, predict_prequentially, shared_folds
from evergreen.recipes import with_features_of
from evergreen.statistics import Interval, mean_interval
from evergreen.storage import Store
from evergreen.tasks import Floats, task_of

MEASURES = ["log_loss", "expected_cost", "squared_error", "calibration_gap"]
RECIPES = CURRENT, CHANGED = "current", "changed"


@dataclass(frozen=True)
class Comparison:
    """What two products are worth on the same rows: by measure the means of days of each, and the daily differences, changed minus
    current, in their order. `digest` identifies the judging rows by their days; `unit` and `loss` are the product's words for them."""

    means: dict[str, dict[str, float]]
    daily: dict[str, list[float]]
    days: list[date]
    rows: int
    digest: str
    confidence: float
    unit: str
    loss: str

    def difference(self, measure: str, looks: int = 1) -> Interval | None:
        """The mean daily difference, corrected for so many looks at the same days; None with fewer than two."""
        return mean_interval(self.daily[measure], self.confidence, looks, unit=self.unit)


@dataclass(frozen=True)
class Ground:
    """What products are compared on, by recipe: the same mature rows with its features, and the folds that all can use."""

    current: Product
    as_of: date
    rows: Mapping[str, pd.DataFrame]
    folds: Mapping[str, list[Fold]]

    @property
    def days(self) -> list[date]:
        return [day for _, judging in self.folds[self.current.recipe] for day in judging]

    @property
    def digest(self) -> str:
        return digest_json([self.current.name, *map(str, self.days)])

    def comparison(self, means: dict[str, dict[str, float]], daily: dict[str, list[float]]) -> Comparison:
        """What was measured here, now or before."""
        rows = int(self.rows[self.current.recipe].day.isin(pd.DatetimeIndex(self.days)).sum())
        words = {"unit": self.current.time.block, "loss": task_of(self.current).words.loss}
        return Comparison(means, daily, self.days, rows, self.digest, self.current.gates.confidence, **words)


def common_ground(store: Store, current: Product, changed: Sequence[Product], as_of: date) -> Ground:
    """Raises NotEnoughEvidence where history is too short for one fold."""
    view = AsOf(store, current, as_of)
    history = view.mature(current.time.start)
    whole, lived = history.whole_days(), view.days(current.time.start)
    recipes = [current, *changed]
    rows = {product.recipe: with_features_of(product, history.rows, store, lived) for product in recipes}
    folds = shared_folds(whole, recipes, current.count(current.gates.change.days))
    if not folds[0]:
        needed = f"{current.count(current.training.at_least)} {current.time.block}s"
        raise NotEnoughEvidence(
            f"{current.name} has {len(whole)} whole mature {current.time.word}s as of {as_of}: too few to "
            f"train for {needed} and to judge after them; replay further, or choose a later --as-of"
        )
    return Ground(current, as_of, rows, {product.recipe: pairs for product, pairs in zip(recipes, folds, strict=True)})


def compare(ground: Ground, changed: Sequence[Product], progress: Progress = lambda _: None) -> Iterator[Comparison]:
    """Each changed product against the current one, as soon as it is fitted.

    A recipe is fitted once, however many share it: another set of costs decides on the same scores.
    """
    judged, before = _predicted(ground, ground.current, progress)
    fitted = {ground.current.recipe: before}
    for product in changed:
        if product.recipe not in fitted:
            _, fitted[product.recipe] = _predicted(ground, product, progress)
        card = _card(judged, before, fitted[product.recipe], ground.current, product)
        yield _measured(card, ground)


def _predicted(ground: Ground, product: Product, progress: Progress) -> tuple[pd.DataFrame, Floats]:
    return predict_prequentially(ground.rows[product.recipe], product, ground.folds[product.recipe], progress)


def _card(judged: pd.DataFrame, before: Floats, after: Floats, current: Product, changed: Product) -> pd.DataFrame:
    """Both by day, priced at the changed costs: what the current decisions would cost if those were the true ones."""
    judge = changed.model_copy(update={"evaluation": current.evaluation.model_copy(update={"slices": []})})
    return score_card(
        judged, {CURRENT: before, CHANGED: after}, judge, decided={CURRENT: task_of(current).decide(before, None)}
    )


def _measured(card: pd.DataFrame, ground: Ground) -> Comparison:
    by_measure = {measure: by_day(card, measure) for measure in MEASURES}
    return ground.comparison(
        means={name: {measure: float(days[name].mean()) for measure, days in by_measure.items()} for name in RECIPES},
        daily={measure: (days[CHANGED] - days[CURRENT]).to_list() for measure, days in by_measure.items()},
    )
