"""Shadow: a candidate that passed the gates scores beside the champion, answers nobody, and is judged on days that it has not seen."""

from dataclasses import dataclass
from datetime import date
from typing import Any

import numpy as np
import pandas as pd

from evergreen import wide
from evergreen.as_of import AsOf, added_up, whole_days
from evergreen.config import Product
from evergreen.drift import scores_psi
from evergreen.evaluation import by_day, pooled, score_card
from evergreen.gates import Gate, Verdict
from evergreen.labeling import due_columns
from evergreen.ledger import Entry, Ledger
from evergreen.promotion import REFUSED, serving_as_of
from evergreen.scoring import Answer
from evergreen.statistics import mean_interval
from evergreen.storage import Store
from evergreen.tasks import task_of
from evergreen.waits import after_shadow, ending, waiting, waits_of

TABLE = "shadow_scores"


@dataclass(frozen=True)
class Trial:
    """What is known of a version in shadow of a champion at the end of a day.

    `decision` is the key of the decision that began the trial. `rows` has one line for each row that it was asked about: `id`,
    the columns of the scores `score` (missing where it failed) and `champion` (missing where another rung answered), `latency`
    (seconds of one row on that day, missing where it failed) and `failure`. `losses` is the daily log-loss of `shadow` and
    `champion`, over whole mature days that both scored.
    """

    version: int
    decision: str
    rows: pd.DataFrame
    losses: pd.DataFrame


def scores_table(ids: pd.Series, version: int, answer: Answer, latency: float | None, product: Product) -> pd.DataFrame:
    """A day's answers of the version in shadow; `latency` is None where it failed."""
    scores, failure = answer
    table = pd.DataFrame({"id": ids, "version": version}).join(task_of(product).to_table(scores, ids.index))
    return table.assign(
        latency=np.nan if latency is None else latency, failure=pd.Series(failure or "", index=table.index, dtype="str")
    )


def in_shadow(entries: list[Entry], day: date) -> dict[str, Any] | None:
    """The record of who is in shadow on a day; None where nobody is."""
    entry = serving_as_of(entries, day)
    return entry["serving"].get("shadow") if entry else None


def trial(view: AsOf, entries: list[Entry]) -> Trial | None:
    """What is known of the version that is in shadow on the view's day; None where nobody is. `entries` are those in effect."""
    shadow = in_shadow(entries, view.day)
    if shadow is None:
        return None
    scored = set(view.store.days(TABLE))
    began = waits_of(entries)[-1]
    days = [day for day in view.days(began.first) if day in scored]
    champion = entries[-1]["serving"]["champion"]["version"]
    asked = [_asked(view, day, shadow["version"], champion) for day in days]
    rows = pd.concat(asked, ignore_index=True) if asked else _nothing_asked(view.product)
    return Trial(shadow["version"], began.decision, rows, _losses(view, days, rows))


def _asked(view: AsOf, day: date, version: int, champion: int) -> pd.DataFrame:
    """The rows of a day that this version was asked about, beside the champion's answers."""
    task, asked = task_of(view.product), view.store.read(TABLE, day)
    answered = view.store.read("predictions", day, ["id", *task.columns(), "served_by", "version"])
    by_champion = answered[(answered.served_by == "champion") & (answered.version == champion)].set_index("id")
    asked = asked[asked.version == version].drop(columns="version")
    named = zip(task.columns("champion"), task.columns(), strict=True)
    return asked.assign(**{name: asked.id.map(by_champion[column]) for name, column in named})


def _nothing_asked(product: Product) -> pd.DataFrame:
    task = task_of(product)
    return pd.DataFrame(columns=["id", *task.columns(), "latency", "failure", *task.columns("champion")])


def _losses(view: AsOf, days: list[date], rows: pd.DataFrame) -> pd.DataFrame:
    """Daily log-loss of both on whole mature days; without such a day an empty table."""
    product, task = view.product, task_of(view.product)
    scores = [*task.columns(), *task.columns("champion")]
    both = wide.ById(rows.dropna(subset=scores)[["id", *scores]])
    cards, coverages = [], []
    columns = list(dict.fromkeys([*due_columns(product), *product.evaluation.slices]))
    for mature in view.mature_parts(days, columns) if days else []:
        coverages.append(mature.coverage)
        joined = mature.rows.merge(both.of(mature.rows[product.id]), left_on=product.id, right_on="id")
        if len(joined):
            asked = {"shadow": task.from_table(joined), "champion": task.from_table(joined, "champion")}
            cards.append(score_card(joined, asked, product))
    if not cards:
        return pd.DataFrame({"shadow": [], "champion": []})
    whole = whole_days(added_up(coverages), view.periods, product.label.coverage_at_least)
    losses, blocks = by_day(pooled(cards, product), "log_loss"), view.periods.blocks(whole)
    begin = view.periods.block_of(pd.Series(pd.DatetimeIndex([block[0] for block in blocks])))
    return losses[losses.index.isin(begin)]


def judge(found: Trial, product: Product) -> list[Gate]:
    """The safety check: four readings, in the order in which they decide."""
    return [_sound(found, product), _latency(found, product), _distribution(found, product), _harm(found, product)]


