"""What a model is trained on: a window of whole mature days that ends before the days that will judge it."""

from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import pandas as pd

from evergreen.as_of import AsOf, MatureRows, whole_days
from evergreen.config import Product
from evergreen.digests import digest_frame
from evergreen.errors import NotEnoughEvidence, StorageError

COLUMNS_OF_IDENTITY = ["day", "label"]


@dataclass(frozen=True)
class Split:
    """Whole days: `training` ends with `training[-1]`, `judging` follows; no day is in both."""

    training: list[date]
    judging: list[date]


def split_days(whole_days: list[date], product: Product) -> Split:
    """The newest whole mature days judge, the ones before them train. Raises NotEnoughEvidence, saying how many are missing."""
    judging = product.evaluation.window.days
    history = whole_days[:-judging]
    if len(history) < product.training.at_least.days:
        raise NotEnoughEvidence(
            f"{product.name}: {len(whole_days)} whole mature days, {product.training.at_least.days} are needed to train and "
            f"{judging} more to judge; until then the heuristic serves"
        )
    window = product.training.window
    training = history if window == "expanding" else history[-window.days :]
    return Split(training, whole_days[-judging:])


def evidence_missing(view: AsOf) -> str | None:
    """Why a retrain could not train and judge yet; None where it could, or where the run itself must say what is lost."""
    product = view.product
    try:
        coverage = view.coverage(view.days(first_needed_day(product, view.day)))
        split_days(whole_days(coverage, product.label.coverage_at_least), product)
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
    label = product.label
    maturing = label.matures_after or label.matched_for
    return max(product.time.start, day - window - product.evaluation.window - maturing - timedelta(days=1))


def manifest(view: AsOf, rows: MatureRows, days: list[date]) -> dict[str, Any]:
    """What identifies a set of rows without copying it: days, counts, base rate and a digest of ids, days, labels and features."""
    product, chosen = view.product, rows.on(days)
    columns = [product.id, *COLUMNS_OF_IDENTITY, *product.features.names]
    return {
        "as_of": str(view.day),
        "first_day": str(days[0]),
        "last_day": str(days[-1]),
        "days": [str(day) for day in days],
        "rows": len(chosen.rows),
        "pending": int(chosen.coverage.mature.sum() - chosen.coverage.labelled.sum()),
        "coverage": chosen.share_labelled(),
        "base_rate": float(chosen.rows.label.mean()) if len(chosen.rows) else None,
        "empty_inputs": [name for name in product.features.names if chosen.rows[name].isna().all()],
        "digest": digest_frame(chosen.rows[columns]),
    }


def read_manifest_rows(view: AsOf, recorded: dict[str, Any]) -> pd.DataFrame:
    """The labelled rows that a manifest names, as they were known on its as-of day."""
    days = [date.fromisoformat(day) for day in recorded["days"]]
    return view.mature(days[0]).on(days).rows.reset_index(drop=True)


def possible_training_ids(view: AsOf, recorded: dict[str, Any]) -> pd.Series:
    """The ids of every event on the days that a manifest names: at least those that were trained on."""
    days = [date.fromisoformat(day) for day in recorded["days"]]
    return view.store.read_days("batch", days, [view.product.id])[view.product.id]
