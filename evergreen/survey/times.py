"""Times in a table: how they are written, which of them is the event's, and the rhythm in which rows fall."""

import re
from dataclasses import dataclass
from datetime import datetime

import pandas as pd

from evergreen.cadence import WORDS, Cadence
from evergreen.survey.guess import Guess, Sure
from evergreen.table_source import as_iso
from evergreen.validation import to_utc

ISO = r"\d{4}-\d{2}-\d{2}(?:[T ].*)?"
CLOCKS = ["", " %H:%M", " %H:%M:%S", " %I:%M %p", " %I:%M:%S %p"]
DAYS = ["%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%Y/%m/%d", "%Y%m%d", "%d/%m/%y", "%m/%d/%y", "%d %b %Y",
        "%d %B %Y", "%b %d, %Y", "%B %d, %Y", "%d-%b-%Y", "%d-%b-%y"]  # fmt: skip
FORMATS = [day + clock for day in DAYS for clock in CLOCKS]
TIMELY = re.compile(r"time|date|day|stamp|epoch|_at$|_on$|^at$|^ts$|_ts$|when", re.IGNORECASE)
AFTERWARDS = re.compile(
    r"actual|end|finish|clos|resol|deliver|return|complet|known|outcome|updated|modified|arriv|paid|done|due",
    re.IGNORECASE,
)
AT_THE_EVENT = re.compile(r"event|sched|creat|order|start|begin|open|request|depart|pickup|placed|book", re.IGNORECASE)
SECONDS_OF_THIS_ERA = (3e8, 4e9)
LOOKED_AT = 2000
MOSTLY = 0.95
DAYS_NEEDED = 10


@dataclass(frozen=True)
class Times:
    """A column of times in UTC; `written` is their format, None for ISO 8601 or times that need no reading."""

    values: pd.Series
    written: str | None
    note: str | None


def find_times(values: pd.Series, name: str, timezone: str, said: str | None = None) -> Times | None:
    """The times that a column holds; None where it holds something else. `said` is a format to be tried alone, None all usual ones."""
    if values.dtype.kind == "M":
        return Times(to_utc(values, timezone), None, None)
    given = values.dropna()
    if not len(given):
        return None
    return _spelt(values, name, timezone, said) if pd.api.types.is_string_dtype(given) else _counted(values, name)


def _spelt(values: pd.Series, name: str, timezone: str, said: str | None) -> Times | None:
    """Times in text: ISO 8601, seconds since 1970, or one of the usual formats."""
    given = values.dropna()
    sample = given.sample(min(LOOKED_AT, len(given)), random_state=7).str.strip()
    if sample.str.fullmatch(ISO).mean() >= MOSTLY:
        return _times(values, None, _zones(given), timezone)
    if sample.str.fullmatch(r"-?\d+(?:\.\d+)?").all() and not TIMELY.search(name):
        return None
    if sample.str.fullmatch(r"\d{9,13}").all():
        return _counted(values, name)
    tried = [said] if said else FORMATS
    fitting = [written for written in tried if _reads(sample.iloc[0], written) and _fits(sample, written)]
    return _times(values, *_one_order(given, fitting), timezone) if fitting else None


def _times(values: pd.Series, written: str | None, note: str | None, timezone: str) -> Times | None:
    times = to_utc(as_iso(values, written), timezone)
    return Times(times, written, note) if times.notna().sum() >= MOSTLY * values.notna().sum() else None


def _counted(values: pd.Series, name: str) -> Times | None:
    """Seconds or milliseconds since 1970, where the name speaks of time."""
    numbers = pd.to_numeric(values, errors="coerce")
    if not TIMELY.search(name) or not len(numbers.dropna()):
        return None
    first, last = SECONDS_OF_THIS_ERA
    for written, unit in (("unix", 1), ("unix_ms", 1000)):
        if numbers.dropna().between(first * unit, last * unit).all():
            return _times(values, written, f"numbers since 1970 ({written})", "UTC")
    return None


def _reads(value: str, written: str) -> bool:
    """Whether one value follows a format: most formats are out of the question at once."""
    try:
        datetime.strptime(value, written)
    except ValueError:
        return False
    return True


