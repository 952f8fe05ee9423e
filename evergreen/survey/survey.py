"""The survey of a table: everything that a product file needs, guessed or asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date

import pandas as pd

from evergreen.cadence import Cadence
from evergreen.errors import AnswerNeeded, ConfigError, SourceError
from evergreen.periods import Periods
from evergreen.product_files import near_miss
from evergreen.survey.asked import Asked
from evergreen.survey.columns import Column, look_at_columns, named_like_id
from evergreen.survey.features import choose_features
from evergreen.survey.guess import Guess, said
from evergreen.survey.known import Known, find_known
from evergreen.survey.label import LabelFound, find_label, guess_label
from evergreen.survey.leaks import Truth, alone, find_outcomes
from evergreen.survey.reading import Found
from evergreen.survey.times import guess_cadence, guess_event
from evergreen.validation import no_moment

PARTS_OF_A_TIME = ["year", "yr", "month", "mnth", "mon", "day", "hour", "hr", "minute", "date", "time"]


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
    columns = look_at_columns(found.rows, found.csv, asked.timezone, asked.time_format)
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
    known = find_known(columns, outcomes, label, happened, cadence.value, asked)
    free = [column for column in others if column.name not in outcomes and column.name != known.value.column]
    features, left_out = choose_features(free, columns[event.value], powers, asked)
    notes = [*found.notes, *_notes(columns, event.value, label, happened, asked.timezone)]
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
    guess = guess_event(times)
    if guess is None:
        parts = [name for name in columns if name.lower() in PARTS_OF_A_TIME]
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
    named = [name for name in columns if named_like_id(name)]
    for name in sorted(named, key=lambda name: name.lower() != "id"):
        if not repeated(name) and columns[name].missing == 0 and name != event:
            return Guess(name, "sure", "its name, and every row has another value")
    if named:
        share = repeated(named[0]) / len(columns[named[0]].values)
        return Guess(None, "likely", f"{named[0]} repeats in {share:.1%} of rows, so it is no id: rows are numbered")
    return Guess(None, "likely", "no column is named like an id and differs in every row: rows are numbered")


def _outcomes(
    others: list[Column], truth: Truth, happened: pd.Series, powers: Mapping[str, float | None], asked: Asked
) -> dict[str, Guess[str]]:
    judged = [column for column in others if column.name not in asked.known_before and column.name in powers]
    return find_outcomes(judged, truth, happened, powers) | {name: said(name) for name in asked.outcomes}


def _notes(
    columns: Mapping[str, Column], event: str, label: LabelFound, happened: pd.Series, timezone: str
) -> list[str]:
    notes = [f"{name}: {columns[name].note}" for name in columns if columns[name].note]
    if lost := int(happened.isna().sum()):
        notes.append(f"{lost:,} of {len(happened):,} rows have {no_moment(event, timezone)}: they belong to no period")
    if unlabelled := int(label.truth.values.isna().sum()):
        notes.append(
            f"{unlabelled:,} rows ({unlabelled / len(happened):.1%}) have no label: they are pending, never a class"
        )
    return notes
