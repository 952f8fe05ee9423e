"""The survey of a table: everything that a product file needs, guessed or asked for."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

import pandas as pd

from evergreen.cadence import Cadence, shortest
from evergreen.durations import format_duration
from evergreen.errors import AnswerNeeded, ConfigError, SourceError
from evergreen.periods import Periods
from evergreen.product_files import near_miss
from evergreen.survey.columns import Column, look_at_columns
from evergreen.survey.guess import Guess, said
from evergreen.survey.label import LabelFound, find_label, guess_label
from evergreen.survey.leaks import Truth, alone, find_outcomes
from evergreen.survey.reading import Found
from evergreen.survey.times import guess_cadence, guess_event

ONE_DAY = timedelta(days=1)
ID_NAMES = ("id", "uuid", "guid", "key", "number", "no", "nr", "code", "ref")
FEATURES_AT_MOST = 60
USED = ("numeric", "categorical", "boolean", "date", "text")
FEW_FEATURES = 5


@dataclass(frozen=True)
class Asked:
    """What the user said; None, or nothing, where it is left to the survey."""

    label: str | None = None
    event_time: str | None = None
    id: str | None = None
    task: str | None = None
    positive: str | None = None
    known_at: str | None = None
    known_after: timedelta | None = None
    cadence: Cadence | None = None
    timezone: str = "UTC"
    outcomes: tuple[str, ...] = ()
    known_before: tuple[str, ...] = ()
    personal: tuple[str, ...] = ()


@dataclass(frozen=True)
class Known:
    """When an outcome is known: by a column, or so long after the event (exactly one is not None); due and matched how long after."""

    column: str | None
    after: timedelta | None
    matures_after: timedelta
    matched_for: timedelta


@dataclass(frozen=True)
class Survey:
    """A table understood. `id` None means that rows are numbered; `outcomes` have their reasons, and so has what is left out."""

    rows: int
    columns: dict[str, Column]
    event: Guess[str]
    id: Guess[str | None]
    cadence: Guess[Cadence]
    label: LabelFound
    named_label: Guess[str]
    known: Guess[Known]
    outcomes: dict[str, Guess[str]]
    features: dict[str, list[str]]
    left_out: dict[str, str]
    counts: pd.Series
    timezone: str
    notes: list[str] = field(default_factory=list)

    @property
    def periods(self) -> int:
        """From the first to the last with rows, both included."""
        return len(self.counts)

    @property
    def start(self) -> date:
        return self.counts.index[0]

    @property
    def end(self) -> date:
        return self.counts.index[-1]

    @property
    def truth(self) -> pd.Series:
        """The label as numbers, where it is known."""
        return self.label.truth.values.dropna()


def survey(found: Found, asked: Asked) -> Survey:
    """Understand a table. Raises AnswerNeeded for what it cannot know, SourceError or ConfigError for what makes no product."""
    columns = look_at_columns(found.rows, found.csv, asked.timezone)
    _refuse_strangers(columns, asked)
    event = _event(columns, asked)
    happened = columns[event.value].values
    cadence = said(asked.cadence) if asked.cadence else guess_cadence(happened, asked.timezone)
    named_label = _label_name(columns, asked)
    label = find_label(named_label.value, asked.task, asked.positive, columns, found.rows)
    identity = _id(columns, asked, event.value)
    taken = {event.value, identity.value, *label.columns, asked.known_at}
    others = [column for name, column in columns.items() if name not in taken]
    powers = {column.name: alone(column, label.truth, happened) for column in others if column.kind != "empty"}
    outcomes = _outcomes(others, label.truth, happened, powers, asked)
    known = _known(columns, outcomes, label, happened, cadence.value, asked)
    free = [column for column in others if column.name not in outcomes and column.name != known.value.column]
    features, left_out = _features(free, columns[event.value], powers, asked)
    notes = [*found.notes, *_notes(columns, event.value, label, happened)]
    if sum(map(len, features.values())) == 1:
        notes.append(
            f"nothing is left to predict from but the date and hour of {event.value}: see what is an outcome or left out"
        )
    return Survey(
        rows=len(found.rows),
        columns=columns,
        event=event,
        id=identity,
        cadence=cadence,
        label=label,
        named_label=named_label,
        known=known,
        outcomes={name: guess for name, guess in outcomes.items() if name != known.value.column},
        features=features,
        left_out=left_out,
        counts=count_periods(happened, asked.timezone, cadence.value),
        timezone=asked.timezone,
        notes=notes,
    )


def count_periods(happened: pd.Series, timezone: str, cadence: Cadence) -> pd.Series:
    """Rows in each period from the first to the last, by the period."""
    periods = Periods(date.min, None, timezone, cadence)
    counts = periods.holding(happened.dropna()).value_counts()
    counts.index = pd.Index([periods.at(moment) for moment in counts.index], dtype="object")
    every = periods.between(counts.index.min(), counts.index.max())
    return counts.reindex(pd.Index(every, dtype="object"), fill_value=0)


def _refuse_strangers(columns: Mapping[str, Column], asked: Asked) -> None:
    named = {
        "--event-time": [asked.event_time],
        "--id": [asked.id],
        "--known-at": [asked.known_at],
        "--outcomes": asked.outcomes,
        "--known-before": asked.known_before,
        "--personal": asked.personal,
    }
    for flag, names in named.items():
        for name in names:
            if name is not None and name not in columns:
                raise ConfigError(
                    f"{flag} {name}: the table has no such column{near_miss(name, list(columns))} (it has: {', '.join(columns)})"
                )


def _event(columns: Mapping[str, Column], asked: Asked) -> Guess[str]:
    times = {name: column.values for name, column in columns.items() if column.kind == "time"}
    if asked.event_time:
        if asked.event_time not in times:
            column = columns[asked.event_time]
            raise ConfigError(f"--event-time {column.name}: holds no times that can be read ({column.why})")
        return said(asked.event_time)
    guess = guess_event(times, asked.event_time)
    if guess is None:
        parts = [name for name in columns if name.lower() in ("year", "month", "day", "hour", "date", "time")]
        hint = f"; make one of {', '.join(parts)}, such as 2024-01-31T07:00" if len(parts) > 1 else ""
        raise SourceError(
            f"no column holds times, and Evergreen lives by them: it has to know when each event happened{hint} "
            f"(columns: {', '.join(columns)})"
        )
    return guess


def _label_name(columns: dict[str, Column], asked: Asked) -> Guess[str]:
    if asked.label:
        return said(asked.label)
    guess = guess_label(columns)
    if guess is None or guess.sure != "likely":
        raise AnswerNeeded("label", "Which column is to be predicted?", guess.value if guess else None)
    return guess


def _id(columns: Mapping[str, Column], asked: Asked, event: str) -> Guess[str | None]:
    def repeated(name: str) -> int:
        return int(columns[name].values.duplicated().sum())

    if asked.id:
        if repeated(asked.id):
            example = columns[asked.id].values[columns[asked.id].values.duplicated()].iloc[0]
            raise SourceError(
                f"--id {asked.id}: {repeated(asked.id):,} rows repeat an id ({example}), and an id stands for one event for ever: "
                "remove the doubles, name another column, or leave --id out, and rows are numbered"
            )
        return said(asked.id)
    named = [name for name in columns if _named_like_id(name)]
    for name in sorted(named, key=lambda name: name.lower() != "id"):
        if not repeated(name) and columns[name].missing == 0 and name != event:
            return Guess(name, "sure", "its name, and every row has another value")
    if named:
        share = repeated(named[0]) / len(columns[named[0]].values)
        return Guess(None, "likely", f"{named[0]} repeats in {share:.1%} of rows, so it is no id: rows are numbered")
    return Guess(None, "likely", "no column is named like an id and differs in every row: rows are numbered")


def _named_like_id(name: str) -> bool:
    words = [word for word in name.lower().replace("-", "_").replace(" ", "_").split("_") if word]
    return bool(words) and (words[-1] in ID_NAMES or (name.endswith("Id") or name.endswith("ID")))


def _outcomes(
    others: list[Column], truth: Truth, happened: pd.Series, powers: Mapping[str, float | None], asked: Asked
) -> dict[str, Guess[str]]:
    judged = [column for column in others if column.name not in asked.known_before and column.name in powers]
    return find_outcomes(judged, truth, happened, powers) | {name: said(name) for name in asked.outcomes}


def _known(
    columns: Mapping[str, Column],
    outcomes: Mapping[str, Guess[str]],
    label: LabelFound,
    happened: pd.Series,
    cadence: Cadence,
    asked: Asked,
) -> Guess[Known]:
    if asked.known_at:
        return said(_by_column(columns[asked.known_at], label, happened, cadence))
    if asked.known_after is not None:
        days = ONE_DAY * max(1, math.ceil(asked.known_after / ONE_DAY))
        return said(Known(None, asked.known_after, asked.known_after, max(days + ONE_DAY, 8 * ONE_DAY)))
    labelled = label.truth.values.notna()
    later = [columns[name] for name in outcomes if columns[name].kind == "time"]
    told = [column for column in later if column.values[labelled].notna().mean() > 0.95]
    if told:
        last = max(told, key=lambda column: (column.values - happened).median())
        return Guess(
            _by_column(last, label, happened, cadence),
            "guess",
            f"{last.name} is the last time in a row: else --known-at",
        )
    raise AnswerNeeded("known_after", "How long after its event is a row's outcome known?", "1d")


def _by_column(column: Column, label: LabelFound, happened: pd.Series, cadence: Cadence) -> Known:
    if column.kind != "time":
        raise ConfigError(f"--known-at {column.name}: holds no times that can be read ({column.why})")
    lag = (column.values - happened)[label.truth.values.notna()].dropna().dt.total_seconds()
    if not len(lag):
        raise SourceError(f"{column.name} has no time in any row with a label: name another column with --known-at")
    unit = min(shortest(cadence), ONE_DAY)
    matures = unit * max(1, math.ceil(lag.quantile(0.99) / unit.total_seconds()))
    last = ONE_DAY * math.ceil(max(matures.total_seconds(), float(lag.quantile(0.9999))) / 86_400)
    return Known(column.name, None, matures, last + ONE_DAY)


def _features(
    free: list[Column], event: Column, powers: Mapping[str, float | None], asked: Asked
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """Names by kind, and why each other column is left out."""
    reasons = {column.name: _why_not(column, event, asked) for column in free}
    used = sorted(
        (column for column in free if not reasons[column.name]), key=lambda column: -(powers[column.name] or 0.5)
    )
    left_out = {name: reason for name, reason in reasons.items() if reason}
    if sum(column.kind != "text" for column in used) >= FEW_FEATURES:
        left_out |= {column.name: WORDS for column in used if column.kind == "text"}
        used = [column for column in used if column.kind != "text"]
    left_out |= {
        column.name: f"not among the {FEATURES_AT_MOST} that alone say most" for column in used[FEATURES_AT_MOST:]
    }
    chosen = {column.name for column in used[:FEATURES_AT_MOST]}
    features = {
        kind: [column.name for column in free if _as_feature(column) == kind and column.name in chosen] for kind in USED
    }
    features["date"].insert(0, event.name)
    return features, left_out


WORDS = "sentences, which the model xgboost takes none of: features.text does, with kind logistic or linear"


def _as_feature(column: Column) -> str:
    return "date" if column.kind == "time" else column.kind


def _why_not(column: Column, event: Column, asked: Asked) -> str | None:
    """Why a column is no feature; None where it is one."""
    if column.personal and column.kind != "boolean" and column.name not in asked.personal:
        return f"{column.personal}, personal data: --personal {column.name} uses it nevertheless"
    if _as_feature(column) not in USED:
        return f"tells rows apart, {column.why}" if column.kind == "identifier" else column.why
    if column.kind == "time" and column.written not in (None, event.written):
        return f"a time written otherwise than {event.name}"
    if _named_like_id(column.name) and column.values.nunique() > 50:
        return f"named like an id, {column.values.nunique():,} different values"
    return None


def _notes(columns: Mapping[str, Column], event: str, label: LabelFound, happened: pd.Series) -> list[str]:
    notes = [f"{name}: {columns[name].note}" for name in columns if columns[name].note]
    if lost := int(happened.isna().sum()):
        notes.append(f"{lost:,} rows have no readable time in {event} and belong to no period")
    if unlabelled := int(label.truth.values.isna().sum()):
        notes.append(
            f"{unlabelled:,} rows ({unlabelled / len(happened):.1%}) have no label: they are pending, never a class"
        )
    return notes


def spelt(known: Known) -> str:
    """When the outcome is known, in words."""
    return (
        f"column {known.column}" if known.column else f"{format_duration(known.after or timedelta(0))} after the event"
    )