def _fits(sample: pd.Series, written: str) -> bool:
    return pd.to_datetime(sample, format=written, errors="coerce").notna().mean() >= MOSTLY


def _one_order(values: pd.Series, fitting: list[str]) -> tuple[str, str | None]:
    """The format; where day and month could be either, the one by which the column least often goes back in time, then spans less."""
    if len(fitting) == 1:
        return fitting[0], f"written as {fitting[0]}: {values.iloc[0]}"

    def disorder(written: str) -> tuple[float, pd.Timedelta]:
        times = pd.to_datetime(values, format=written, errors="coerce")
        return float((times.diff() < pd.Timedelta(0)).mean()), times.max() - times.min()

    best = min(fitting, key=disorder)
    others = " or ".join(sorted(set(fitting) - {best}))
    return (
        best,
        f"{values.iloc[0]} is read as {best}, but {others} would fit too: --time-format {others.split(' or ')[0]!r}",
    )


def _zones(values: pd.Series) -> str | None:
    offsets = values.str.slice(10).str.extract(r"(Z|[+-]\d{2}:?\d{2})\s*$")[0]
    found = sorted(offsets.dropna().unique())
    naive = int(offsets.isna().sum())
    if found and naive:
        return (
            f"{naive} of {len(values)} have no time zone and are taken as local; the others say {', '.join(found[:3])}"
        )
    if len(found) > 1:
        return f"offsets differ ({', '.join(found[:4])}): all are turned into UTC"
    return None


def guess_event(times: dict[str, pd.Series]) -> Guess[str] | None:
    """The column with the time of the event; None where no column holds times."""
    if not times:
        return None
    whole = {name: values for name, values in times.items() if values.notna().mean() >= MOSTLY} or times
    before = [name for name in whole if not AFTERWARDS.search(name)] or list(whole)
    if len(times) == 1:
        return Guess(before[0], "sure", "the only column with times")
    named = [name for name in before if AT_THE_EVENT.search(name)]
    earliest = min(named or before, key=lambda name: whole[name].astype("int64").where(whole[name].notna()).median())
    others = ", ".join(name for name in times if name != earliest)
    if named or len(before) == 1:
        return Guess(earliest, "likely", f"its name; other times: {others}")
    return Guess(earliest, "guess", f"the earliest of several times; others: {others}")


def guess_cadence(times: pd.Series, timezone: str) -> Guess[Cadence]:
    """How rows fall: the shortest period, from a day on, of which four of five have rows, and ten at least or rows at every one.

    Hours are guessed where there are too few days to learn from days.
    """
    local = times.dropna().dt.tz_convert(timezone).dt.tz_localize(None)
    days = local.dt.normalize().drop_duplicates().sort_values()
    gap = days.diff().median() / pd.Timedelta(days=1) if len(days) > 1 else 1.0
    tried: list[tuple[Cadence, str, float]] = [("daily", "D", 1.0), ("weekly", "W", 7.0)]
    if len(days) < DAYS_NEEDED:
        tried.insert(0, ("hourly", "h", 1 / 24))
    for cadence, code, length in tried:
        counts = local.dt.to_period(code).value_counts()
        spanned = (counts.index.max() - counts.index.min()).n + 1
        share, rows = len(counts) / spanned, len(local) / spanned
        if share >= 0.8 and (rows >= 10 or gap >= 0.8 * length >= 0.8):
            sure: Sure = "sure" if rows >= 100 and share > 0.95 else "likely"
            on_the_hour = (
                cadence == "daily" and (local == local.dt.floor("h")).all() and (local != local.dt.normalize()).any()
            )
            hours = "; they fall on the hour: --cadence hourly predicts hour by hour" if on_the_hour else ""
            return Guess(cadence, sure, f"{share:.0%} of {WORDS[cadence]}s have rows, {rows:,.0f} on average{hours}")
    months = local.dt.to_period("M").nunique()
    if gap >= 25:
        return Guess("monthly", "likely", f"the days with rows lie {gap:.0f} days apart")
    return Guess("monthly", "guess", f"{len(local):,} rows in {months} months: too few for shorter periods")
