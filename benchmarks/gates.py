"""Are the gates gates? Simulated decisions over the flights of 2013, by the shipped rules and by others, with what came after as truth.

    python benchmarks/gates.py [--quick] [--share SHARE] [--out FOLDER] [--cache FOLDER]

Each Sunday a candidate trained through eight days before is judged on the seven days that ended the day before, against a champion
a week older; the week after is the truth. Models learn from a quarter of the rows (`--share`), every row is scored; sabotage is tried
every fourth week, refreshes and lives are weekly. Nothing in the gates is fitted to these tables.
"""

import numpy as np
import pandas as pd
from rules import RULES, Case, Court, Model, block_interval, live, row_interval
from tables import arguments, rate, scores_folder, show
from trials import DAY, END, SABOTAGE, WEEK, Trials

from evergreen import gates, models
from evergreen.promotion import decide
from evergreen.statistics import mean_interval

EARLIER = pd.Timedelta(days=8)
POORER = ("30 stumpy trees", "20 stumpy trees", "no weather")
FIRST_CUTOFF = pd.Timestamp("2013-01-19")
STEPS = {
    "costs at most .002": (-np.inf, 0.002),
    "costs .002 to .01": (0.002, 0.01),
    "costs more than .01": (0.01, np.inf),
}
RESAMPLED = 400


def decided(court: Court, every: int) -> list[dict]:
    """One line for each candidate and decision: the case, and what the candidate is worth on the next week and the next four.

    `cost` is the AUC that the sabotage costs against the honest candidate, `harm` what promoting costs against the champion,
    a week older than the candidate; `harm_4` over four weeks.
    """
    lines = []
    for decision in court.trials.decisions(every):
        honest, older = Model("full", decision - EARLIER), Model("full", decision - EARLIER - WEEK)
        for kind in ("", *SABOTAGE):
            lines += _line(court, decision, kind or "honest", Model("full", honest.cutoff, kind), older, honest)
        twins = [Model("full", honest.cutoff, f"90% of rows, {name}") for name in "ab"]
        lines += _line(court, decision, "same recipe and data, other draw", *twins, honest)
    return lines


def refreshes(court: Court) -> list[dict]:
    """The same for honest candidates every week, against a champion one week older and four weeks older."""
    lines = []
    for decision in court.trials.decisions():
        honest = Model("full", decision - EARLIER)
        for kind, weeks in (("honest", 1), ("honest, champion four weeks older", 4)):
            older = Model("full", honest.cutoff - weeks * WEEK)
            if older.cutoff >= FIRST_CUTOFF:
                lines += _line(court, decision, kind, honest, older, honest)
    return lines


def _line(
    court: Court, decision: pd.Timestamp, kind: str, candidate: Model, champion: Model, honest: Model
) -> list[dict]:
    case = court.case(decision, candidate, champion)
    if case is None:
        return []
    auc = {weeks: [_auc(court, model, decision, weeks) for model in (candidate, champion, honest)] for weeks in (1, 4)}
    return [
        {
            "decision": decision,
            "kind": kind,
            "case": case,
            "cost": auc[1][2] - auc[1][0],
            "harm": auc[1][1] - auc[1][0],
            "harm_4": auc[4][1] - auc[4][0],
        }
    ]


def _auc(court: Court, model: Model, decision: pd.Timestamp, weeks: int) -> float:
    first, last = decision + DAY, min(decision + weeks * WEEK, END)
    scores = court.trials.scores(model.recipe, model.cutoff, first, last, model.sabotage)
    assert scores is not None
    return court.trials.auc(scores, first, last)


def sabotage_table(lines: list[dict], court: Court) -> pd.DataFrame:
    """How often each rule promotes a sabotaged candidate, by what the sabotage costs on the next week."""
    spoilt = [line for line in lines if line["kind"] in SABOTAGE]
    made = {}
    for name, rule in RULES.items():
        promoted = [(line["cost"], rule(line["case"], court.trials.product)) for line in spoilt]
        made[name] = {step: rate(p for c, p in promoted if low < c <= high) for step, (low, high) in STEPS.items()}
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
            "harm AUC, mean": f"{group.harm.mean():+.4f}",
            "promoted": rate(o.outcome == "promoted" for o in outcomes),
            "refused by": ", ".join(f"{gate} {count}" for gate, count in refusing.items()),
        }
    return pd.DataFrame(made).T


def refresh_table(weekly: list[dict], lines: list[dict], court: Court) -> pd.DataFrame:
    """How often a good refresh is refused (not worse than the champion on the next week, or over four), and a bad one promoted."""
    made = {}
    for name, rule in RULES.items():
        honest = [
            (line, rule(line["case"], court.trials.product)) for line in weekly if line["kind"].startswith("honest")
        ]
        twins = [rule(line["case"], court.trials.product) for line in lines if line["kind"].startswith("same")]
        made[name] = {
            "good next week, refused": rate(not p for line, p in honest if line["harm"] <= 0),
            "good over 4 weeks, refused": rate(not p for line, p in honest if line["harm_4"] <= 0),
            "worse over 4 weeks, promoted": rate(p for line, p in honest if line["harm_4"] > 0),
            "identical, promoted": rate(twins),
        }
    return pd.DataFrame(made).T


