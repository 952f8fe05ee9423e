"""A version of the evaluation set: portions of rows, each a manifest with its origin.

`fresh` are the whole mature days after training's end: the only portion that may decide. `golden` days and `failures` are a
regression reference and decide nothing. `slices` says how many fresh rows each declared slice has, and which golden rows it is
topped up with where those are too few: the one other place whose rows no model in a comparison was trained on.
"""

from datetime import date
from typing import Any

import pandas as pd

from evergreen.as_of import AsOf
from evergreen.config import Product
from evergreen.digests import digest_frame, digest_json
from evergreen.evaluation import of_slice, slice_names
from evergreen.failure_cases import DUPLICATE, OVER_THE_CAP, cases, confident_errors
from evergreen.golden import reserved
from evergreen.ledger import Entry
from evergreen.periods import Periods
from evergreen.tasks import task_of
from evergreen.training import first_needed_day, manifest, read_manifest_rows, split_days
from evergreen.wide import among

PORTIONS = ("fresh", "golden", "failures", "slices")


def evaluation_manifest(view: AsOf, entries: list[Entry]) -> dict[str, Any]:
    """The version as of the view's day: the manifest of `fresh` with the other `portions`, and one `version_digest` over all.

    `entries` are those of the ledger of evaluation sets. Raises NotEnoughEvidence.
    """
    product = view.product
    rows = view.mature(first_needed_day(product, view.day))
    golden_days = reserved(entries, product, view.day)
    fresh = manifest(
        view, rows, split_days(rows.whole_days(product.label.coverage_at_least), product, golden_days).judging
    )
    golden = _golden(view, golden_days)
    portions = {
        "golden": golden,
        "failures": failures_portion(view, confident_errors(view, rows)),
        "slices": _slices(read_manifest_rows(view, fresh), read_portion(view, golden), product),
    }
    digests = {"fresh": fresh["digest"], **{name: portion["digest"] for name, portion in portions.items()}}
    origin = "the newest whole mature days, after training's end; the only portion that decides"
    return {**fresh, "origin": origin, "portions": portions, "version_digest": digest_json(digests)}


def read_portion(view: AsOf, portion: dict[str, Any]) -> pd.DataFrame:
    """The labelled rows of a portion that is named by days; without a day an empty frame with the columns of one."""
    if portion["days"]:
        return read_manifest_rows(view, portion)
    return view.mature(view.day).rows.iloc[:0]


def read_cases(view: AsOf, portion: dict[str, Any]) -> pd.DataFrame:
    """The labelled rows behind the failure cases."""
    rows = read_portion(view, portion)
    return rows[among(rows[view.product.id], [case["id"] for case in portion["cases"]])].reset_index(drop=True)


def _golden(view: AsOf, days: list[date]) -> dict[str, Any]:
    if not days:
        why = (
            "evaluation.golden is not set"
            if view.product.evaluation.golden is None
            else "too few days without training"
        )
        return {"days": [], "rows": 0, "origin": f"none: {why}", "digest": digest_json([])}
    made = manifest(view, view.mature_on(days), days)
    return {**made, "origin": "whole days reserved once, trained on by no version"}


def failures_portion(view: AsOf, errors: pd.DataFrame) -> dict[str, Any]:
    """The manifest of the failure cases among confident errors: each case, and the days or hours that they lie on."""
    product, kept = view.product, cases(errors)
    policy = product.evaluation.failures
    origin = "none: evaluation.failures is null"
    if policy is not None:
        loss = task_of(product).words.loss
        origin = f"served, decided wrong, {loss} over {policy.log_loss_over:g}; the newest {policy.at_most}, one a feature row"
    named = kept[["id", "label", "score", "version", "log_loss"]].assign(
        day=[str(view.periods.at(stamp)) for stamp in kept.day]
    )
    return {
        "rows": len(kept),
        "days": sorted(set(named.day)),
        "duplicates": int((errors.standing == DUPLICATE).sum()),
        "over_the_cap": int((errors.standing == OVER_THE_CAP).sum()),
        "cases": named.to_dict("records"),
        "origin": origin,
        "digest": digest_frame(named) if len(named) else digest_json([]),
    }


def _slices(fresh: pd.DataFrame, golden: pd.DataFrame, product: Product) -> dict[str, Any]:
    lines = [line for column in product.evaluation.slices for line in _top_up(column, fresh, golden, product)]
    least = product.evaluation.slice_rows_at_least
    return {
        "rows": len(topped_up(golden, lines, product)),
        "days": sorted({day for line in lines for day in line["days"]}),
        "slices": lines,
        "enough": sum(line["fresh"] + line["added"] >= least for line in lines),
        "origin": f"fresh rows, topped up from golden days to {least} a slice",
        "digest": digest_json(lines),
    }


def topped_up(golden: pd.DataFrame, lines: list[dict[str, Any]], product: Product) -> pd.DataFrame:
    """The golden rows that some slice is topped up with, each once."""
    parts = [golden.iloc[:0], *(of_line(golden, line) for line in lines if line["days"])]
    return pd.concat(parts).drop_duplicates(product.id)


def of_line(golden: pd.DataFrame, line: dict[str, Any]) -> pd.DataFrame:
    """The golden rows that one slice is topped up with."""
    return of_slice(golden[golden.day.isin(pd.DatetimeIndex(line["days"]))], line["slice"])


def _top_up(column: str, fresh: pd.DataFrame, golden: pd.DataFrame, product: Product) -> list[dict[str, Any]]:
    """A line for each slice of a column: its `fresh` rows and the `added` rows of the newest golden `days` that it needs."""
    counts = slice_names(column, fresh[column]).value_counts()
    held = pd.DataFrame({"slice": slice_names(column, golden[column]), "day": golden.day.to_numpy()})
    lines = []
    for name in sorted({*counts.index, *held.slice}):
        has = int(counts.get(name, 0))
        by_day = held[held.slice == name].day.value_counts().sort_index(ascending=False)
        lacked = has + by_day.cumsum().shift(fill_value=0) < product.evaluation.slice_rows_at_least
        days = sorted(str(Periods.of(product.time).at(stamp)) for stamp in by_day.index[lacked])
        lines.append({"slice": name, "fresh": has, "added": int(by_day[lacked].sum()), "days": days})
    return lines
