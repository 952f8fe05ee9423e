"""What another policy would have decided on the evidence that was recorded: gates, triggers, rollbacks, and what validation lets in.

The history stays as it was lived: what falls out otherwise would have changed all that came after it, so each day is told by itself.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import NamedTuple

import pandas as pd

from evergreen import gates, harm, retraining
from evergreen.as_of import AsOf
from evergreen.cadence import parse_period
from evergreen.config import Product
from evergreen.errors import PartitionMissing
from evergreen.ledger import Entry
from evergreen.promotion import decide, decisions, in_effect
from evergreen.validation import validate


class Answer(NamedTuple):
    """What one product makes of a day: how many of what is counted, the outcome, and why."""

    number: int
    outcome: str
    why: str = ""

    def __str__(self) -> str:
        return f"{self.outcome}: {self.why}" if self.why else self.outcome


@dataclass(frozen=True)
class Hindsight:
    """`current` and `changed` count `what`, over `days` recorded days; `lines` are the days that fall out otherwise."""

    what: str
    current: int
    changed: int
    days: int
    lines: list[dict[str, str]]

    @property
    def sentence(self) -> str:
        told = (
            f"{len(self.lines)} of {self.days} days fall out otherwise" if self.lines else "no day falls out otherwise"
        )
        return (
            f"{self.what.replace('_', ' ').capitalize()} on the evidence of {self.days} recorded days: {self.current:,} with the "
            f"current product, {self.changed:,} with the changed one; {told}."
        )


Both = tuple[date, Answer, Answer]


def gates_in_hindsight(view: AsOf, entries: list[Entry], changed: Product) -> Hindsight:
    """Every decision on a candidate, taken again by both sets of gates on the evidence in its evaluation report."""

    def judge(evidence: gates.Evidence, product: Product) -> Answer:
        readings = gates.judge(evidence, product)
        made = decide(readings)
        why = next(gate.sentence for gate in readings if gate.name == made.deciding_gate)
        return Answer(int(made.outcome == "promoted"), f"{made.outcome} by {made.deciding_gate}", why)

    def each() -> Iterator[Both]:
        for entry in decisions(in_effect(entries, view.day)):
            day = parse_period(entry["as_of"])
            try:
                report = view.store.read_document("evaluation_report", day)
                evidence = gates.evidence_of(report, view.store.read_document("training_set", day))
            except PartitionMissing:
                continue
            yield day, judge(evidence, view.product), judge(evidence, changed)

    return _hindsight("promotions", each())


def triggers_in_hindsight(view: AsOf, entries: list[Entry], changed: Product) -> Hindsight:
    """Every monitored day's retrain decision, taken again by both policies; the retrains before it are those that were made."""

    def decide_as(history: retraining.History, product: Product) -> Answer:
        made = retraining.decide(history, product)
        return Answer(int(made.retrain), made.sentence)

    def each() -> Iterator[Both]:
        for then, known, card in _monitored_days(view, entries):
            history = retraining.history_of(then, known, card)
            yield then.day, decide_as(history, view.product), decide_as(history, changed)

    return _hindsight("retrains", each())


def rollbacks_in_hindsight(view: AsOf, entries: list[Entry], changed: Product) -> Hindsight:
    """Every monitored day's judgement of the champion, taken again by both policies."""

    def judge(card: pd.DataFrame, known: list[Entry], product: Product) -> Answer:
        made = harm.decide(card, known, product)
        return Answer(int(made.roll_back), "rolled back" if made.roll_back else "stays", made.sentence)

    def each() -> Iterator[Both]:
        for then, known, card in _monitored_days(view, entries):
            yield then.day, judge(card, known, view.product), judge(card, known, changed)

    return _hindsight("rollbacks", each())


def deliveries_in_hindsight(view: AsOf, days: list[date], changed: Product) -> Hindsight:
    """The raw deliveries of some days, validated again by both sets of rules: the rows that they accept."""

    def accept(raw: pd.DataFrame, day: date, product: Product) -> Answer:
        made = validate(raw, product, day)
        told = f"the day is refused ({made.refused})" if made.refused else f"{len(made.batch):,} of {len(raw):,} rows"
        return Answer(len(made.batch), told)

    def each() -> Iterator[Both]:
        for day in days:
            raw = view.store.read("raw_events", day)
            yield day, accept(raw, day, view.product), accept(raw, day, changed)

    return _hindsight("accepted_rows", each())


def _monitored_days(view: AsOf, entries: list[Entry]) -> Iterator[tuple[AsOf, list[Entry], pd.DataFrame]]:
    """Each monitored day's view, with the ledger and the performance table as they were known then."""
    for day in view.store.document_days("retrain_decision"):
        if day <= view.day:
            then = AsOf(view.store, view.product, day)
            card = then.read("performance", then.days(retraining.first_day_of_history(day, view.periods)))
            yield then, in_effect(entries, day), card


def _hindsight(what: str, answers: Iterable[Both]) -> Hindsight:
    both = list(answers)
    return Hindsight(
        what=what,
        current=sum(before.number for _, before, _ in both),
        changed=sum(after.number for _, _, after in both),
        days=len(both),
        lines=[
            {"day": str(day), "current": str(before), "changed": str(after)}
            for day, before, after in both
            if before.outcome != after.outcome
        ],
    )
