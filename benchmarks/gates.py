"""Are the gates gates? Simulated decisions over the flights of 2013, by the shipped rules and by others, with what came after as truth.

    python benchmarks/gates.py [--quick] [--share SHARE] [--out FOLDER] [--cache FOLDER]

A candidate is judged on the 7, 14 or 21 days after its training, against a champion a week older, on the Sunday after these days; the week
that follows is the truth. All rows are learnt from and all are scored; refreshes and lives are weekly, sabotage is tried every fourth
week. Every fit's scores are kept in a cache, so that a run that was stopped goes on. Nothing in the gates is fitted to these tables.
"""

from dataclasses import replace

import numpy as np
import pandas as pd
from rules import RULES, Case, Court, Model, block_interval, live, row_interval, shipped, shipped_and_told
from tables import arguments, rate, scores_folder, show
from trials import DAY, END, FIRST, LAST, SABOTAGE, WEEK, Trials

from evergreen import gates, models
from evergreen.promotion import decide
from evergreen.statistics import mean_interval

POORER = ("30 stumpy trees", "20 stumpy trees", "no weather")
WINDOWS = (7, 14, 21)
FIRST_CUTOFF = FIRST - 15 * DAY
STEPS = {
    "costs at most .002": (-np.inf, 0.002),
    "costs .002 to .01": (0.002, 0.01),
    "costs more than .01": (0.01, np.inf),
}
COMPARED = ("shipped", "without ranking (0.2.0)", "always")
UNDER_FIRE = (
    *COMPARED,
    "shipped, baselines on proof (0.6.0)",
    "shipped, ranking by the mean",
    "refuse proven harm (t)",
)
RESAMPLED = 400


def cutoffs(window: int, every: int = 1) -> list[pd.Timestamp]:
    """Last days of training, whose decisions lie within the year; the same for each window, but for the end."""
    first = FIRST_CUTOFF if every == 1 else FIRST_CUTOFF + 2 * WEEK
    return list(pd.date_range(first, LAST - (window + 1) * DAY, freq=every * WEEK))


def decided(court: Court, window: int, every: int) -> list[dict]:
    """One line for each candidate and decision: the case, and what the candidate is worth on the next week and the next three.

    `cost` is the AUC that the sabotage costs against the honest candidate, `harm` what promoting costs against the champion,
    a week older than the candidate; `over` the log-loss by which it lies over the nearer baseline; `cost_3`, `harm_3` and `over_3` over
    three weeks.
    """
    lines = []
    for cutoff in cutoffs(window, every):
        older, honest = Model("full", cutoff - WEEK), Model("full", cutoff)
        lines += [
            line for kind in SABOTAGE for line in _line(court, window, kind, replace(honest, sabotage=kind), older)
        ]
        twins = [replace(honest, sabotage=f"90% of rows, {name}") for name in "ab"]
        lines += _line(court, window, "same recipe and data, other draw", *twins)
    return lines


def refreshes(court: Court, window: int) -> list[dict]:
    """The same for honest candidates every week, against a champion one week older and four weeks older."""
    lines = []
    for cutoff in cutoffs(window):
        for kind, weeks in (("honest", 1), ("honest, champion four weeks older", 4)):
            older = Model("full", cutoff - weeks * WEEK)
            if older.cutoff >= FIRST_CUTOFF - WEEK:
                lines += _line(court, window, kind, Model("full", cutoff), older)
    return lines


def _line(court: Court, window: int, kind: str, candidate: Model, champion: Model) -> list[dict]:
    case = court.case(candidate, champion, window)
    if case is None:
        return []
    decision, honest = candidate.cutoff + (window + 1) * DAY, Model("full", candidate.cutoff)
    auc = {weeks: [_auc(court, model, decision, weeks) for model in (candidate, champion, honest)] for weeks in (1, 3)}
    return [
        {
            "decision": decision,
            "kind": kind,
            "case": case,
            "cost": auc[1][2] - auc[1][0],
            "cost_3": auc[3][2] - auc[3][0],
            "harm": auc[1][1] - auc[1][0],
            "harm_3": auc[3][1] - auc[3][0],
            "over": _over_baselines(court, candidate, decision, 1),
            "over_3": _over_baselines(court, candidate, decision, 3),
        }
    ]


