"""The ladder champion → previous → baseline → heuristic: whose turn it is to answer, by the serving state of the promotion ledger.

The newest baseline is always held, as a yardstick. It has its rung only where the judge found it under the prior, which is what the
heuristic answers with: a model that is no better than one answer for every row serves nobody.
"""

from collections.abc import Mapping
from typing import Any

RUNGS = ("champion", "previous", "baseline")
HEURISTIC = "heuristic"
NO_VERSION = 0
SEVERAL = "several"
"""Who served a day whose rows were answered by more than one rung or version."""
AGAINST_PRIOR = "against_prior"
"""Where a baseline's record keeps what the judge found; records of earlier releases have none, and keep their rung."""

Record = dict[str, Any]


def standing(serving: Mapping[str, Any]) -> dict[str, Record]:
    """The model of each rung that may answer, best first; `serving` is empty before the first decision."""
    held = {rung: serving[rung] for rung in RUNGS if serving.get(rung)}
    return {rung: record for rung, record in held.items() if rung != "baseline" or unfit_baseline(serving) is None}


def first_rung(serving: Mapping[str, Any]) -> tuple[str, int]:
    """Who is meant to answer: the rung, and its version."""
    for rung, record in standing(serving).items():
        return rung, int(record["version"])
    return HEURISTIC, NO_VERSION


def unfit_baseline(serving: Mapping[str, Any]) -> str | None:
    """Why the baseline does not serve, in the judge's sentence; None where it may, or where there is none."""
    found = (serving.get("baseline") or {}).get(AGAINST_PRIOR)
    return None if found is None or found["verdict"] == "pass" else str(found["sentence"])
