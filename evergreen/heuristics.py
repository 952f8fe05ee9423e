"""The last rung of the ladder: what is known without a model. It always answers."""

from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from evergreen.config import Product
from evergreen.errors import SourceError
from evergreen.expressions import evaluate
from evergreen.tasks import Floats, Prior, task_of


@dataclass(frozen=True)
class RuleAnswers:
    """A score and the name of the rule that gave it, one a row; `failures` are rules that could not be computed."""

    scores: Floats
    rules: list[str]
    failures: list[str] = field(default_factory=list)


def answer_by_rules(rows: pd.DataFrame, prior: Prior | None, product: Product) -> RuleAnswers:
    """The first declared rule that matches a row answers it; else the prior (None before any training: the declared one).

    A rule's name carries the digest of all rules: `1a2b3c4d: distance > 4000`. A rule that cannot be computed matches nothing.
    """
    declared, task, failures = product.heuristic, task_of(product), []
    scores = task.constant(declared.before_training if prior is None else prior, len(rows))
    rules = np.full(len(rows), "before training" if prior is None else task.words.prior, dtype=object)
    for rule in reversed(declared.rules):
        try:
            matches = evaluate(rule.when, rows, "heuristic.rules", "batch").fillna(False).to_numpy(dtype=bool)
        except SourceError as problem:
            failures.append(f"heuristic: {problem}")
            continue
        scores[matches] = task.constant(task.of_rule(rule.then), int(matches.sum()))
        rules[matches] = rule.when
    return RuleAnswers(scores, [f"{declared.digest[:8]}: {rule}" for rule in rules], failures)