def _over_baselines(court: Court, candidate: Model, decision: pd.Timestamp, weeks: int) -> float:
    """The pooled log-loss of the weeks after the decision, the candidate's less the nearer baseline's, trained as far."""
    rivals = [court.log_loss(Model(recipe, candidate.cutoff), decision, weeks) for recipe in ("linear", "")]
    return court.log_loss(candidate, decision, weeks) - min(rivals)


def _auc(court: Court, model: Model, decision: pd.Timestamp, weeks: int) -> float:
    first, last = decision + DAY, min(decision + weeks * WEEK, END)
    scores = court.trials.scores(model.recipe, model.cutoff, first, last, model.sabotage)
    assert scores is not None
    return court.trials.auc(scores, first, last)


def sabotage_table(lines: list[dict], court: Court) -> pd.DataFrame:
    """How often each rule promotes a sabotaged candidate, by what the sabotage costs on the next week; and over the next three."""
    spoilt = [line for line in lines if line["kind"] in SABOTAGE]
    made = {}
    for name, rule in {"shipped, and told of the data": shipped_and_told, **RULES}.items():
        promoted = [(line, rule(line["case"], court.trials.product)) for line in spoilt]
        made[name] = {
            step: rate(passed for line, passed in promoted if low < line["cost"] <= high)
            for step, (low, high) in STEPS.items()
        }
        made[name]["costs more than .01 over three weeks"] = rate(p for line, p in promoted if line["cost_3"] > 0.01)
    return pd.DataFrame(made).T


def kinds_table(lines: list[dict], court: Court) -> pd.DataFrame:
    """The shipped gates on each kind of candidate, who refused, and how the linear and overfit measures look."""
    made = {}
    for kind, group in pd.DataFrame(lines).groupby("kind", sort=False):
        readings = [gates.judge(case.evidence, court.trials.product) for case in group.case]
        outcomes = [decide(reading) for reading in readings]
        refusing = pd.Series([o.deciding_gate for o in outcomes if o.outcome != "promoted"]).value_counts()
        made[kind] = {
            "costs AUC, mean": f"{group.cost.mean():+.4f}",
            "harms AUC, mean": f"{group.harm.mean():+.4f}",
            "promoted": rate(o.outcome == "promoted" for o in outcomes),
            "and told": rate(shipped_and_told(case, court.trials.product) for case in group.case),
            "refused by": ", ".join(f"{gate} {count}" for gate, count in refusing.items()),
        }
    return pd.DataFrame(made).T


def refresh_table(weekly: list[dict], lines: list[dict], court: Court) -> pd.DataFrame:
    """How often a good refresh is refused (not worse than the champion on the next week, or over three), and a bad one promoted.

    Of those that are good, some are no better than a baseline in these weeks: without them in the next columns.
    """
    made = {}
    for name, rule in RULES.items():
        honest = [
            (line, rule(line["case"], court.trials.product)) for line in weekly if line["kind"].startswith("honest")
        ]
        twins = [rule(line["case"], court.trials.product) for line in lines if line["kind"].startswith("same")]
        made[name] = {
            "good next week, refused": rate(not p for line, p in honest if line["harm"] <= 0),
            "good over 3 weeks, refused": rate(not p for line, p in honest if line["harm_3"] <= 0),
            "and under the baselines, refused": rate(
                not p for line, p in honest if line["harm"] <= 0 and line["over"] < 0
            ),
            "over 3 weeks, and under them, refused": rate(
                not p for line, p in honest if line["harm_3"] <= 0 and line["over_3"] < 0
            ),
            "over the baselines over 3 weeks, promoted": rate(p for line, p in honest if line["over_3"] >= 0),
            "worse over 3 weeks, promoted": rate(p for line, p in honest if line["harm_3"] > 0),
            "identical, promoted": rate(twins),
        }
    return pd.DataFrame(made).T


