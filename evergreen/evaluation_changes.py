"""Two versions of the evaluation set, row by row: which came, which went, and why."""

from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

import pandas as pd

from evergreen.as_of import AsOf
from evergreen.errors import NotEnoughEvidence
from evergreen.evaluation_sets import PORTIONS, read_cases, read_portion, topped_up
from evergreen.failure_cases import CASE, DUPLICATE, OVER_THE_CAP, confident_errors
from evergreen.recipes import recorded_recipe
from evergreen.storage import Store
from evergreen.training import first_needed_day, read_manifest_rows

COLUMNS = ["portion", "change", "day", "reason", "id"]


@dataclass(frozen=True)
class Version:
    """The evaluation set as of a day: its document, the training set beside it, and the rows as they were known then."""

    view: AsOf
    document: dict[str, Any]
    training: dict[str, Any]

    @cached_property
    def rows(self) -> pd.DataFrame:
        """`portion`, `id`, `day` and `label` of every row; a row may be in several portions."""
        golden = read_portion(self.view, self.document["portions"]["golden"])
        parts = {
            "fresh": read_manifest_rows(self.view, self.document),
            "golden": golden,
            "failures": read_cases(self.view, self.document["portions"]["failures"]),
            "slices": topped_up(golden, self.document["portions"]["slices"]["slices"], self.view.product),
        }
        identity = {self.view.product.id: "id"}
        found = [part.rename(columns=identity)[["id", "day", "label"]] for part in parts.values()]
        return pd.concat(found, keys=parts, names=["portion"]).reset_index(level="portion").reset_index(drop=True)

    @cached_property
    def standings(self) -> dict[str, str]:
        """What each confident error known on the day was, by id."""
        rows = self.view.mature(first_needed_day(self.view.product, self.view.day))
        errors = confident_errors(self.view, rows)
        return dict(zip(errors.id, errors.standing, strict=True))


def read_version(store: Store, day: date) -> Version:
    """The newest version as of a day, under the recipe of that day. Raises NotEnoughEvidence where there is none."""
    days = store.document_days("evaluation_set")
    if day not in days:
        known = ", ".join(map(str, days[-5:])) or "none yet: nothing was trained and judged"
        raise NotEnoughEvidence(f"no evaluation set as of {day}; the newest are as of {known}")
    training, document = store.read_document("training_set", day), store.read_document("evaluation_set", day)
    if "portions" not in document:
        raise NotEnoughEvidence(f"the evaluation set as of {day} was made before portions were recorded: it has none")
    return Version(AsOf(store, recorded_recipe(store, {"as_of": str(day)}), day), document, training)


def compare(before: Version, after: Version) -> pd.DataFrame:
    """A line for each row that `came`, `went` or was `relabelled` between two versions, the first the older: COLUMNS."""
    rows = before.rows.merge(after.rows, on=["portion", "id"], how="outer", suffixes=("", "_after"), indicator=True)
    rows["change"] = rows["_merge"].map({"right_only": "came", "left_only": "went", "both": "relabelled"}).astype("str")
    changed = rows[(rows["_merge"] != "both") | (rows.label != rows.label_after)]
    changed = changed.assign(day=changed.day.fillna(changed.day_after))
    reasons = [
        _reason(portion, change, str(after.view.periods.at(day)), identity, before, after)
        for portion, change, day, identity in zip(changed.portion, changed.change, changed.day, changed.id, strict=True)
    ]
    changed = changed.assign(reason=pd.Series(reasons, index=changed.index, dtype="str"))
    order = changed.portion.map(PORTIONS.index)
    return (
        changed.assign(order=order)
        .sort_values(["order", "change", "day", "reason", "id"])[COLUMNS]
        .reset_index(drop=True)
    )


def _reason(portion: str, change: str, day: str, identity: str, before: Version, after: Version) -> str:
    came = change == "came"
    if change == "relabelled":
        return "its label was corrected"
    if portion == "failures":
        return _why_a_case_came(identity, before) if came else _why_a_case_went(identity, after)
    if portion == "slices":
        return "its slice has too few fresh rows" if came else "its slice needs it no longer"
    if portion == "golden":
        is_new = not before.document["portions"]["golden"]["days"]
        return "its day was reserved" if is_new else "a delivery or label of its day changed"
    if day in before.document["days"] and day in after.document["days"]:
        return "a delivery or label of its day changed"
    return "its day is wholly mature now" if came else _why_a_row_left(identity, day, after)


def _why_a_row_left(identity: str, day: str, after: Version) -> str:
    """Where a row of the fresh window went."""
    if identity in after.training["left_out"]:
        return "kept as a failure case"
    if day in after.training["days"]:
        return "trained on now"
    return "reserved as golden" if day in after.document["portions"]["golden"]["days"] else "left the window"


def _why_a_case_came(identity: str, before: Version) -> str:
    known = {OVER_THE_CAP: "there is room under the cap again", DUPLICATE: "the newer row with its features is none"}
    return known.get(before.standings.get(identity, ""), "a confident error, known since")


def _why_a_case_went(identity: str, after: Version) -> str:
    known = {
        OVER_THE_CAP: "released to training: newer cases fill the cap",
        DUPLICATE: "a newer row has the same features",
        CASE: "a delivery of its day changed",
    }
    return known.get(
        after.standings.get(identity, ""),
        "no confident error any more: its label was corrected, or its day is out of reach",
    )
