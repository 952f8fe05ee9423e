"""Gates: measured evidence in, verdicts with reasons out. Measuring is elsewhere; here it is only decided.

Roles: a `hard` gate asks for what any candidate must have; the `primary` gates compare the candidate with the champion, and decide: no
proven harm (`comparison`), and proof that no great harm is left (`ranking`); a `guard` blocks on proven harm only.
Missing evidence is never a number: a gate that cannot be judged says so, and declares whether that blocks.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Literal

import pandas as pd

from evergreen.config import Product
from evergreen.evaluation import ALL_ROWS, by_day, by_slice_and_day
from evergreen.ladder import AGAINST_PRIOR
from evergreen.statistics import Interval, mean_interval
from evergreen.tasks import task_of

Verdict = Literal["pass", "fail", "not enough evidence", "off"]
Role = Literal["hard", "primary", "guard"]

BASELINES = {"logistic": "linear", "linear": "linear", "seasonal_naive": "seasonal-naive"}


@dataclass(frozen=True)
class Gate:
    """One gate's reading. `value`, `low`, `high`, `bound` and `smallest_effect` are None where nothing could be measured."""

    name: str
    role: Role
    verdict: Verdict
    sentence: str
    value: float | None = None
    low: float | None = None
    high: float | None = None
    bound: float | None = None
    smallest_effect: float | None = None

    @property
    def blocks(self) -> bool:
        """A failure blocks; missing evidence blocks too, except in a guard; a gate that is off never does."""
        return self.verdict == "fail" or (self.verdict == "not enough evidence" and self.role != "guard")

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Evidence:
    """All that the gates look at.

    `card` is the score card over the judging days with the scorers `candidate`, `baseline`, `prior` and, if there is one,
    `champion`. `coverage` is the labelled share of mature rows, None without any. `change` is None for a refresh; else the daily
    log-loss of both recipes on prequential days, columns `candidate` and `champion`. `ranking` is the ranking measure of each scorer day
    by day, a column a scorer; days on which it is undefined are not among its lines. `empty_inputs` are features without a single
    value in the training set; the `trained_through` are last days of training, ISO dates, None without a champion. These are of
    what ships and of what serves, refitted or not; whatever is measured on rows is of their twins.
    `latency_p99` is in seconds and `model_bytes` the size of the model file, None where nothing was measured. `new_process` is
    what a process of its own found under the candidate's alias: the seconds that it was waited for, or what went wrong; None where
    it was not asked. `champion_error` is why a champion could not be judged, None where it could, or there is none.
    `training_log_loss` is that of `candidate` and `baseline` on the rows that each was trained on, None where it was not recorded.
    """

    card: pd.DataFrame
    ranking: pd.DataFrame
    coverage: float | None
    reload_error: str | None
    empty_inputs: list[str]
    trained_through: str
    champion_trained_through: str | None
    trained_ids_compared: int
    latency_p99: float | None
    model_bytes: int | None = None
    new_process: float | str | None = None
    change: pd.DataFrame | None = None
    champion_error: str | None = None
    training_log_loss: dict[str, float] | None = None

    @property
    def has_champion(self) -> bool:
        return "champion" in set(self.card.scorer)


def evidence_of(report: dict[str, Any], training: dict[str, Any]) -> Evidence:
    """The evidence in an evaluation report and the training set beside it."""
    ships, champion = training.get("refit") or training, report["champion"]
    change = report["change"]
    return Evidence(
        card=pd.DataFrame(report["card"]),
        ranking=pd.DataFrame(report.get("ranking", []), columns=["candidate", "champion"]),
        coverage=report["coverage"],
        reload_error=report["reload_error"],
        empty_inputs=ships["empty_inputs"],
        trained_through=ships["last_day"],
        champion_trained_through=champion["trained_through"] if champion else None,
        trained_ids_compared=report["trained_ids_compared"],
        latency_p99=report["latency_p99"],
        model_bytes=report["model_bytes"],
        new_process=report["new_process"],
        change=None if change is None else pd.DataFrame(change, columns=["day", "candidate", "champion"]),
        champion_error=report["champion_error"],
        training_log_loss=report.get("training_log_loss"),
    )


def reloads(evidence: Evidence, product: Product) -> Gate:
    """The version, fetched back from the registry, gives the same sound scores."""
    if evidence.reload_error:
        return Gate(
            "reloads",
            "hard",
            "fail",
            f"The registered model does not answer as the trained one did: {evidence.reload_error}.",
        )
    return Gate(
        "reloads", "hard", "pass", "Fetched back from the registry, the model gives the same scores, all sound."
    )


