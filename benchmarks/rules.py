"""Promotion rules side by side: what is shipped, what others do, and the lives that follow from each."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from trials import DAY, END, FIRST, WEEK, Trials

from evergreen import gates
from evergreen.config import Product
from evergreen.evaluation import by_day, daily_ranking, score_card
from evergreen.promotion import decide
from evergreen.statistics import mean_interval
from evergreen.tasks import Floats


@dataclass(frozen=True)
class Case:
    """A decision to take: the gates' evidence, and the rows' differences of log-loss (candidate minus champion) with their days.

    In `told` the gates also know of the training data what the loop tells them: features without a value, and the last day.
    """

    evidence: gates.Evidence
    told: gates.Evidence
    differences: Floats
    days: Floats

    @property
    def daily(self) -> Floats:
        return pd.Series(self.differences).groupby(self.days).mean().to_numpy()


@dataclass(frozen=True)
class Model:
    """A trial that can be judged: which recipe, trained through when, sabotaged how."""

    recipe: str
    cutoff: pd.Timestamp
    sabotage: str = ""


Rule = Callable[[Case, Product], bool]


class Court:
    """Cases on the days after a candidate's training; each model is measured once on the same days."""

    def __init__(self, trials: Trials) -> None:
        self.trials = trials
        self.cards: dict[tuple, tuple[pd.DataFrame, pd.Series]] = {}

    def case(self, candidate: Model, champion: Model, window: int, change: pd.DataFrame | None = None) -> Case | None:
        """Judged on the `window` days after the candidate's training; None where it could not be trained. No model saw these days."""
        first, last = candidate.cutoff + DAY, candidate.cutoff + window * DAY
        # the baselines are fitted through Saturdays alone: a few days hardly move them
        saturday = first - pd.Timedelta(days=(first.day_of_week - 6) % 7 + 1)
        models = {"candidate": candidate, "champion": champion}
        models |= {"baseline": Model("linear", saturday), "prior": Model("", saturday)}
        if self._scores(candidate, first, last) is None:
            return None
        measured = {name: self._measured(model, first, last) for name, model in models.items()}
        rows = self.trials.between(first, last)
        evidence = gates.Evidence(
            card=pd.concat([card.assign(scorer=name) for name, (card, _) in measured.items()], ignore_index=True),
            ranking=pd.DataFrame({name: ranking for name, (_, ranking) in measured.items()}),
            coverage=1.0,
            reload_error=None,
            empty_inputs=[],
            trained_through=str(candidate.cutoff.date()),
            champion_trained_through=str(champion.cutoff.date()),
            trained_ids_compared=len(rows),
            latency_p99=0.001,
            model_bytes=0,
            new_process=0.0,
            change=change,
        )
        loss = [self._losses(model, rows, first, last) for model in (candidate, champion)]
        return Case(evidence, self._told(evidence, candidate), loss[0] - loss[1], rows.day.to_numpy())

    def log_loss(self, model: Model, decision: pd.Timestamp, weeks: int) -> float:
        """Pooled over the rows of the weeks after a decision."""
        first, last = decision + DAY, min(decision + weeks * WEEK, END)
        return float(self._losses(model, self.trials.between(first, last), first, last).mean())

    def _told(self, evidence: gates.Evidence, candidate: Model) -> gates.Evidence:
        if not candidate.sabotage:
            return evidence
        known = self.trials.known(candidate.cutoff, candidate.sabotage)
        empty = [name for name in self.trials.product.features.names if known[name].isna().all()]
        return replace(evidence, empty_inputs=empty, trained_through=str(known.day.max().date()))

    def _losses(self, model: Model, rows: pd.DataFrame, first: pd.Timestamp, last: pd.Timestamp) -> Floats:
        scores = self._scores(model, first, last)
        return self.trials.task.measure_rows(rows.label.to_numpy(), scores).log_loss.to_numpy()

    def _scores(self, model: Model, first: pd.Timestamp, last: pd.Timestamp) -> Floats | None:
        if not model.recipe:
            known = self.trials.rows.iloc[: self.trials.span(model.cutoff, model.cutoff).stop]
            return np.full(len(self.trials.between(first, last)), known.label.mean())
        return self.trials.scores(model.recipe, model.cutoff, first, last, model.sabotage)

    def _measured(self, model: Model, first: pd.Timestamp, last: pd.Timestamp) -> tuple[pd.DataFrame, pd.Series]:
        """The score card of one model, and its daily ranking."""
        if (model, first, last) not in self.cards:
            rows, scores = self.trials.between(first, last), {"": self._scores(model, first, last)}
            ranking = daily_ranking(rows, scores, self.trials.product)[""]
            self.cards[model, first, last] = score_card(rows, scores, self.trials.product), ranking
        return self.cards[model, first, last]


def shipped(case: Case, product: Product) -> bool:
    return decide(gates.judge(case.evidence, product)).outcome == "promoted"


def shipped_and_told(case: Case, product: Product) -> bool:
    return decide(gates.judge(case.told, product)).outcome == "promoted"


def shipped_but(**replaced: Rule) -> Rule:
    """The shipped gates, some of them by name replaced by another rule."""

    def rule(case: Case, product: Product) -> bool:
        kept = [gate(case.evidence, product) for gate in gates.GATES if gate.__name__ not in replaced]
        return decide(kept).outcome == "promoted" and all(other(case, product) for other in replaced.values())

    return rule


