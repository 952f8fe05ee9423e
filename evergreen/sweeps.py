"""Sweeps: a small declared grid, every point judged on the same days, with intervals that are corrected for the many looks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from evergreen.comparisons import CHANGED, CURRENT, MEASURES, Comparison, Ground
from evergreen.config import Product
from evergreen.digests import digest_json
from evergreen.experiments import Experiment
from evergreen.statistics import Interval
from evergreen.trial import compared_sentence, expectation


@dataclass(frozen=True)
class Tried:
    """A point of a sweep, by dotted key, and how it compares with the current product."""

    point: Mapping[str, Any]
    comparison: Comparison


def point_name(point: Mapping[str, Any]) -> str:
    """`max_depth=4, C=2`: keys by their last part."""
    return ", ".join(f"{key.rsplit('.', 1)[-1]}={value}" for key, value in point.items())


def point_digest(ground: Ground, changed: Product) -> str:
    """What makes a comparison what it is: as-of and judging days, both recipes and their costs. One that was made is not made again."""
    costs = [product.decision.costs.model_dump(mode="json") for product in (ground.current, changed)]
    return digest_json([str(ground.as_of), ground.digest, ground.current.recipe, changed.recipe, costs])


def metric_of(declared: Experiment) -> str:
    """The measure by which a sweep is read: the one that the effect was foretold in, else the log-loss."""
    foretold = declared.expected.metric if declared.expected else None
    return foretold if foretold in MEASURES else "log_loss"


def best_first(tried: Sequence[Tried], metric: str) -> list[Tried]:
    return sorted(tried, key=lambda one: one.comparison.means[CHANGED][metric])


def table(tried: Sequence[Tried], metric: str) -> list[dict[str, Any]]:
    """A line for each point, the best first, with the corrected interval of its difference from the current product, which has the
    last line."""
    lines = [
        {
            "point": point_name(one.point),
            **_means(one, CHANGED),
            **_against(one.comparison.difference(metric, len(tried))),
        }
        for one in best_first(tried, metric)
    ]
    current = {"point": "as it is", **_means(tried[0], CURRENT), "difference": "", "interval": "", "proven": ""}
    return [*lines, current]


def best_difference(tried: Sequence[Tried], metric: str) -> Interval | None:
    """Of the best point, corrected for so many looks."""
    return best_first(tried, metric)[0].comparison.difference(metric, len(tried))


def sentence(tried: Sequence[Tried], declared: Experiment) -> str:
    """What the best point is worth, after so many looks, beside what was expected."""
    metric, looks = metric_of(declared), len(tried)
    best, found = best_first(tried, metric)[0], best_difference(tried, metric)
    compared = compared_sentence(best.comparison, metric, looks)
    told = (f"Best of {looks}: {point_name(best.point)}.", compared, expectation(declared, found))
    return " ".join(part for part in told if part)


def _means(one: Tried, recipe: str) -> dict[str, float]:
    return {measure: one.comparison.means[recipe][measure] for measure in ("log_loss", "expected_cost")}


def _against(difference: Interval | None) -> dict[str, Any]:
    if difference is None:
        return {"difference": "", "interval": "", "proven": "not enough evidence"}
    interval = f"{difference.low:+.4f}, {difference.high:+.4f}"
    return {"difference": f"{difference.mean:+.4f}", "interval": interval, "proven": _proven(difference)}


def _proven(difference: Interval) -> str:
    return "better" if difference.high < 0 else "worse" if difference.low > 0 else "nothing"