def new_process(evidence: Evidence, product: Product) -> Gate:
    """A process of its own finds the candidate in the registry by its alias, reads the file that was judged, and scores alike."""
    found = evidence.new_process
    if found is None:
        return Gate("new_process", "hard", "not enough evidence", "No new process looked for the model.")
    if isinstance(found, str):
        return Gate("new_process", "hard", "fail", f"A new process does not answer as this one did: {found}.")
    return Gate(
        "new_process", "hard", "pass", "A new process found the candidate by its alias and gave the same scores."
    )


def inputs(evidence: Evidence, product: Product) -> Gate:
    """Every declared feature has values in the training set: a column that fell silent upstream is no refresh."""
    empty = evidence.empty_inputs
    sentence = (
        f"No value at all in the training set: {', '.join(empty)}."
        if empty
        else "Every feature has values in the training set."
    )
    return Gate("inputs", "hard", "fail" if empty else "pass", sentence, value=float(len(empty)), bound=0.0)


def newer_data(evidence: Evidence, product: Product) -> Gate:
    """The candidate's training ends no earlier than the champion's: older data is a rollback, not a refresh."""
    ends, champion = evidence.trained_through, evidence.champion_trained_through
    if champion is None:
        return Gate("newer_data", "hard", "pass", f"Trained through {ends}; there was no champion to be newer than.")
    verdict: Verdict = "pass" if ends >= champion else "fail"
    return Gate("newer_data", "hard", verdict, f"Trained through {ends}, the champion through {champion}.")


def clean_judge(evidence: Evidence, product: Product) -> Gate:
    """No judging row was trained on; an overlap raises while the evidence is gathered, before any gate."""
    compared = evidence.trained_ids_compared
    if compared == 0:
        return Gate("clean_judge", "hard", "not enough evidence", "No training id was compared with the judging rows.")
    return Gate(
        "clean_judge",
        "hard",
        "pass",
        f"None of the {compared:,} ids that the compared models were trained on is among the judging rows.",
        value=0.0,
        bound=0.0,
    )


def beats_baseline(evidence: Evidence, product: Product) -> Gate:
    """Nothing ships that does not beat both baselines, a refresh no more than a first model.

    The mean daily loss decides; the interval of the daily differences to the nearer baseline says how sure that is.
    """
    if (missing := _missing(evidence, product, 2)) is not None:
        return Gate("beats_baseline", "hard", "not enough evidence", missing)
    days = by_day(evidence.card, "log_loss")
    means = days.mean()
    nearer = "baseline" if means["baseline"] < means["prior"] else "prior"
    interval = mean_interval(
        (days.candidate - days[nearer]).to_list(), product.gates.confidence, unit=product.time.block
    )
    assert interval is not None, "two days were asked for"
    verdict: Verdict = "pass" if interval.mean < 0 else "fail"
    relation = "under" if verdict == "pass" else "not under"
    sentence = (
        f"{_loss(product).capitalize()} {means['candidate']:.4f} is {relation} both the {BASELINES[product.baseline.kind]} baseline's "
        f"{means['baseline']:.4f} and the prior's {means['prior']:.4f}; it differs from the nearer by {interval}."
    )
    return _measured("beats_baseline", "hard", verdict, sentence, interval, 0.0)


def against_prior(evidence: Evidence, product: Product) -> Gate:
    """Whether the newest baseline may serve: its mean daily loss lies under the prior's.

    It decides on a rung of the ladder and never on a candidate, so it is not among GATES.
    """
    missing = _missing(evidence, product, 1)
    if missing is not None:
        return Gate(AGAINST_PRIOR, "hard", "not enough evidence", missing)
    means = by_day(evidence.card, "log_loss").mean()
    verdict: Verdict = "pass" if means["baseline"] < means["prior"] else "fail"
    relation = "under" if verdict == "pass" else "not under"
    sentence = (
        f"The {BASELINES[product.baseline.kind]} baseline's {_loss(product)} {means['baseline']:.4f} is {relation} the prior's "
        f"{means['prior']:.4f}."
    )
    return Gate(AGAINST_PRIOR, "hard", verdict, sentence, value=float(means["baseline"]), bound=float(means["prior"]))


