"""A product's health at the end of a day: what its report is made of.

Nothing here is measured anew but the labels' delay: everything else was written by earlier stages, of this day or before.
"""

from dataclasses import dataclass, field
from datetime import date
from functools import cached_property
from typing import Any

import pandas as pd

from evergreen.as_of import AsOf
from evergreen.cadence import parse_period
from evergreen.estimated import Estimate, estimate_newest
from evergreen.ladder import HEURISTIC
from evergreen.ledger import Entry
from evergreen.monitoring import daily_measures
from evergreen.promotion import serving_as_of
from evergreen.recipes import recorded_recipe

SHOWN, WEEK = 28, 7
IMPORTANCE_NAMES = {
    "xgboost": "share of the gain that the trees drew from it",
    "logistic": "share of the absolute standardised coefficients",
    "linear": "share of the absolute standardised coefficients",
    "seasonal_naive": "an equal share for each key that it remembers labels by",
    **dict.fromkeys(
        ["sklearn", "module"],
        "share of what the estimator says of its columns, or else of how far scores move when its values change places",
    ),
}


@dataclass(frozen=True)
class Weights:
    """The share of each feature in a model, summing to 1, and what the share is of."""

    shares: dict[str, float]
    meaning: str


@dataclass(frozen=True)
class Health:
    """What a day's report is made of, all of it known at the end of `day`.

    `days` are the last four weeks; over these, `card` is the performance table and `scored` has one line a day (`rows`,
    `served_by`, `version`). Over the last week, `delays` are the times from event to known label of the labels that arrived, and
    `pending` counts rows that fell due without one. `entries` are the decisions in effect, `decision` is the day's retrain
    decision, `weights` are the serving model's (None for the heuristic). `portions` says in sentences what the portions of the
    evaluation set that decide nothing said of the last candidate. `estimated` is what the newest predictions may be worth before
    their labels come, None where that cannot be said.
    """

    day: date
    days: list[date]
    card: pd.DataFrame
    scored: pd.DataFrame
    delays: pd.Series
    pending: int
    entries: list[Entry]
    drift: pd.DataFrame
    decision: dict[str, Any]
    quarantined: int
    weights: Weights | None
    portions: list[str] = field(default_factory=list)
    estimated: Estimate | None = None

    @cached_property
    def daily(self) -> dict[str, pd.DataFrame]:
        """`daily_measures` of the days shown."""
        return daily_measures(self.card)


def gather(view: AsOf, entries: list[Entry]) -> Health:
    """Read a day's health; `entries` are those in effect on it."""
    days, store = view.newest(SHOWN), view.store
    scored, card = _scored(view, days), view.read("performance", days)
    labels = view.read("labels", view.newest(WEEK), ["event_time", "known_at", "label"])
    return Health(
        day=view.day,
        days=days,
        card=card[card.day >= pd.Timestamp(days[0])],
        scored=scored,
        delays=(labels.known_at - labels.event_time).dropna(),
        pending=int(labels.label.isna().sum()),
        entries=entries,
        drift=store.read("drift", view.day),
        decision=store.read_document("retrain_decision", view.day),
        quarantined=store.rows("quarantine", [view.day]),
        weights=_weights(view, entries, scored),
        portions=_portions(view, entries),
        estimated=estimate_newest(view, card),
    )


def _portions(view: AsOf, entries: list[Entry]) -> list[str]:
    """The sentences of the report that the last decision was taken on; none before the first."""
    judged = [parse_period(entry["as_of"]) for entry in entries if "evaluation" in entry]
    if not judged:
        return []
    report = view.store.read_document("evaluation_report", judged[-1])
    return list(report.get("portions", []))


def _scored(view: AsOf, days: list[date]) -> pd.DataFrame:
    """`rows`, `served_by` and `version` by day; days without a row are left out."""
    made = view.read("predictions", days, ["event_time", "served_by", "version"])
    made["day"] = view.periods.holding(made.event_time)
    firsts = made.drop_duplicates("day").set_index("day")[["served_by", "version"]]
    return firsts.assign(rows=made.day.value_counts()).sort_index()


def _weights(view: AsOf, entries: list[Entry], scored: pd.DataFrame) -> Weights | None:
    """The importances recorded when the serving model was trained."""
    entry, served_by = serving_as_of(entries, view.day), serves_today(scored, view.day)
    if entry is None or served_by is None or served_by == HEURISTIC:
        return None
    record = entry["serving"][served_by]
    role = "baseline" if served_by == "baseline" else "refit" if "twin" in record else "candidate"
    recipe = recorded_recipe(view.store, record)
    trained = view.store.read_document(f"{role}_model", parse_period(record["as_of"]))
    kind = recipe.baseline.kind if role == "baseline" else recipe.training.model.kind
    return Weights(trained["importances"], IMPORTANCE_NAMES[kind])


def serves_today(scored: pd.DataFrame, day: date) -> str | None:
    """The rung that answered on the day; None where no row was scored."""
    return str(scored.served_by[pd.Timestamp(day)]) if pd.Timestamp(day) in scored.index else None
