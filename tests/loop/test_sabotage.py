"""Gates that gate, on real flights: sabotaged candidates are refused, a clearly better one is promoted."""

from typing import Any

import numpy as np
import pandas as pd
import pytest

from evergreen import gates, models
from evergreen.config import Product
from evergreen.evaluation import by_day, daily_ranking, score_card
from evergreen.prequential import compare_recipes
from evergreen.product_files import load_product, overlay, parse
from evergreen.promotion import Decision, decide
from evergreen.samples import nycflights
from pipelines import places

WEEK = pd.Timedelta(days=7)


@pytest.fixture(scope="module")
def product() -> Product:
    """The product as it is shipped, with fewer trees to grow."""
    shipped = load_product(places.REPOSITORY / "configs" / "products" / "flights.yaml")
    fewer = {"training": {"model": {"n_estimators": 40}}}
    return parse(Product, overlay(shipped.model_dump(mode="json"), fewer), "test")


@pytest.fixture(scope="module")
def flights(product: Product) -> pd.DataFrame:
    """January to May, with their labels."""
    rows = nycflights.load(nycflights.package_folder())
    rows["day"] = rows.scheduled_departure.dt.tz_convert(nycflights.TIMEZONE).dt.tz_localize(None).dt.normalize()
    rows["label"] = (rows.cancelled | rows.diverted | (rows.arr_delay >= 15)).astype(float)
    return rows[rows.day < "2013-06-01"].reset_index(drop=True)


def between(rows: pd.DataFrame, first: Any, last: Any) -> pd.DataFrame:
    return rows[(rows.day >= pd.Timestamp(first)) & (rows.day <= pd.Timestamp(last))]


def fit(product: Product, rows: pd.DataFrame) -> Any:
    return models.fit(product.training.model, product.features, product.training.seed, rows)


def decided(
    product: Product, flights: pd.DataFrame, as_of: str, candidate_rows: pd.DataFrame, champion: Any
) -> Decision:
    """The decision on a candidate fitted to these rows, judged on the week that ends the day before `as_of`."""
    last = pd.Timestamp(as_of) - pd.Timedelta(days=1)
    judging, known = (
        between(flights, last - WEEK + pd.Timedelta(days=1), last),
        between(flights, "2013-01-01", last - WEEK),
    )
    baseline = fit_baseline(product, known)
    scores = {
        "candidate": models.predict(fit(product, candidate_rows), judging),
        "champion": models.predict(champion, judging),
        "baseline": models.predict(baseline, judging),
        "prior": np.full(len(judging), known.label.mean()),
    }
    evidence = gates.Evidence(
        card=score_card(judging, scores, product),
        ranking=daily_ranking(judging, scores, product),
        coverage=1.0,
        reload_error=None,
        empty_inputs=[name for name in product.features.names if candidate_rows[name].isna().all()],
        trained_through=str(candidate_rows.day.max().date()),
        champion_trained_through=str((last - 2 * WEEK).date()),
        trained_ids_compared=len(known),
        latency_p99=0.001,
        new_process=1.0,
    )
    return decide(gates.judge(evidence, product))


BASELINES: dict[pd.Timestamp, Any] = {}


def fit_baseline(product: Product, known: pd.DataFrame) -> Any:
    """The linear baseline of a day of decision, fitted once."""
    last = known.day.max()
    if last not in BASELINES:
        BASELINES[last] = models.fit(product.baseline, product.features, product.training.seed, known)
    return BASELINES[last]


AS_OF = ["2013-03-31", "2013-05-12"]


def known_before(flights: pd.DataFrame, as_of: str, weeks: int = 1) -> pd.DataFrame:
    return between(flights, "2013-01-01", pd.Timestamp(as_of) - pd.Timedelta(days=1) - weeks * WEEK)


@pytest.fixture(scope="module")
def champions(product: Product, flights: pd.DataFrame) -> dict[str, Any]:
    """The champion of the week before, for each day of decision."""
    return {as_of: fit(product, known_before(flights, as_of, weeks=2)) for as_of in AS_OF}


@pytest.mark.parametrize("as_of", AS_OF)
def test_shuffled_labels_are_refused(product, flights, champions, as_of):
    rows = known_before(flights, as_of).copy()
    rows["label"] = np.random.default_rng(0).permutation(rows.label.to_numpy())

    assert decided(product, flights, as_of, rows, champions[as_of]).outcome == "kept"


@pytest.mark.parametrize("as_of", AS_OF)
def test_labels_of_which_two_in_five_are_wrong_are_refused(product, flights, champions, as_of):
    rows = known_before(flights, as_of).copy()
    wrong = np.random.default_rng(0).random(len(rows)) < 0.4
    rows["label"] = np.where(wrong, 1 - rows.label, rows.label)

    assert decided(product, flights, as_of, rows, champions[as_of]).outcome == "kept"


@pytest.mark.parametrize("as_of", AS_OF)
def test_data_that_is_sixty_days_stale_is_refused(product, flights, champions, as_of):
    stale = between(flights, "2013-01-01", known_before(flights, as_of).day.max() - pd.Timedelta(days=60))

    assert decided(product, flights, as_of, stale, champions[as_of]) == Decision("kept", "newer_data")


@pytest.mark.parametrize("as_of", AS_OF)
def test_features_that_fell_silent_are_refused(product, flights, champions, as_of):
    weather = ["temp", "dewp", "humid", "precip", "visib"]
    silent = known_before(flights, as_of).assign(**dict.fromkeys(weather, np.nan))

    assert decided(product, flights, as_of, silent, champions[as_of]) == Decision("kept", "inputs")


def test_a_recipe_without_the_weather_is_not_let_through(product, flights):
    """Dropping features from the product file is a change of recipe: it has to be proven better on 28 prequential days."""
    numeric = ["distance", "minute_of_day", "seats", "built"]
    poorer = parse(Product, overlay(product.model_dump(mode="json"), {"features": {"numeric": numeric}}), "test")
    rows = known_before(flights, "2013-04-21", weeks=0)
    days = [day.date() for day in sorted(rows.day.unique())]

    card = compare_recipes(
        rows, days, {"candidate": poorer, "champion": product}, product.count(product.gates.change.days)
    )
    gate = gates.judge_change(by_day(card, "log_loss"), product)

    assert gate.verdict == "fail"
    assert gate.smallest_effect > 0


@pytest.mark.parametrize("as_of", AS_OF)
def test_a_clearly_better_candidate_is_promoted(product, flights, as_of):
    """A champion that learnt from the first two weeks of January alone is replaced by one that learnt from all history."""
    champion = fit(product, between(flights, "2013-01-01", "2013-01-14"))

    assert decided(product, flights, as_of, known_before(flights, as_of), champion).outcome == "promoted"