def good_enough(evidence: Evidence, product: Product) -> Gate:
    """A first model keeps to the product's bound; a refresh beyond it is refused only if proven worse than the champion."""
    if (missing := _missing(evidence, product, 2)) is not None:
        return Gate("good_enough", "hard", "not enough evidence", missing)
    target = product.decision.good_enough
    interval = mean_interval(by_day(evidence.card, target.metric)["candidate"].to_list(), product.gates.confidence)
    against = _paired(evidence, product, target.metric)
    assert interval is not None, "two days were asked for"
    verdict: Verdict = "pass"
    if interval.mean <= target.at_most:
        state = f"within the bound of {target.at_most:g}"
    elif against is None:
        verdict, state = "fail", f"over the bound of {target.at_most:g}"
    else:
        verdict = _harm(against)
        proven = "proven" if verdict == "fail" else "not proven"
        state = f"over the bound of {target.at_most:g}, {proven} worse than the champion's (differs by {against})"
    measure = task_of(product).called(target.metric).replace("_", " ").capitalize()
    sentence = f"{measure} {interval.mean:.3f} [{interval.low:.3f}, {interval.high:.3f}] is {state}."
    return _measured("good_enough", "hard", verdict, sentence, interval, target.at_most)


def comparison(evidence: Evidence, product: Product) -> Gate:
    """The one comparison that decides: none for a first model, refresh for the champion's recipe, change for another."""
    if evidence.champion_error:
        sentence = (
            f"The champion could not be judged ({evidence.champion_error}): nothing is promoted on that evidence. "
            f"Where that lasts, evergreen rollback {product.name} puts the version before in its place."
        )
        return Gate("comparison", "primary", "not enough evidence", sentence)
    if not evidence.has_champion:
        return Gate("comparison", "primary", "pass", "There was no champion: beating the baselines is what decided.")
    if evidence.change is None:
        return _refresh(evidence, product)
    return judge_change(evidence.change, product)


def _refresh(evidence: Evidence, product: Product) -> Gate:
    """Refused if significantly worse than the champion, or worse by more than any refresh may be."""
    interval = None if _missing(evidence, product, 2) else _paired(evidence, product, "log_loss")
    if interval is None:
        return Gate(
            "comparison",
            "primary",
            "not enough evidence",
            _missing(evidence, product, 2) or f"fewer than two {product.time.block}s",
        )
    bound = product.gates.worse_at_most
    verdict: Verdict
    if interval.low > 0:
        verdict, why = "fail", "proven worse than the champion"
    elif interval.mean > bound:
        verdict, why = "fail", f"worse than the champion by more than {bound:g}"
    else:
        verdict, why = "pass", "not proven worse than the champion"
    seen = f"a difference of {interval.smallest_effect:.4f} would have been seen"
    sentence = f"Refresh: {_loss(product)} differs by {interval}, {why}; {seen}."
    return _measured("comparison", "primary", verdict, sentence, interval, bound)


def judge_change(days: pd.DataFrame, product: Product) -> Gate:
    """Another recipe must be proven better, or not worse by the margin, on enough days that both predicted unseen."""
    rule = product.gates.change
    needed = product.count(rule.days)
    if len(days) < needed:
        sentence = f"Change of recipe: {len(days)} prequential {product.time.block}s of both recipes, {needed} are needed; held."
        return Gate("comparison", "primary", "not enough evidence", sentence)
    interval = mean_interval(
        (days.candidate - days.champion).to_list(), product.gates.confidence, unit=product.time.block
    )
    assert interval is not None, "a change needs at least a day, and whole days are at least one"
    bound = rule.margin if rule.rule == "non_inferiority" else 0.0
    verdict: Verdict = "pass" if interval.high < bound else "fail"
    state = "is proven" if verdict == "pass" else "is not proven"
    sentence = (
        f"Change of recipe: {_loss(product)} differs by {interval}; {rule.rule.replace('_', '-')} (upper end under {bound:g}) {state}; "
        f"a difference of {interval.smallest_effect:.4f} would have been seen."
    )
    return _measured("comparison", "primary", verdict, sentence, interval, bound)


