"""A product file against its data: what the schema cannot know. Each finding says the way out; nothing is changed."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Literal

import pandas as pd

from evergreen.as_of import first_decidable_day
from evergreen.config import Product, TableSource
from evergreen.errors import EvergreenError, SourceError
from evergreen.labeling import read_outcomes
from evergreen.periods import Periods
from evergreen.product_files import near_miss
from evergreen.sources import Delivery, Source, open_source
from evergreen.table_source import OneTable
from evergreen.validation import needed_columns, no_moment, validate, with_own_features

SAMPLED = 6
MOSTLY_MISSING = 0.5


@dataclass(frozen=True)
class Finding:
    """`wrong`: the product will not work; `doubtful`: it will, less well; `unknown`: it could not be seen."""

    how: Literal["wrong", "doubtful", "unknown"]
    what: str
    way_out: str


@dataclass(frozen=True)
class Sample:
    """The deliveries of some periods, and what validation and labeling make of them."""

    days: list[date] = field(default_factory=list)
    accepted: list[pd.DataFrame] = field(default_factory=list)
    labels: list[pd.Series] = field(default_factory=list)
    quarantined: list[pd.Series] = field(default_factory=list)
    undetermined: list[int] = field(default_factory=list)


def check_against_data(product: Product, home: Path, now: datetime) -> list[Finding]:
    """What a sample of periods up to `now` says about a product file; relative paths start at `home`. Empty where all is well."""
    source = open_source(product, home)
    last = min(product.time.end or date.max, Periods.of(product.time).last_ended(now))
    days = sampled_periods(product, last)
    found: list[Finding] = []
    sample = Sample()
    for day in days:
        try:
            delivery = source.read(day)
        except SourceError as problem:
            found.append(Finding("unknown", f"{day}: {problem}", "a landing zone that is not filled yet is no fault"))
            continue
        found += _of_delivery(delivery, product, day, sample)
    if days and not sample.days:
        return _once(found) if any(finding.how == "wrong" for finding in found) else _unseen(found)
    found += [*_of_rows(sample, product), *_of_labels(sample, product), *_of_slices(sample, product)]
    found += [*_of_history(product), *_of_judging(product), *_of_table(product, source)]
    return _once(found)


def sampled_periods(product: Product, last: date) -> list[date]:
    """Periods of the product's life up to the last one that is over, evenly spread."""
    periods = Periods.of(product.time)
    steps = periods.steps(product.time.start, last)
    places = range(SAMPLED) if steps >= SAMPLED else range(steps + 1)
    return [periods.after(product.time.start, round(place * steps / max(1, len(places) - 1))) for place in places]


def _unseen(found: list[Finding]) -> list[Finding]:
    first = found[0]
    return [Finding("unknown", f"no delivery could be read, so the data are not checked: {first.what}", first.way_out)]


def _of_delivery(delivery: Delivery, product: Product, day: date, sample: Sample) -> Iterator[Finding]:
    """What one period says; what it holds goes into the sample."""
    events, outcomes = _whole(delivery.events), _whole(delivery.outcomes)
    try:
        made = with_own_features(events, product)
    except SourceError as problem:
        yield Finding("wrong", str(problem), "mend the function that features.module names")
        return
    absent = [name for name in needed_columns(product) if name not in made.columns]
    for name in absent:
        guess = near_miss(name, list(map(str, events.columns)))
        yield Finding(
            "wrong", f"events have no column {name}{guess}", f"they have: {', '.join(map(str, events.columns))}"
        )
    if absent:
        return
    sample.days.append(day)
    validated = validate(events, product, day)
    if validated.refused:
        what = f"{day} would be refused as a whole: {validated.refused}"
        yield Finding("wrong" if len(events) else "doubtful", what, "widen the rule in validation, or correct the data")
    else:
        sample.quarantined.append(validated.quarantine.reasons.str.split("; ").str[0])
    sample.accepted.append(validated.batch)
    try:
        told = read_outcomes([outcomes], product, day) if len(outcomes.columns) else None
    except (EvergreenError, ValueError) as problem:
        yield Finding("wrong", str(problem), "correct label in the product file")
        return
    if told is not None:
        sample.labels.append(told.usable.label)
        sample.undetermined.append(told.undetermined)


def _whole(content: object) -> pd.DataFrame:
    """A delivery's table, whether it comes whole or in parts."""
    if isinstance(content, pd.DataFrame):
        return content
    parts = [part if isinstance(part, pd.DataFrame) else part.to_pandas() for part in content]  # type: ignore[attr-defined]
    return pd.concat(parts, ignore_index=True)