def decide(readings: list[Gate], product: Product) -> tuple[str, Gate] | None:
    """What becomes of it, and the reading that says so; None as long as it goes on.

    A row without a sound score refuses at once. Everything else waits until the days are complete: a version that is promoted has
    been through all of them, and one that is refused is not refused on a single day's distribution.
    """
    failed = [reading for reading in readings if reading.verdict == "fail"]
    if failed and failed[0].role == "hard":
        return REFUSED, failed[0]
    if any(reading.verdict == "not enough evidence" for reading in readings):
        return None
    return (REFUSED, failed[0]) if failed else (after_shadow(product), readings[-1])


def end(
    ledger: Ledger,
    store: Store,
    product: Product,
    found: Trial,
    readings: list[Gate],
    outcome: tuple[str, Gate],
    at: str,
) -> Entry | None:
    """Record the end of a trial, or return what is recorded of it; None where a person or a rollback ended it before. `at`: ISO."""
    key, (decision, deciding) = f"{found.decision}/shadow", outcome
    now = waiting(ledger.entries())
    if ledger.find(key) is None and (now is None or now[1]["version"] != found.version):
        return None

    def content(entries: list[Entry]) -> Entry:
        given = {
            "reason": f"after {_days(found, product)} in shadow, {deciding.name.replace('_', ' ')}: {deciding.sentence}",
            "requested_by": next(entry["requested_by"] for entry in entries if entry["key"] == found.decision),
            "gates": [reading.as_dict() for reading in readings],
            "deciding_gate": deciding.name,
            "at": at,
        }
        return ending("shadow", decision, entries, store.days("predictions"), product, given)

    return ledger.append(key, content)


def _days(found: Trial, product: Product) -> str:
    return f"{len(found.losses)} whole mature {product.time.block}{'' if len(found.losses) == 1 else 's'}"


def _sound(found: Trial, product: Product) -> Gate:
    """Every row has a score that the task takes for sound."""
    missing = found.rows[found.rows[task_of(product).columns()].isna().any(axis=1)]
    if found.rows.empty:
        return Gate("sound_scores", "hard", "not enough evidence", "No row was asked for yet.")
    if len(missing):
        said = f"{len(missing):,} of {len(found.rows):,} rows have no sound score: {missing.failure.iloc[0]}."
        return Gate("sound_scores", "hard", "fail", said, value=float(len(missing)), bound=0.0)
    said = f"All {len(found.rows):,} rows have a sound score."
    return Gate("sound_scores", "hard", "pass", said, value=0.0, bound=0.0)


def _latency(found: Trial, product: Product) -> Gate:
    """One row through the model, 99th percentile, on the slowest day within the service level."""
    bound, days = product.service_levels.scoring_latency_p99.total_seconds(), found.rows.latency.dropna()
    if days.empty:
        return Gate("latency", "guard", "not enough evidence", "No row was timed.", bound=bound)
    slowest = float(days.max())
    verdict: Verdict = "pass" if slowest <= bound else "fail"
    state = "within" if verdict == "pass" else "over"
    said = f"One row takes {slowest * 1000:.1f} ms (99th percentile of the slowest day), {state} the service level of {bound * 1000:g} ms."
    return Gate("latency", "guard", verdict, said, value=slowest, bound=bound)


def _distribution(found: Trial, product: Product) -> Gate:
    """Its scores are spread as the champion's of the same rows."""
    task, bound = task_of(product), product.shadow.psi
    both = found.rows.dropna(subset=[*task.columns(), *task.columns("champion")])
    if both.empty:
        return Gate("distribution", "guard", "not enough evidence", "No row was scored by both.", bound=bound)
    moved = scores_psi(task.watched(task.from_table(both, "champion")), task.watched(task.from_table(both)))
    verdict: Verdict = "pass" if moved <= bound else "fail"
    state = "within" if verdict == "pass" else "over"
    said = f"Against the champion's scores of {len(both):,} rows the stability index is {moved:.3f}, {state} {bound:g}."
    return Gate("distribution", "guard", verdict, said, value=moved, bound=bound)


def _harm(found: Trial, product: Product) -> Gate:
    """On days that it has not seen it is neither proven worse than the champion, nor worse by more than any refresh may be."""
    days, needed, bound = len(found.losses), product.shadow.days, product.gates.worse_at_most
    if days < needed:
        said = f"Not enough evidence: {_days(found, product)} that both scored, {needed} are needed."
        return Gate("harm", "primary", "not enough evidence", said)
    differences = (found.losses.shadow - found.losses.champion).to_list()
    mean, block = float(np.mean(differences)), product.time.block
    interval = mean_interval(differences, product.gates.confidence, unit=block)
    proven = interval is not None and interval.low > 0
    verdict: Verdict = "fail" if proven or mean > bound else "pass"
    state = "proven worse" if proven else f"worse by more than {bound:g}" if verdict == "fail" else "no gross harm"
    differs = interval or f"{mean:+.4f} on one {block}"
    said = f"{task_of(product).words.loss.capitalize()} differs by {differs} from the champion's: {state}."
    low, high = (interval.low, interval.high) if interval else (None, None)
    return Gate("harm", "primary", verdict, said, mean, low, high, bound)