def power_table(lines: list[dict], court: Court) -> pd.DataFrame:
    """How often each rule refuses, by the AUC that promoting would have cost against the champion on the next week."""
    edges = [-np.inf, 0, 0.005, 0.01, 0.02, 0.05, np.inf]
    step = pd.cut([line["harm"] for line in lines], edges)
    made = {}
    for name in ("shipped", "refuse proven harm (t)", "superior (t)"):
        refused = pd.Series([not RULES[name](line["case"], court.trials.product) for line in lines])
        made[name] = {str(interval): rate(refused[step == interval]) for interval in step.categories}
    return pd.DataFrame(made)


def change_table(court: Court) -> pd.DataFrame:
    """A poorer recipe serves and the full one is proposed, and the other way round: promoted at one decision, and within 8 weeks.

    The 28 prequential days that a change is judged on end the day before the decision; each is scored by a model trained through
    the day before its week. A proposal is made every week and decided weekly until it is promoted; proposals of neighbouring
    weeks share days, so the rates' intervals are too narrow.
    """
    trials, made = court.trials, {}
    for poorer in POORER:
        series = pd.concat([_prequential(court, poorer, decision) for decision in trials.decisions()])
        for candidate, champion in ((poorer, "full"), ("full", poorer)):
            decisions = [day for day in trials.decisions() if day - 28 * DAY >= series.index.min()]
            passed = [_change_passes(court, series, candidate, champion, day) for day in decisions]
            delays = [_first(passed[start : start + 8]) for start in range(len(passed) - 7)]
            seen = [delay for delay in delays if delay is not None]
            made[f"{champion} -> {candidate}"] = {
                "AUC gained": f"{series[f'auc {candidate}'].mean() - series[f'auc {champion}'].mean():+.4f}",
                "log-loss": f"{(series[candidate] - series[champion]).mean():+.4f}",
                "promoted at a decision": rate(passed),
                "within 8 weeks": rate(delay is not None for delay in delays),
                "median delay, weeks": f"{np.median(seen):g}" if seen else "none",
            }
    return pd.DataFrame(made).T


def _first(passed: list[bool]) -> int | None:
    """How many weeks after the proposal it was promoted; 0 is at the first decision, None not at all."""
    return passed.index(True) if True in passed else None


def _prequential(court: Court, poorer: str, decision: pd.Timestamp) -> pd.DataFrame:
    """Daily log-loss, and the week's AUC, of both recipes on the seven days before a decision."""
    trials, first, last = court.trials, decision - WEEK, decision - DAY
    rows, made = trials.between(first, last), {}
    for recipe in ("full", poorer):
        scores = trials.scores(recipe, first - DAY, first, last)
        loss = trials.task.measure_rows(rows.label.to_numpy(), scores).log_loss
        made[recipe] = loss.groupby(rows.day.to_numpy()).mean()
        made[f"auc {recipe}"] = trials.auc(scores, first, last)
    return pd.DataFrame(made)


def _change_passes(court: Court, series: pd.DataFrame, candidate: str, champion: str, decision: pd.Timestamp) -> bool:
    days = series[decision - 28 * DAY : decision - DAY].rename(columns={candidate: "candidate", champion: "champion"})
    return gates.judge_change(days, court.trials.product).verdict == "pass"


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
    for decision in trials.decisions(8):
        first, last, cutoff = decision - WEEK, decision - DAY, decision - EARLIER
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


def lives_table(court: Court) -> pd.DataFrame:
    """What the year comes to when a rule decides every week, and all begin with the same champion."""
    return pd.DataFrame({name: live(court, rule).as_text() for name, rule in RULES.items()}).T


def main() -> None:
    given = arguments(__doc__)
    with scores_folder(given.cache) as folder:
        court = Court(Trials(folder, given.share))
        lines = decided(court, 8 if given.quick else 4)
        show(
            "gates sabotage: promoted, by what it costs in AUC on the next week",
            sabotage_table(lines, court),
            given.out,
        )
        show("gates candidates: the shipped gates on each", kinds_table(lines, court), given.out)
        show("gates power: refused, by the AUC that promoting would have cost", power_table(lines, court), given.out)
        weekly = lines if given.quick else refreshes(court)
        show("gates refreshes", refresh_table(weekly, lines, court), given.out)
        show("gates intervals: errors, where 5% is said", error_table(weekly), given.out)
        show("gates overfit: log-loss on training and judging rows", overfit_table(court), given.out)
        if not given.quick:
            show("gates changes: another recipe is proposed", change_table(court), given.out)
            show("gates lives: a year of decisions", lives_table(court), given.out)


if __name__ == "__main__":
    main()
