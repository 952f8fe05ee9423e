"""What a product is for and for whom, as its file declares it; the model card, the health report and the Dagster UI show these facts."""

from collections.abc import Iterator, Mapping
from typing import Any

from evergreen.config import Product
from evergreen.durations import format_duration
from evergreen.tasks import task_of


def facts(product: Product) -> dict[str, list[str]]:
    """The page, in its order: a heading, and what the file says under it; nothing is said under what the file leaves out."""
    decision, levels = product.decision, product.service_levels
    return {
        "Question": [product.question],
        "Decision": [decision.action],
        "What it costs": [
            f"{name}: {cost:g} {decision.currency}" for name, cost in _costs(decision.costs.model_dump())
        ],
        "Good enough": [
            f"{task_of(product).called(decision.good_enough.metric).replace('_', ' ')} of at most {decision.good_enough.at_most:g} a row"
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
    """Costs by name; those of a matrix are named by the path to them."""
    for name, cost in costs.items():
        words = name.replace("_", " ")
        if isinstance(cost, Mapping):
            yield from ((f"{words}, {inner}", value) for inner, value in _costs(cost))
        elif cost is not None:
            yield words, cost