def ranking(evidence: Evidence, product: Product) -> Gate:
    """This very candidate does not rank much worse than the champion: a daily loss of order over the bound is excluded, not just unseen.

    `comparison` asks for proof of harm, and a broken model may hide in a noisy week; here the proof is asked of the candidate. The
    order of a day's rows (AUC, or what the task has for it) says more about a model than its loss, which moves with the weather of
    the day. The interval has `gates.confidence` on each side.
    """
    if not (evidence.has_champion or evidence.champion_error):
        return Gate("ranking", "primary", "pass", "There was no champion whose ranking could be lost.")
    days = evidence.ranking.reindex(columns=["candidate", "champion"]).dropna()
    missing = _missing(evidence, product, 2)
    if missing or len(days) < 2:
        sentence = (
            missing
            or f"Not enough evidence (n={len(days)} {product.time.block}s on which both could be ranked, 2 are needed)."
        )
        return Gate("ranking", "primary", "not enough evidence", sentence)
    interval = mean_interval(
        (days.champion - days.candidate).to_list(), 2 * product.gates.confidence - 1, unit=product.time.block
    )
    assert interval is not None, "two days were asked for"
    bound = product.gates.ranking_loss_at_most
    verdict: Verdict = "pass" if interval.high < bound else "fail"
    state = f"{'' if verdict == 'pass' else 'not '}excluded with {product.gates.confidence:.0%} confidence"
    sentence = f"Daily {task_of(product).words.ranking}, the champion's less the candidate's: {interval}; a loss of {bound:g} is {state}."
    return _measured("ranking", "primary", verdict, sentence, interval, bound)


def slices(evidence: Evidence, product: Product) -> Gate:
    """No slice with enough rows is proven worse than under the champion, corrected for how often harm is looked for."""
    days, looks = by_slice_and_day(evidence.card, "log_loss"), _looks(evidence, product)
    intervals = {name: _difference(days[name], product, looks) for name in _judgeable_slices(evidence, product)}
    judged = {name: interval for name, interval in intervals.items() if interval is not None}
    if not judged:
        return Gate(
            "slices",
            "guard",
            "not enough evidence",
            f"No slice has a champion, two {product.time.block}s and enough rows; not judged.",
        )
    worst = max(judged, key=lambda name: judged[name].low)
    verdict = _harm(judged[worst])
    state = "is proven worse" if verdict == "fail" else "comes nearest to being worse, unproven"
    return _measured(
        "slices", "guard", verdict, f"Of {len(judged)} slices, {worst} {state}: {judged[worst]}.", judged[worst], 0.0
    )


def calibration(evidence: Evidence, product: Product) -> Gate:
    """The daily gap between mean score and mean label is not proven wider than the champion's, corrected as the slices are.

    Of several classes it lies between the confidence in the decided class and how often that is right.
    """
    looks = _looks(evidence, product)
    interval = _paired(evidence, product, "calibration_gap", looks=looks) if evidence.has_champion else None
    if interval is None:
        return Gate(
            "calibration",
            "guard",
            "not enough evidence",
            f"No champion, or fewer than two {product.time.block}s, to compare with; not judged.",
        )
    verdict = _harm(interval)
    state = "proven wider" if verdict == "fail" else "not proven wider"
    return _measured(
        "calibration",
        "guard",
        verdict,
        f"The calibration gap differs by {interval}, {state} than the champion's.",
        interval,
        0.0,
    )


def overfit(evidence: Evidence, product: Product) -> Gate:
    """Of what the candidate is ahead of the baseline in training, not more is lost on the judged days than a bound.

    A model's own gap, judged minus training loss, says little: a hard week widens it for every model alike. The baseline is fitted
    to the same rows, judged on the same, and hardly overfits, so its gap is what the days did. It finds what the comparison may not: a
    model that learnt its rows by heart.
    """
    bound, trained = product.gates.overfit_at_most, evidence.training_log_loss
    if trained is None or _missing(evidence, product, 1) is not None:
        return Gate(
            "overfit",
            "guard",
            "not enough evidence",
            f"No training {_loss(product)}, or too few judged {product.time.block}s; not judged.",
        )
    judged = by_day(evidence.card, "log_loss").mean()
    gaps = {name: float(judged[name]) - trained[name] for name in ("candidate", "baseline")}
    excess = gaps["candidate"] - gaps["baseline"]
    verdict: Verdict = "fail" if excess > bound else "pass"
    state = "over" if verdict == "fail" else "within"
    sentence = (
        f"From training to the judged {product.time.block}s {_loss(product)} rises by {gaps['candidate']:.4f}, the baseline's by "
        f"{gaps['baseline']:.4f}: {excess:+.4f}, {state} the bound of {bound:g}."
    )
    return Gate("overfit", "guard", verdict, sentence, value=excess, bound=bound)


