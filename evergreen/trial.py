"""Running an experiment: every question that its changes ask is answered on the same history; nothing is written."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

from evergreen.as_of import AsOf
from evergreen.comparisons import Comparison, common_ground, compare
from evergreen.config import Product
from evergreen.digests import digest_json
from evergreen.experiments import Experiment, Question, asked
from evergreen.hindsight import (
    Hindsight,
    deliveries_in_hindsight,
    gates_in_hindsight,
    rollbacks_in_hindsight,
    triggers_in_hindsight,
)
from evergreen.ledger import Entry
from evergreen.prequential import Progress
from evergreen.statistics import Interval
from evergreen.storage import Store

COMPARED: dict[Question, str] = {"scores": "log_loss", "costs": "expected_cost"}
NAMES = {
    "expected_cost": "Cost of a row",
    "squared_error": "Squared error",
    "calibration_gap": "Calibration gap",
}


@dataclass(frozen=True)
class Outcome:
    """What an experiment found. `comparison` is None where neither scores nor costs were asked for; `measures` are those of it that
    the question is about; `digest` identifies what was looked at."""

    comparison: Comparison | None
    measures: list[str]
    hindsight: list[Hindsight]
    digest: str

    def effect(self, metric: str) -> Interval | None:
        """The change of a metric; of what was counted it is known without a doubt."""
        if self.comparison and metric in self.comparison.daily:
            return self.comparison.difference(metric)
        for counted in self.hindsight:
            if counted.what == metric:
                change = float(counted.changed - counted.current)
                return Interval(change, change, change, counted.days, 0.0)
        return None

    @property
    def first_metric(self) -> str:
        """What the experiment is about, where no effect was foretold."""
        return [*self.measures, *(counted.what for counted in self.hindsight)][0]

    @property
    def sentences(self) -> list[str]:
        compared = [compared_sentence(self.comparison, name) for name in self.measures] if self.comparison else []
        return [*compared, *(counted.sentence for counted in self.hindsight)]


def run_experiment(
    store: Store,
    entries: list[Entry],
    current: Product,
    changed: Product,
    as_of: date,
    progress: Progress = lambda _: None,
) -> Outcome:
    """Answer what the changes ask, as of a day. `entries` are those of the promotion ledger.

    Raises NotEnoughEvidence where history is too short for one cutoff.
    """
    view, questions = AsOf(store, current, as_of), asked(current, changed, changed.name)
    comparison = None
    if questions & {"scores", "costs"}:
        [comparison] = compare(common_ground(store, current, [changed], as_of), [changed], progress)
    judged = view.newest(current.count(current.gates.change.days) * view.periods.of_a_block)
    answers: dict[Question, Callable[[], Hindsight]] = {
        "deliveries": lambda: deliveries_in_hindsight(view, judged, changed),
        "gates": lambda: gates_in_hindsight(view, entries, changed),
        "triggers": lambda: triggers_in_hindsight(view, entries, changed),
        "rollbacks": lambda: rollbacks_in_hindsight(view, entries, changed),
    }
    return Outcome(
        comparison=comparison,
        measures=[measure for question, measure in COMPARED.items() if question in questions],
        hindsight=[answer() for question, answer in answers.items() if question in questions],
        digest=comparison.digest if comparison else digest_json([current.name, "hindsight", str(as_of)]),
    )


def compared_sentence(comparison: Comparison, measure: str, looks: int = 1) -> str:
    """What the difference of a measure says, with the effect that could have been seen."""
    difference = comparison.difference(measure, looks)
    name = NAMES.get(measure, comparison.loss[:1].upper() + comparison.loss[1:])
    if difference is None:
        return f"{name}: not enough evidence, fewer than two {comparison.unit}s."
    corrected = f", corrected for {looks} looks" if looks > 1 else ""
    return (
        f"{name}, changed minus current: {difference}{corrected}; {verdict(difference)} "
        f"(a difference of {difference.smallest_effect:.4f} would have been seen)."
    )


def verdict(difference: Interval) -> str:
    """In words; of every measure, less is better."""
    if difference.high < 0:
        return "the change is proven better"
    return "the change is proven worse" if difference.low > 0 else "no difference is proven"


def concluded(declared: Experiment, found: Interval | None) -> dict[str, str]:
    """What a list of experiments says of this one."""
    return {"found": shown(found), "judged": declared.expected.judge(found) if declared.expected else "–"}


def expectation(declared: Experiment, found: Interval | None) -> str:
    """What was foretold beside what came; empty where nothing was."""
    if declared.expected is None:
        return ""
    return f"Expected: {declared.expected}; found {shown(found)}: {declared.expected.judge(found)}."


def shown(found: Interval | None) -> str:
    if found is None:
        return "too little to tell"
    counted = found.low == found.high
    return f"{found.mean:+g}" if counted else f"{found.mean:+.4f} [{found.low:+.4f}, {found.high:+.4f}]"
