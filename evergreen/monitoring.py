"""Realised performance: what the predictions were worth once their labels were due."""

from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from evergreen.as_of import AsOf
from evergreen.config import Product
from evergreen.evaluation import ALL_ROWS, score_card
from evergreen.scoring import HEURISTIC

SCORERS = {"served": "score", "baseline": "score_baseline", "previous": "score_previous", "first": "score_first"}
SCORER_NAMES = {"served": "what we served", "baseline": "simple baseline", "first": "never retraining"}

MEASURES = ["log_loss", "expected_cost", "squared_error", "label", "score", "calibration_gap"]
COLUMN_TYPES = {"day": "datetime64[us]", "slice": "str", "scorer": "str", "rows": "int64", **dict.fromkeys(MEASURES, "float64"),
                "coverage": "float64", "reference": "float64", "served_by": "str"}  # fmt: skip


@dataclass(frozen=True)
class LiveRows:
    """Mature rows with what was predicted for them: the columns of both tables, joined by id."""

    rows: pd.DataFrame
    coverage: pd.DataFrame


def live_rows(view: AsOf, days: list[date]) -> LiveRows:
    """The labelled rows of whole mature days, joined with the predictions that were made for them."""
    mature = view.mature(min(days)).on(days)
    made = view.read("predictions", days).drop(columns=["event_time"])
    joined = mature.rows.merge(made, left_on=view.product.id, right_on="id", suffixes=("", "_predicted"))
    return LiveRows(joined, mature.coverage)


def performance(live: LiveRows, references: dict[int, float], product: Product) -> pd.DataFrame:
    """The score card of what was served and of its yardsticks, by day and slice, plus three columns.

    `coverage`: labelled share of the day's mature rows; measures of a day under the declared bound are missing. `reference`: the
    log-loss of the serving version when it was promoted (`references` by version), missing for the heuristic. `served_by`.
    """
    if live.rows.empty:
        return empty_performance()
    scored = {scorer: live.rows[live.rows[column].notna()] for scorer, column in SCORERS.items()}
    parts = [
        score_card(rows, {scorer: rows[SCORERS[scorer]].to_numpy()}, product)
        for scorer, rows in scored.items()
        if len(rows)
    ]
    card = pd.concat(parts, ignore_index=True)
    by_day = live.rows.groupby("day")
    coverage = live.coverage.labelled / live.coverage.mature
    card["coverage"] = card.day.map(coverage).astype("float64")
    card["reference"] = card.day.map(by_day.version.first().map(references)).astype("float64")
    card["served_by"] = card.day.map(by_day.served_by.first()).astype("str")
    card.loc[card.coverage < product.label.coverage_at_least, MEASURES] = np.nan
    return card[list(COLUMN_TYPES)].astype(COLUMN_TYPES)


def empty_performance() -> pd.DataFrame:
    """A performance table without lines, with its types."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMN_TYPES.items()})


def daily_measures(card: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Each measure of a performance table by day, one column a scorer that people are shown and that was measured on some day."""
    days = card[(card["slice"] == ALL_ROWS) & card.scorer.isin(SCORER_NAMES)].set_index(["day", "scorer"]).sort_index()
    return {name: days[name].unstack().dropna(axis="columns", how="all") for name in MEASURES}


def daily_excess(history: pd.DataFrame) -> pd.Series:
    """By how much each day's served log-loss exceeded the serving model's at its promotion; days without a reference are left out."""
    days = history[(history.scorer == "served") & (history.slice == ALL_ROWS) & (history.served_by != HEURISTIC)]
    excess = days.set_index("day").log_loss - days.set_index("day").reference
    return excess.dropna().sort_index()


def coverage_line(coverage: pd.DataFrame) -> dict[str, int | float | None]:
    """Counts over days: `mature`, `labelled`, `pending`, and the share labelled (None without a mature row)."""
    mature, labelled = int(coverage.mature.sum()), int(coverage.labelled.sum())
    return {
        "mature": mature,
        "labelled": labelled,
        "pending": mature - labelled,
        "coverage": labelled / mature if mature else None,
    }