def power_table(lines: list[dict], court: Court) -> pd.DataFrame:
    """How often each rule refuses, by the AUC that promoting would have cost against the champion on the next week."""
    edges = [-np.inf, 0, 0.005, 0.01, 0.02, 0.05, np.inf]
    step = pd.cut([line["harm"] for line in lines], edges)
    made = {}
    for name in (*COMPARED[:2], "refuse proven harm (t)", "superior (t)"):
        refused = pd.Series([not RULES[name](line["case"], court.trials.product) for line in lines])
        made[name] = {str(interval): rate(refused[step == interval]) for interval in step.categories}
    return pd.DataFrame(made)


def change_table(court: Court, window: int) -> pd.DataFrame:
    """A poorer recipe serves and the full one is proposed, and the other way round: promoted at one decision, and within 8 weeks.

    All gates decide. The 28 prequential days end the day before the decision; each is scored by a model trained through the day before
    its fold. A proposal is made every week and decided weekly until it is promoted; proposals of neighbouring weeks share days, so the
    rates' intervals are too narrow.
    """
    made = {}
    for poorer in POORER:
        for candidate, champion in ((poorer, "full"), ("full", poorer)):
            asked = [cutoff for cutoff in cutoffs(window) if cutoff >= FIRST_CUTOFF + 28 * DAY]
            days = [_prequential(court, candidate, champion, cutoff, window) for cutoff in asked]
            cases = [
                court.case(Model(candidate, cutoff), Model(champion, cutoff - WEEK), window, change)
                for cutoff, change in zip(asked, days, strict=True)
            ]
            passed = [case is not None and shipped(case, court.trials.product) for case in cases]
            proven = [gates.judge_change(change, court.trials.product).verdict == "pass" for change in days]
            delays = [_first(passed[start : start + 8]) for start in range(len(passed) - 7)]
            seen = [delay for delay in delays if delay is not None]
            gained = [_gained(court, candidate, champion, cutoff) for cutoff in asked]
            made[f"{champion} -> {candidate}"] = {
                "AUC gained": f"{np.mean(gained):+.4f}",
                "log-loss": f"{np.mean([(change.candidate - change.champion).mean() for change in days]):+.4f}",
                "proven at a decision": rate(proven),
                "promoted at a decision": rate(passed),
                "within 8 weeks": rate(delay is not None for delay in delays),
                "median delay, weeks": f"{np.median(seen):g}" if seen else "none",
            }
    return pd.DataFrame(made).T


def _first(passed: list[bool]) -> int | None:
    """How many weeks after the proposal it was promoted; 0 is at the first decision, None not at all."""
    return passed.index(True) if True in passed else None


def _gained(court: Court, candidate: str, champion: str, cutoff: pd.Timestamp) -> float:
    """The AUC of the week after the cutoff, candidate minus champion, both trained through it."""
    better, worse = (_auc(court, Model(recipe, cutoff), cutoff, 1) for recipe in (candidate, champion))
    return better - worse


def _prequential(court: Court, candidate: str, champion: str, cutoff: pd.Timestamp, window: int) -> pd.DataFrame:
    """Daily log-loss of two recipes on the 28 days that end with the window after the cutoff, in folds of a week."""
    trials, folds = court.trials, []
    for weeks in (4, 3, 2, 1):
        trained = cutoff + window * DAY - weeks * WEEK
        first, last = trained + DAY, trained + WEEK
        rows = trials.between(first, last)
        losses = {
            name: trials.task.measure_rows(rows.label.to_numpy(), trials.scores(recipe, trained, first, last)).log_loss
            for name, recipe in (("candidate", candidate), ("champion", champion))
        }
        folds.append(pd.DataFrame(losses).groupby(rows.day.to_numpy()).mean())
    return pd.concat(folds)