def _of_rows(sample: Sample, product: Product) -> Iterator[Finding]:
    rows = pd.concat(sample.accepted, ignore_index=True)
    if not len(rows):
        yield Finding("wrong", "no row of the sampled periods is accepted", "see the findings above")
        return
    reasons = pd.concat(sample.quarantined).value_counts() if sample.quarantined else pd.Series(dtype="int64")
    if len(reasons):
        what = f"{reasons.sum():,} sampled rows would go to quarantine, most of them for: {reasons.index[0]}"
        yield Finding("doubtful", what, "correct the data, or the rule in validation")
    for name in product.features.names:
        missing = rows[name].isna().mean()
        if missing == 1:
            yield Finding(
                "wrong",
                f"feature {name} has no value in any sampled row",
                "take it out of features, or correct its column",
            )
        elif missing > MOSTLY_MISSING:
            yield Finding(
                "doubtful",
                f"feature {name} is missing in {missing:.0%} of sampled rows",
                "is it known before the event?",
            )
        elif rows[name].nunique() == 1 and len(rows) > 1:
            yield Finding(
                "doubtful",
                f"feature {name} is the same in all sampled rows",
                "it says nothing: take it out of features",
            )


def _of_labels(sample: Sample, product: Product) -> Iterator[Finding]:
    labels = pd.concat(sample.labels) if sample.labels else pd.Series(dtype="float64")
    if without := sum(sample.undetermined):
        what = f"{without:,} of {without + len(labels):,} sampled outcomes give no label"
        yield Finding(
            "doubtful", what, "a column that the label needs is missing there; such rows stay pending, and are counted"
        )
    if not len(labels):
        yield Finding(
            "doubtful",
            "no outcome became known in the sampled periods",
            "look at label.known_at, and at the outcomes' deliveries",
        )
    elif labels.nunique() == 1:
        what = f"the label is {labels.iloc[0]:g} in all {len(labels):,} sampled outcomes"
        yield Finding("wrong", what, "correct the expression in label: there would be nothing to learn")


def _of_slices(sample: Sample, product: Product) -> Iterator[Finding]:
    rows, evaluation = pd.concat(sample.accepted, ignore_index=True), product.evaluation
    periods = product.count(evaluation.window) * Periods.of(product.time).of_a_block
    for name in evaluation.slices:
        expected = rows[name].value_counts() / len(sample.days) * periods
        thin = expected[expected < evaluation.slice_rows_at_least]
        if len(thin) and len(thin) == len(expected):
            what = f"no slice of {name} would have {evaluation.slice_rows_at_least} rows in the window (the largest {expected.max():.0f})"
            yield Finding("doubtful", what, "lower evaluation.slice_rows_at_least, or leave the slice out")


def _of_history(product: Product) -> Iterator[Finding]:
    first = first_decidable_day(product)
    if product.time.end is not None and first > product.time.end:
        yield Finding(
            "wrong",
            f"the first decision would come on {first}, after the product's last {product.time.word}, {product.time.end}",
            "shorten training.at_least or evaluation.window",
        )


def _of_judging(product: Product) -> Iterator[Finding]:
    if product.count(product.evaluation.window) < 2:
        yield Finding(
            "wrong",
            f"one {product.time.block} judges, and a comparison needs two: nothing would ever be promoted",
            f"evaluation.window: at least two {product.time.block}s",
        )


def _of_table(product: Product, source: Source) -> Iterator[Finding]:
    """What only a table that is read as a whole can say."""
    if not isinstance(product.source, TableSource) or not isinstance(source, OneTable):
        return
    table = source.table()
    repeated = int(table.rows[product.id].duplicated().sum())
    if repeated:
        yield Finding(
            "wrong",
            f"{repeated:,} rows repeat an id in {product.id}",
            "one id is one event: name another, or number_rows: true",
        )
    if untimed := int(table.happened.isna().sum()):
        yield Finding(
            "doubtful",
            f"{untimed:,} of {len(table.rows):,} rows have {no_moment(product.time.event, product.time.timezone)}",
            "they belong to no period",
        )
    early = (table.known < table.happened).sum()
    if early:
        yield Finding(
            "doubtful", f"{early:,} outcomes are known before their event", "is label.known_at the right column?"
        )


def _once(found: list[Finding]) -> list[Finding]:
    """Each finding once, the wrong ones first."""
    order = {"wrong": 0, "doubtful": 1, "unknown": 2}
    return sorted(dict.fromkeys(found), key=lambda finding: order[finding.how])
