"""A day's numbers, kept with its summary, and their charts by day.

Dagster charts numbers by partition too, but only for the newest 120 of the calendar, whenever the product lived.
"""

from collections.abc import Mapping
from datetime import date
from typing import Any

import pandas as pd

from evergreen.as_of import AsOf
from evergreen.charts import KINDS, Chart, Line, time_plot
from evergreen.config import Product
from evergreen.drift import prediction_psi, weighted_psi
from evergreen.labeling import OUTCOME, PENDING
from evergreen.monitoring import SCORER_NAMES, headline
from evergreen.tasks import task_of

PLOTS: dict[str, dict[str, str]] = {
    "Rows": {"rows": "scored", "quarantined": "in quarantine", "labelled": "labels that came", "pending": "pending labels"},
    "Share of the judged rows with a label": {"coverage": "coverage"},
    "{loss} of the rows that were judged": {f"{name}_log_loss": said for name, said in SCORER_NAMES.items()},
    "{currency} a prediction of the rows that were judged": {f"{name}_expected_cost": said for name, said in SCORER_NAMES.items()},
    "Population stability index": {"weighted_psi": "inputs, as the model weighs them", "prediction_psi": "predictions"},
}  # fmt: skip
"""A plot for each unit; its lines by what they are called in a day's numbers."""


def numbers_of(view: AsOf) -> dict[str, float]:
    """What the day's own partitions say in numbers, those of the days that were judged on it among them; what is not known is left out."""
    store, day = view.store, view.day
    card, distances = store.read("performance", day), store.read("drift", day)
    origins = store.read("labels", day, ["origin"]).origin.value_counts()
    found = {
        "rows": store.rows("predictions", [day]),
        "quarantined": store.rows("quarantine", [day]),
        "labelled": origins.get(OUTCOME, 0),
        "pending": origins.get(PENDING, 0),
        "coverage": card.coverage.mean(),
        **headline(card),
        "weighted_psi": weighted_psi(distances),
        "prediction_psi": prediction_psi(distances),
    }
    return {name: float(value) for name, value in found.items() if pd.notna(value)}


def draw(summaries: Mapping[date, Mapping[str, Any]], product: Product) -> list[Chart]:
    """The numbers of each day by day, a chart for each unit; days of an earlier release have none, and a chart without any is left out."""
    days = sorted(summaries)
    units = {"loss": task_of(product).words.loss.capitalize(), "currency": product.decision.currency.capitalize()}
    table = pd.DataFrame([summaries[day].get("numbers", {}) for day in days], pd.DatetimeIndex(days)).astype("float64")
    charts = []
    for title, names in PLOTS.items():
        shown = [(said, table[name]) for name, said in names.items() if name in table]
        lines = [Line(said, kind, values) for (said, values), kind in zip(shown, KINDS, strict=False)]
        if lines:
            charts.append(time_plot(f"{title.format(**units)}, by {product.time.word}", days, lines))
    return charts