def always(case: Case, product: Product) -> bool:
    return True


def baselines_on_proof(case: Case, product: Product) -> bool:
    """Beside a champion, only what is proven over the nearer baseline is refused."""
    days = by_day(case.evidence.card, "log_loss")
    nearer = days[["baseline", "prior"]].mean().idxmin()
    interval = mean_interval((days.candidate - days[nearer]).to_list(), product.gates.confidence)
    return interval is not None and interval.low <= 0


def ranking_half_way(case: Case, product: Product) -> bool:
    """The mean loss of daily AUC is nearer to none than to the bound: both errors are held to be as dear."""
    ranking = case.evidence.ranking
    return float((ranking.champion - ranking.candidate).mean()) < product.gates.ranking_loss_at_most / 2


def ranking_excluded_at(confidence: float) -> Rule:
    def rule(case: Case, product: Product) -> bool:
        surer = product.model_copy(update={"gates": product.gates.model_copy(update={"confidence": confidence})})
        return gates.ranking(case.evidence, surer).verdict == "pass"

    return rule


def no_harm_by_t(case: Case, product: Product) -> bool:
    interval = mean_interval(case.daily, product.gates.confidence)
    return interval is not None and interval.low <= 0


def non_inferior(case: Case, product: Product) -> bool:
    interval = mean_interval(case.daily, product.gates.confidence)
    return interval is not None and interval.high < product.gates.change.margin


def superior(case: Case, product: Product) -> bool:
    interval = mean_interval(case.daily, product.gates.confidence)
    return interval is not None and interval.high < 0


def row_interval(differences: Floats) -> tuple[float, float]:
    """What the percentile bootstrap over rows converges to with thousands of them: the normal interval of the mean."""
    reach = 1.96 * differences.std(ddof=1) / np.sqrt(len(differences))
    return differences.mean() - reach, differences.mean() + reach


def block_interval(daily: Floats, random: np.random.Generator) -> tuple[float, float]:
    """The 95% percentile bootstrap over days."""
    drawn = daily[random.integers(0, len(daily), (1000, len(daily)))].mean(axis=1)
    return tuple(np.quantile(drawn, [0.025, 0.975]))


RULES: dict[str, Rule] = {
    "shipped": shipped,
    "shipped, ranking at 90%": shipped_but(ranking=ranking_excluded_at(0.9)),
    "shipped, ranking at 97.5%": shipped_but(ranking=ranking_excluded_at(0.975)),
    "shipped, ranking by the mean": shipped_but(ranking=ranking_half_way),
    "shipped, baselines on proof (0.6.0)": shipped_but(beats_baseline=baselines_on_proof),
    "ranking alone": lambda case, product: gates.ranking(case.evidence, product).verdict == "pass",
    "without ranking (0.2.0)": shipped_but(ranking=always),
    "without ranking, baselines on proof": shipped_but(ranking=always, beats_baseline=baselines_on_proof),
    "always": always,
    "never": lambda *_: False,
    "refuse proven harm (t)": no_harm_by_t,
    "non-inferior by .002 log-loss (t)": non_inferior,
    "superior (t)": superior,
    "superior, rows as blocks": lambda case, _: row_interval(case.differences)[1] < 0,
    "superior, days resampled": lambda case, _: block_interval(case.daily, np.random.default_rng(0))[1] < 0,
}


@dataclass(frozen=True)
class Life:
    """What a rule's year came to: pooled over every row scored since the first decision."""

    promotions: int
    auc: float
    log_loss: float
    cost: float

    def as_text(self) -> dict[str, str]:
        measures = {"AUC": f"{self.auc:.4f}", "log-loss": f"{self.log_loss:.4f}", "cost": f"{self.cost:.3f}"}
        return {"promotions": str(self.promotions), **measures}


def live(court: Court, rule: Rule, window: int, refit: bool = False, spoilt: Sequence[str] = ()) -> Life:
    """A year of weekly decisions by one rule, beginning with the same champion for all.

    With `refit`, the twin that is judged is trained through the day before the window, and the model that ships is trained
    through the window; what the next decision compares is the champion's twin. With `spoilt`, every fourth candidate is
    sabotaged, by these kinds in turn.
    """
    trials, held_out = court.trials, pd.Timedelta(days=window + 1)
    twin = Model("full", FIRST - held_out)
    serving = replace(twin, cutoff=FIRST - DAY) if refit else twin
    scores, promotions = [], 0
    for number, decision in enumerate(trials.decisions()):
        if decision > FIRST:
            kind = spoilt[number // 4 % len(spoilt)] if spoilt and number % 4 == 2 else ""
            candidate = Model("full", decision - held_out, kind)
            case = court.case(candidate, twin, window)
            if case is not None and rule(case, trials.product):
                twin, promotions = candidate, promotions + 1
                serving = replace(candidate, cutoff=decision - DAY) if refit else candidate
        week = decision + DAY, decision + WEEK
        scores.append(trials.scores("full", serving.cutoff, *week, serving.sabotage))
    served, rows = np.concatenate(scores), trials.between(FIRST + DAY, decision + WEEK)
    means = trials.task.measure_rows(rows.label.to_numpy(), served).mean()
    return Life(promotions, trials.auc(served, FIRST + DAY, decision + WEEK), means.log_loss, means.expected_cost)
