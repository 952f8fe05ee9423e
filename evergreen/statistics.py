"""Intervals on daily paired differences: rows of one day resemble each other, so a day is one observation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

POWER = 0.8


@dataclass(frozen=True)
class Interval:
    """A two-sided t interval for a mean over `days` blocks, each of them a `unit`: a day, a week or a month.

    `smallest_effect` is the difference that a comparison of so many days would have seen with 80% power.
    """

    mean: float
    low: float
    high: float
    days: int
    smallest_effect: float
    unit: str = "day"

    def __str__(self) -> str:
        return f"{self.mean:+.4f} [{self.low:+.4f}, {self.high:+.4f}] over {self.days} {self.unit}s"


def mean_interval(values: Sequence[float], confidence: float, looks: int = 1, unit: str = "day") -> Interval | None:
    """The t interval of a mean, Bonferroni-corrected for `looks` comparisons; None with fewer than two values.

    A missing value is an error of the caller: ValueError. Smallest effect: (t(1-alpha/2) + t(power)) * s / sqrt(n), the usual
    sample-size formula solved for the effect.
    """
    observed = np.asarray(values, dtype=float)
    if not np.isfinite(observed).all():
        raise ValueError("an interval needs finite values: leave out blocks without evidence, and count them")
    if len(observed) < 2:
        return None
    from scipy.stats import t

    freedom, error = len(observed) - 1, observed.std(ddof=1) / np.sqrt(len(observed))
    critical = float(t.ppf(1 - (1 - confidence) / 2 / looks, freedom))
    reach = critical * error
    mean = float(observed.mean())
    effect = float((critical + t.ppf(POWER, freedom)) * error)
    return Interval(mean, float(mean - reach), float(mean + reach), len(observed), effect, unit)


def neighbour_correlation(days: "pd.Series") -> float:
    """The correlation of each value with the next one, in 0 to 1; 0 where it is negative or undefined.

    r + (1 + 4r) / n: in a short series the plain coefficient is too small by that much (Kendall 1954).
    """
    found = float(days.autocorr(1))
    return float(np.clip(np.nan_to_num(found + (1 + 4 * found) / len(days)), 0, 1))


def independent_days(days: int, correlation: float) -> float:
    """As many independent days would say as much about the mean as `days` with this correlation of neighbours, fading geometrically.

    n / (1 + 2 * sum of (1 - k/n) * r^k over k = 1 ... n - 1), by Bayley and Hammersley (1946): n where r is 0, 1 where it is 1, and for
    many days about n * (1 - r) / (1 + r).
    """
    apart = np.arange(1, days)
    return days / float(1 + 2 * np.sum((1 - apart / days) * correlation**apart))