def latency(evidence: Evidence, product: Product) -> Gate:
    """One row through the model, 99th percentile, within the service level."""
    bound, measured = product.service_levels.scoring_latency_p99.total_seconds(), evidence.latency_p99
    if measured is None or math.isnan(measured):
        return Gate("latency", "guard", "not enough evidence", "No row was timed; not judged.", bound=bound)
    verdict: Verdict = "fail" if measured > bound else "pass"
    state = "over" if verdict == "fail" else "within"
    sentence = (
        f"One row takes {measured * 1000:.1f} ms (99th percentile), {state} the service level of {bound * 1000:g} ms."
    )
    return Gate("latency", "guard", verdict, sentence, value=measured, bound=bound)


def size(evidence: Evidence, product: Product) -> Gate:
    """The model file within the service level."""
    bound, measured = product.service_levels.model_size, evidence.model_bytes
    if measured is None:
        return Gate("size", "guard", "not enough evidence", "The model file was not measured; not judged.")
    verdict: Verdict = "fail" if measured > bound else "pass"
    state = "over" if verdict == "fail" else "within"
    sentence = f"The model file has {measured / 1e6:.1f} MB, {state} the service level of {bound / 1e6:g} MB."
    return Gate("size", "guard", verdict, sentence, value=float(measured), bound=float(bound))


GATES: tuple[Callable[[Evidence, Product], Gate], ...] = (
    reloads,
    new_process,
    inputs,
    newer_data,
    clean_judge,
    beats_baseline,
    good_enough,
    comparison,
    ranking,
    slices,
    calibration,
    overfit,
    latency,
    size,
)


def judge(evidence: Evidence, product: Product) -> list[Gate]:
    """Every gate's reading, in the order in which they decide; one that the product disabled is recorded as off."""
    readings = [gate(evidence, product) for gate in GATES]
    return [_off(reading) if reading.name in product.gates.disabled else reading for reading in readings]


def _loss(product: Product) -> str:
    return task_of(product).words.loss


def _harm(difference: Interval) -> Verdict:
    """Fail on proven harm only: the whole interval lies on the bad side of zero."""
    return "fail" if difference.low > 0 else "pass"


def _measured(name: str, role: Role, verdict: Verdict, sentence: str, interval: Interval, bound: float) -> Gate:
    return Gate(
        name, role, verdict, sentence, interval.mean, interval.low, interval.high, bound, interval.smallest_effect
    )


def _off(reading: Gate) -> Gate:
    return Gate(
        reading.name, reading.role, "off", "Switched off by gates.disabled in the product file; it blocks nothing."
    )


def _missing(evidence: Evidence, product: Product, days_needed: int) -> str | None:
    """Why the judging set cannot carry a comparison, or None."""
    days = evidence.card[evidence.card.slice == ALL_ROWS].day.nunique()
    if days < days_needed:
        return f"Not enough evidence (n={days} {product.time.block}s, {days_needed} are needed)."
    bound = product.label.coverage_at_least
    if evidence.coverage is None or evidence.coverage < bound:
        share = "none" if evidence.coverage is None else f"{evidence.coverage:.1%}"
        return f"Not enough evidence: {share} of the mature rows have a label, {bound:.0%} are needed."
    return None


def _paired(evidence: Evidence, product: Product, measure: str, looks: int = 1) -> Interval | None:
    return _difference(by_day(evidence.card, measure), product, looks)


def _difference(days: pd.DataFrame, product: Product, looks: int) -> Interval | None:
    """The interval of the daily difference, candidate minus champion, on days that both scored."""
    if not {"candidate", "champion"} <= set(days.columns):
        return None
    difference = (days.candidate - days.champion).dropna()
    return mean_interval(difference.to_list(), product.gates.confidence, looks, product.time.block)


def _looks(evidence: Evidence, product: Product) -> int:
    """How often the guards look for harm to the champion: once a slice, and once for calibration."""
    return len(_judgeable_slices(evidence, product)) + 1


def _judgeable_slices(evidence: Evidence, product: Product) -> list[str]:
    rows = (
        evidence.card[(evidence.card.scorer == "champion") & (evidence.card.slice != ALL_ROWS)]
        .groupby("slice")
        .rows.sum()
    )
    return sorted(rows[rows >= product.evaluation.slice_rows_at_least].index)
