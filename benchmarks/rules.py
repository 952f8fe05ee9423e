"""Promotion rules side by side: what is shipped, what others do, and the lives that follow from each."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from trials import DAY, FIRST, WEEK, Trials

from evergreen import gates
from evergreen.config import Product
from evergreen.evaluation import by_day, score_card
from evergreen.promotion import decide
from evergreen.statistics import mean_interval
from evergreen.tasks import Floats


@dataclass(frozen=True)
class Case:
    """A decision to take: the gates' evidence, and the rows' differences of log-loss (candidate minus champion) with their days."""

    evidence: gates.Evidence
    differences: Floats
    days: Floats


@dataclass(frozen=True)
class Model:
    """A trial that can be judged: which recipe, trained through when, sabotaged how."""

    recipe: str
    cutoff: pd.Timestamp
    sabotage: str = ""


Rule = Callable[[Case, Product], bool]


class Court:
    """Cases on the days before a decision; score cards are measured once."""

    def __init__(self, trials: Trials) -> None:
        self.trials = trials
        self.cards: dict[tuple, pd.DataFrame] = {}

    def case(self, decision: pd.Timestamp, candidate: Model, champion: Model, window: int = 7) -> Case | None:
        """None where the candidate could not be trained. No model has seen the judging days."""
        first, last = decision - pd.Timedelta(days=window), decision - DAY
        # the baselines are fitted through Saturdays alone: four days hardly move them
        saturday = first - pd.Timedelta(days=(first.day_of_week - 6) % 7 + 1)
        card = {
            name: self._card(name, model, first, last)
            for name, model in [("candidate", candidate), ("champion", champion)]
        }
        if card["candidate"].empty:
            return None
        card["baseline"] = self._card("baseline", Model("linear", saturday), first, last)
        card["prior"] = self._card("prior", Model("", saturday), first, last)
        rows = self.trials.between(first, last)
        loss = {
            name: self.trials.task.measure_rows(
                rows.label.to_numpy(), self._scores(model, first, last)
            ).log_loss.to_numpy()
            for name, model in [("candidate", candidate), ("champion", champion)]
        }
        evidence = gates.Evidence(
            card=pd.concat(card.values(), ignore_index=True),
            coverage=1.0,
            reload_error=None,
            empty_inputs=[],
            trained_through=str(candidate.cutoff.date()),
            champion_trained_through=str(champion.cutoff.date()),
            trained_ids_compared=len(rows),
            latency_p99=0.001,
            model_bytes=0,
            new_process=0.0,
        )
        return Case(evidence, loss["candidate"] - loss["champion"], rows.day.to_numpy())

    def _scores(self, model: Model, first: pd.Timestamp, last: pd.Timestamp) -> Floats | None:
        if not model.recipe:
            known = self.trials.rows.iloc[: self.trials.span(model.cutoff, model.cutoff).stop]
            return np.full(len(self.trials.between(first, last)), known.label.mean())
        return self.trials.scores(model.recipe, model.cutoff, first, last, model.sabotage)

    def _card(self, name: str, model: Model, first: pd.Timestamp, last: pd.Timestamp) -> pd.DataFrame:
        if (model, first, last) not in self.cards:
            scores = self._scores(model, first, last)
            made = {} if scores is None else {"": scores}
            self.cards[model, first, last] = score_card(self.trials.between(first, last), made, self.trials.product)
        return self.cards[model, first, last].assign(scorer=name)


def shipped(case: Case, product: Product) -> bool:
    return decide(gates.judge(case.evidence, product)).outcome == "promoted"


def shipped_but(**replaced: Callable[[Case, Product], bool]) -> Rule:
    """The shipped gates, some of them by name replaced by another rule."""

    def rule(case: Case, product: Product) -> bool:
        kept = [gate(case.evidence, product) for gate in gates.GATES if gate.__name__ not in replaced]
        return decide(kept).outcome == "promoted" and all(other(case, product) for other in replaced.values())

    return rule


def point_baseline(case: Case, product: Product) -> bool:
    means = by_day(case.evidence.card, "log_loss").mean()
    return bool(means["candidate"] < min(means["baseline"], means["prior"]))


def _daily(case: Case) -> Floats:
    return pd.Series(case.differences).groupby(case.days).mean().to_numpy()


def no_harm_by_t(case: Case, product: Product) -> bool:
    interval = mean_interval(_daily(case), product.gates.confidence)
    return interval is not None and interval.low <= 0


def non_inferior(case: Case, product: Product) -> bool:
    interval = mean_interval(_daily(case), product.gates.confidence)
    return interval is not None and interval.high < product.gates.change.margin


def superior(case: Case, product: Product) -> bool:
    interval = mean_interval(_daily(case), product.gates.confidence)
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
    "shipped, baseline as a point": shipped_but(beats_baseline=point_baseline),
    "shipped, no baseline gate": shipped_but(beats_baseline=lambda *_: True),
    "always": lambda *_: True,
    "never": lambda *_: False,
    "refuse proven harm (t)": no_harm_by_t,
    "non-inferior by .002 (t)": non_inferior,
    "superior (t)": superior,
    "better on the mean": lambda case, _: case.differences.mean() < 0,
    "superior, rows as blocks": lambda case, _: row_interval(case.differences)[1] < 0,
    "superior, 7 days resampled": lambda case, _: block_interval(_daily(case), np.random.default_rng(0))[1] < 0,
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


def live(court: Court, rule: Rule, window: int = 7, refit: bool = False) -> Life:
    """A year of weekly decisions by one rule, beginning with the same champion for all.

    With `refit`, the twin that is judged is trained through the day before the window, and the model that ships is trained
    through the window; what the next decision compares is the champion's twin.
    """
    trials, held_out = court.trials, pd.Timedelta(days=window + 1)
    twin = serving = Model("full", FIRST - 8 * DAY)
    scores, promotions = [], 0
    for decision in trials.decisions():
        if decision > FIRST:
            candidate = Model("full", decision - held_out)
            case = court.case(decision, candidate, twin, window)
            assert case is not None, "an honest candidate can be trained"
            if rule(case, trials.product):
                twin, promotions = candidate, promotions + 1
                serving = replace(candidate, cutoff=decision - DAY) if refit else candidate
        scores.append(trials.scores("full", serving.cutoff, decision + DAY, decision + WEEK))
    served, rows = np.concatenate(scores), trials.between(FIRST + DAY, decision + WEEK)
    means = trials.task.measure_rows(rows.label.to_numpy(), served).mean()
    return Life(promotions, trials.auc(served, FIRST + DAY, decision + WEEK), means.log_loss, means.expected_cost)
