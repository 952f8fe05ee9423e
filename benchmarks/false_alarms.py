"""Does the performance trigger keep its word? How often it fires on quiet days, and on days that are worse: simulated histories.

    python benchmarks/false_alarms.py

A history is noise of spread 1 whose neighbouring days are correlated (AR(1)), at a constant over its value at promotion, so that the
calibrated bound alone decides. One false alarm in 30 days is declared: 3.3%. `quiet`: nothing happened. `worse by 1`, `by 2`: the
judged window is worse by so many spreads of a day. The window is of 14 days, or the 5 of a champion that was promoted last week.
`independent` is the shipped rule told that days are not correlated, which is what it took them for before. About a minute.
"""

from datetime import date, timedelta
from unittest.mock import patch

import numpy as np
import pandas as pd
from tables import rate

from evergreen import retraining
from evergreen.config import PerformanceTrigger
from evergreen.product_files import load_product
from pipelines import places

HISTORIES, CONSTANT, TODAY = 500, 5.0, date(2013, 12, 31)
CORRELATIONS, DAYS, WINDOWS, WORSE = (0.0, 0.4, 0.6, 0.8), (60, 365), (14, 5), (0.0, 1.0, 2.0)
SHIPPED = load_product(places.REPOSITORY / "configs" / "products" / "flights.yaml")
PRODUCT = SHIPPED.model_copy(
    update={"retraining": SHIPPED.retraining.model_copy(update={"triggers": [PerformanceTrigger(kind="performance")]})}
)


def noise(days: int, correlation: float, random: np.random.Generator) -> pd.Series:
    """The excess of `days` quiet days up to today."""
    values = random.normal(size=days)
    for number in range(1, days):
        values[number] = correlation * values[number - 1] + np.sqrt(1 - correlation**2) * values[number]
    return CONSTANT + pd.Series(values, index=pd.date_range(end=TODAY, periods=days))


def fires(excess: pd.Series, window: int) -> bool:
    """Whether the shipped trigger fires on a champion that served the newest `window` days."""
    since = TODAY - timedelta(days=window - 1)
    history = retraining.History(TODAY, excess, since, drift=None, trained=TODAY, asked_by_age=None, decisions=[])
    return retraining.decide(history, PRODUCT).retrain


def shares(correlation: float, days: int, window: int) -> dict[str, str]:
    """The share of histories on which it fires, by how much worse the window is."""
    found = {}
    for worse in WORSE:
        random = np.random.default_rng(7)
        shift = np.where(np.arange(days) < days - window, 0.0, worse)
        hits = [fires(noise(days, correlation, random) + shift, window) for _ in range(HISTORIES)]
        found[f"worse by {worse:g}" if worse else "quiet"] = rate(hits)
    return found


def main() -> None:
    lines = []
    for window in WINDOWS:
        for days in DAYS:
            for correlation in CORRELATIONS:
                case = {"window": window, "history": days, "r": correlation}
                with patch.object(retraining, "neighbour_correlation", lambda _: 0.0):
                    lines.append(case | {"rule": "independent"} | shares(correlation, days, window))
                lines.append(case | {"rule": "shipped"} | shares(correlation, days, window))
    print(pd.DataFrame(lines).to_string(index=False))


if __name__ == "__main__":
    main()