def error_table(lines: list[dict]) -> pd.DataFrame:
    """How often a 95% interval excludes the truth. Each honest comparison's days over the year, shifted so that their mean is zero;
    days are drawn at random, so nothing but the interval is to blame."""
    random, made = np.random.default_rng(0), {}
    kinds = [kind for kind in dict.fromkeys(line["kind"] for line in lines) if kind.startswith("honest")]
    for days in (3, 7, 14, 28):
        misses: dict[str, list[bool]] = {"t over days": [], "days resampled": [], "rows as blocks": []}
        for kind in kinds:
            blocks = _centred_days([line["case"] for line in lines if line["kind"] == kind])
            for _ in range(RESAMPLED):
                drawn = [blocks[number] for number in random.choice(len(blocks), min(days, len(blocks)), replace=False)]
                means = np.array([block.mean() for block in drawn])
                interval = mean_interval(means.tolist(), 0.95)
                assert interval is not None
                misses["t over days"].append(_excludes_zero((interval.low, interval.high)))
                misses["days resampled"].append(_excludes_zero(block_interval(means, random)))
                misses["rows as blocks"].append(_excludes_zero(row_interval(np.concatenate(drawn))))
        made[f"{days} days"] = {name: rate(found) for name, found in misses.items()}
    return pd.DataFrame(made).T


def _centred_days(cases: list[Case]) -> list[np.ndarray]:
    """The rows' differences day by day, shifted so that the days' mean is zero."""
    blocks = [case.differences[case.days == day] for case in cases for day in np.unique(case.days)]
    centre = np.mean([block.mean() for block in blocks])
    return [block - centre for block in blocks]


def _excludes_zero(interval: tuple[float, float]) -> bool:
    return interval[0] > 0 or interval[1] < 0


def overfit_table(court: Court) -> pd.DataFrame:
    """The gap of log-loss between training rows and judging rows, and what it says: the excess over the champion's judging loss
    is what a gate would have to foretell."""
    trials, lines = court.trials, []
    for decision in trials.decisions(12):
        first, last, cutoff = decision - WEEK, decision - DAY, decision - 8 * DAY
        judging = trials.between(first, last)
        for recipe, sabotage in (
            ("full", ""),
            ("linear", ""),
            ("depth 12", ""),
            ("full", "label noise 20%"),
            ("full", "labels shuffled"),
        ):
            known = trials.known(cutoff, sabotage)
            pipeline = trials.pipeline(recipe, known)
            inside, outside = (
                trials.task.measure_rows(rows.label.to_numpy(), models.predict(pipeline, rows)).log_loss.mean()
                for rows in (known, judging)
            )
            lines.append(
                {"kind": f"{recipe} {sabotage}", "training": inside, "judging": outside, "gap": outside - inside}
            )
    return pd.DataFrame(lines).groupby("kind", sort=False).agg(["mean", "min", "max"]).round(4)


def lives_table(court: Court, window: int) -> pd.DataFrame:
    """What the year comes to when a rule decides every week, and all begin with the same champion; what ships is refitted.

    On the right, for the longest window, every fourth candidate is sabotaged, in ten ways in turn.
    """
    made = {}
    for name, rule in RULES.items():
        made[name] = live(court, rule, window, refit=True).as_text()
        if name in UNDER_FIRE and window == max(WINDOWS):
            under_fire = live(court, rule, window, refit=True, spoilt=list(SABOTAGE)).as_text()
            made[name] |= {f"{measure}, under fire": value for measure, value in under_fire.items()}
    return pd.DataFrame(made).T.fillna("")


def main() -> None:
    given = arguments(__doc__)
    court = Court(Trials(scores_folder(given), given.share))
    every = 8 if given.quick else 4
    for window in WINDOWS:
        days = f"{window} days"
        weekly, lines = refreshes(court, window), decided(court, window, every)
        show(f"gates sabotage, {days}: promoted, by what it costs in AUC", sabotage_table(lines, court), given.out)
        show(f"gates refreshes, {days}", refresh_table(weekly, lines, court), given.out)
        show(f"gates candidates, {days}: the shipped gates on each", kinds_table(weekly + lines, court), given.out)
        power = power_table(weekly + lines, court)
        show(f"gates power, {days}: refused, by the AUC that promoting would have cost", power, given.out)
        if not given.quick:
            show(f"gates changes, {days}: another recipe is proposed", change_table(court, window), given.out)
            show(f"gates lives, {days}: a year of decisions", lives_table(court, window), given.out)
    show("gates intervals: errors, where 5% is said", error_table(weekly), given.out)
    show("gates overfit: log-loss on training and judging rows", overfit_table(court), given.out)


if __name__ == "__main__":
    main()
