"""What a model is trained on: a window of whole mature days that ends before the days that will judge it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from itertools import chain
from typing import Any

import pandas as pd

from evergreen.as_of import AsOf, MatureRows, whole_days
from evergreen.cadence import parse_period
from evergreen.config import Product
from evergreen.digests import digest_frame
from evergreen.errors import NotEnoughEvidence, StorageError
from evergreen.failure_cases import cases, confident_errors
from evergreen.golden import golden_days
from evergreen.ledger import Entry
from evergreen.periods import Periods
from evergreen.tasks import task_of
from evergreen.wide import among

COLUMNS_OF_IDENTITY = ["day", "label"]


@dataclass(frozen=True)
class Split:
    """Whole days, of an hourly product with those of their hours that are whole: `training` ends with `training[-1]`, `judging` follows;
    no day is in both. `refit` is what would train if nothing had to judge: it ends with the last judging day."""

    training: list[date]
    judging: list[date]
    refit: list[date]


def split_days(whole_days: list[date], product: Product, golden: Sequence[date] = ()) -> Split:
    """The newest whole mature days judge, the ones before them train; golden days do neither.

    Raises NotEnoughEvidence, saying how many are missing.
    """
    periods, judging = Periods.of(product.time), product.count(product.evaluation.window)
    free = periods.blocks([day for day in whole_days if day not in set(golden)])
    history, least, known = free[:-judging], product.count(product.training.at_least), len(periods.blocks(whole_days))
    if len(history) < least:
        reserved = f", {known - len(free)} of them golden" if golden else ""
        raise NotEnoughEvidence(
            f"{product.name}: {known} whole mature {product.time.block}s{reserved}, {least} are needed to "
            f"train and {judging} more to judge; until then the heuristic serves"
        )
    window = product.training.window
    newest = None if window == "expanding" else -product.count(window)
    return Split(*(list(chain(*blocks)) for blocks in (history[newest:], free[-judging:], free[newest:])))


def evidence_missing(view: AsOf, evaluation_sets: list[Entry]) -> str | None:
    """Why a retrain could not train and judge yet; None where it could, or where the run itself must say what is lost."""
    product = view.product
    try:
        coverage = view.coverage(view.days(first_needed_day(product, view.day)))
        whole = whole_days(coverage, view.periods, product.label.coverage_at_least)
        split_days(whole, product, golden_days(view, whole, evaluation_sets))
    except NotEnoughEvidence as problem:
        return str(problem)
    except StorageError:
        return None
    return None


def first_needed_day(product: Product, day: date) -> date:
    """The first day that a training for `day` may read; earlier partitions need not be there."""
    window = product.training.window
    if window == "expanding":
        return product.time.start
    periods, label = Periods.of(product.time), product.label
    maturing = periods.covering(label.matures_after or label.matched_for)
    blocks = product.count(window) + product.count(product.evaluation.window)
    return max(product.time.start, periods.before(day, (blocks + 1) * periods.of_a_block + maturing))


def manifest(view: AsOf, rows: MatureRows, days: list[date], left_out: Iterable[str] = ()) -> dict[str, Any]:
    """What identifies a set of rows without copying it: days, counts, prior (`base_rate`) and a digest of ids, days, labels and features.

    `left_out` are ids that do not belong to the set, whatever their day; the manifest names those of its days.
    """
    product, chosen = view.product, rows.on(days)
    out = among(chosen.rows[product.id], list(left_out))
    kept = chosen.rows[~out]
    columns = [product.id, *COLUMNS_OF_IDENTITY, *product.features.names]
    return {
        "as_of": str(view.day),
        "first_day": str(days[0]),
        "last_day": str(days[-1]),
        "days": [str(day) for day in days],
        "left_out": sorted(chosen.rows[product.id][out]),
        "rows": len(kept),
        "pending": int(chosen.coverage.mature.sum() - chosen.coverage.labelled.sum()),
        "coverage": chosen.share_labelled(),
        "base_rate": task_of(product).prior(kept.label) if len(kept) else None,
        "empty_inputs": [name for name in product.features.names if kept[name].isna().all()],
        "digest": digest_frame(kept[columns]),
    }


def training_manifest(view: AsOf, evaluation_sets: list[Entry]) -> dict[str, Any]:
    """The manifest of the rows to train on as of the view's day, with what is withheld from them.

    `withheld` has for each reason its rows; `golden` are the golden days, all of them; `refit` is the manifest of what a promoted
    model is fitted to again, None where it ships as it was judged. Raises NotEnoughEvidence.
    """
    product = view.product
    rows = view.mature(first_needed_day(product, view.day))
    whole = rows.whole_days(product.label.coverage_at_least)
    golden = golden_days(view, whole, evaluation_sets)
    split, left_out = split_days(whole, product, golden), cases(confident_errors(view, rows)).id
    made = manifest(view, rows, split.training, left_out)
    refit = manifest(view, rows, split.refit, left_out) if product.training.refit_on_promotion else None
    missed = [day for day in split_days(whole, product).training if day in set(golden)]
    withheld = {"golden": len(rows.on(missed).rows), "failures": len(made["left_out"])}
    return {**made, "golden": [str(day) for day in golden], "withheld": withheld, "refit": refit}


def manifest_of(training_set: dict[str, Any], record: dict[str, Any]) -> dict[str, Any]:
    """Of a training set's two manifests the one that a version was trained on: its refit's, or its own."""
    refit = training_set.get("refit")
    return refit if refit and refit["digest"] == record["training_digest"] else training_set


def read_manifest_rows(view: AsOf, recorded: dict[str, Any]) -> pd.DataFrame:
    """The labelled rows that a manifest names, as they were known on its as-of day."""
    days = [parse_period(day) for day in recorded["days"]]
    rows = view.mature_on(days).rows
    return rows[~among(rows[view.product.id], recorded.get("left_out", []))].reset_index(drop=True)


def possible_training_ids(view: AsOf, recorded: dict[str, Any]) -> pd.Series:
    """The ids of every event on the days that a manifest names, but those left out: at least those that were trained on."""
    days = [parse_period(day) for day in recorded["days"]]
    ids = view.store.read_days("batch", days, [view.product.id])[view.product.id]
    return ids[~among(ids, recorded.get("left_out", []))]
