"""What a product is for and for whom, as its file declares it; the model card, the health report and the Dagster UI show these facts."""

from collections.abc import Iterator, Mapping
from typing import Any

from evergreen.config import Product
from evergreen.durations import format_duration
from evergreen.tasks import task_of

PLAINLY = {
    "over": "a unit predicted too much",
    "under": "a unit predicted too little",
    "wrong": "any wrong class that is not named here",
}


def facts(product: Product) -> dict[str, list[str]]:
    """The page, in its order: a heading, and what the file says under it; nothing is said under what the file leaves out."""
    decision, levels, target = product.decision, product.service_levels, product.decision.good_enough
    return {
        "Question": [product.question],
        "Decision": [decision.action],
        "What it costs": [
            f"{name}: {cost:g} {decision.currency}" for name, cost in _costs(decision.costs.model_dump())
        ],
        "Good enough": [
            f"{task_of(product).called(target.metric).replace('_', ' ')} of at most {target.at_most:g}"
            f"{f' {decision.currency}' if target.metric == 'expected_cost' else ''} a row"
        ],
        "Service levels": [
            f"predictions no older than {format_duration(levels.freshness)}",
            f"99% of single rows scored within {format_duration(levels.scoring_latency_p99)}",
            f"a model file of at most {levels.model_size / 1e6:g} MB",
        ],
        "Owner": [product.owner],
        "Who is affected": product.stakeholders,
        "Known risks of harm": product.risks,
    }


def page_of(product: Product) -> str:
    """The page as Markdown: a line for each heading with one fact, a list for one with several; a heading without any says so."""
    return "\n\n".join(_section(heading, said) for heading, said in facts(product).items())


def _section(heading: str, said: list[str]) -> str:
    if len(said) == 1:
        return f"**{heading}:** {said[0]}"
    lines = "\n".join(f"- {line}" for line in said)
    return f"**{heading}:**\n\n{lines}" if said else f"**{heading}:** not stated in the product file"


def _costs(costs: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Costs by what costs so much; those of a matrix by the class that is true and the one that was decided for."""
    for name, cost in costs.items():
        words = PLAINLY.get(name, name.replace("_", " "))
        if isinstance(cost, Mapping):
            truth = "" if name == "matrix" else f"{words}, decided as "
            yield from ((f"{truth}{inner}", value) for inner, value in _costs(cost))
        elif cost is not None:
            yield words, cost
