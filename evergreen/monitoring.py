"""Realised performance: what the predictions were worth once their labels were due."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
import pandas as pd

from evergreen import wide
from evergreen.as_of import AsOf, added_up, share_labelled
from evergreen.config import Product
from evergreen.evaluation import ALL_ROWS, by_block, pooled, score_card
from evergreen.labeling import due_columns
from evergreen.ladder import SEVERAL
from evergreen.periods import Periods
from evergreen.tasks import task_of

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
    parts = list(live_parts(view, days))
    return LiveRows(
        pd.concat([part.rows for part in parts], ignore_index=True), added_up([part.coverage for part in parts])
    )


def live_parts(view: AsOf, days: list[date]) -> Iterator[LiveRows]:
    """The same in parts, with the columns that measuring needs."""
    product = view.product
    task = task_of(product)
    scores = [column for name in SCORERS.values() for column in task.columns(name)]
    made = wide.ById(view.read("predictions", days, ["id", *scores, "action", "version", "served_by"]))
    columns = dict.fromkeys([*due_columns(product), *product.evaluation.slices])
    for mature in view.mature_parts(days, list(columns)):
        answers = made.of(mature.rows[product.id])
        joined = mature.rows.merge(answers, left_on=product.id, right_on="id", suffixes=("", "_predicted"))
        yield LiveRows(joined, mature.coverage)


def performance(live: Iterable[LiveRows], references: dict[int, float], product: Product) -> pd.DataFrame:
    """The score card of what was served and of its yardsticks, by day and slice, plus three columns; `live` comes in parts.

    `coverage`: labelled share of the day's mature rows; measures of a day under the declared bound are missing. `reference`: the
    log-loss of the serving version when it was promoted (`references` by version), of several the mean over the day's rows; missing
    where one has none, as the heuristic. `served_by`: a rung, or SEVERAL, where a day that was done again was answered by more.

    What was served costs what was done with it, at today's costs as prices. A yardstick did nothing: it costs what it would decide by
    today's costs, the best that it could have done. So a threshold that became wrong shows as a cost of what was served.
    """
    cards, coverages, answered = [], [], []
    for part in live:
        coverages.append(part.coverage)
        if len(part.rows):
            cards.append(_card(part.rows, product))
            answered.append(part.rows.groupby(["day", "version", "served_by"]).size())
    if not cards:
        return empty_performance()
    card, counts, by_day = pooled(cards, product), added_up(coverages), _who_served(pd.concat(answered), references)
    card["coverage"] = card.day.map(counts.labelled / counts.mature).astype("float64")
    card["reference"] = card.day.map(by_day.reference).astype("float64")
    card["served_by"] = card.day.map(by_day.served_by).astype("str")
    card.loc[card.coverage < product.label.coverage_at_least, MEASURES] = np.nan
    return card[list(COLUMN_TYPES)].astype(COLUMN_TYPES)


def _card(rows: pd.DataFrame, product: Product) -> pd.DataFrame:
    task = task_of(product)
    scores = {scorer: task.from_table(rows, name) for scorer, name in SCORERS.items()}
    return score_card(rows, scores, product, by_period=True, decided={"served": rows.action})


def _who_served(answered: pd.Series, references: dict[int, float]) -> pd.DataFrame:
    """`reference` and `served_by` of each day; `answered` has the rows by day, version and rung, in parts."""
    rows = answered.groupby(level=[0, 1, 2]).sum().rename("rows").reset_index(["version", "served_by"])
    share, rung = rows.rows / rows.groupby("day").rows.transform("sum"), rows.groupby("day").served_by
    return pd.DataFrame(
        {
            "reference": (rows.version.map(references) * share).groupby("day").sum(skipna=False),
            "served_by": rung.first().where(rung.size() == 1, SEVERAL),
        }
    )


def empty_performance() -> pd.DataFrame:
    """A performance table without lines, with its types."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in COLUMN_TYPES.items()})


def headline(card: pd.DataFrame) -> dict[str, float]:
    """Mean of the judged days, for each scorer; absent scorers are left out, so that charts show no invented number."""
    days = card[card["slice"] == ALL_ROWS].groupby("scorer")[["log_loss", "expected_cost", "calibration_gap"]].mean()
    return {
        f"{scorer}_{name}": float(value)
        for scorer, line in days.iterrows()
        for name, value in line.items()
        if pd.notna(value)
    }


def daily_measures(card: pd.DataFrame, measures: Sequence[str] = MEASURES) -> dict[str, pd.DataFrame]:
    """Each of these measures of a performance table by day, one column a scorer that people are shown and that was measured."""
    days = card[(card["slice"] == ALL_ROWS) & card.scorer.isin(SCORER_NAMES)].set_index(["day", "scorer"]).sort_index()
    return {name: days[name].unstack().dropna(axis="columns", how="all") for name in measures}


def excess_over_reference(history: pd.DataFrame, periods: Periods) -> pd.Series:
    """By how much each block's log-loss exceeded the serving champion's own at its promotion; days that another rung answered are left
    out."""
    days = history[(history.scorer == "served") & (history.slice == ALL_ROWS) & (history.served_by == "champion")]
    days = days.set_index("day").sort_index()
    return by_block(days.log_loss - days.reference, days.rows, periods)


def coverage_line(coverage: pd.DataFrame) -> dict[str, int | float | None]:
    """Counts over days: `mature`, `labelled`, `pending`, and the share labelled (None without a mature row)."""
    mature, labelled = int(coverage.mature.sum()), int(coverage.labelled.sum())
    return {
        "mature": mature,
        "labelled": labelled,
        "pending": mature - labelled,
        "coverage": share_labelled(coverage),
    }
