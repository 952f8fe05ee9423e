"""A product without a line of Python: `evergreen new` on one table of real flights, then `evergreen replay`."""

from pathlib import Path

import pandas as pd
import yaml

from evergreen.periods import days_between
from evergreen.product_files import load_product, overlay, read_yaml
from pipelines import places
from pipelines.resources import Home
from tests.loop.life import NO_NEW_PROCESS, enter, evergreen

FIRST, LAST, DECIDED = pd.Timestamp("2013-01-05"), pd.Timestamp("2013-01-14"), "2013-01-13"
BEFORE = ["flight_id", "scheduled_departure", "carrier", "origin", "distance", "minute_of_day", "temp"]
AFTER = ["flight_id", "outcome_at", "cancelled", "dep_delay", "arr_delay"]


def table_of_flights(landing: Path) -> pd.DataFrame:
    """Every twelfth flight of ten days, with what became of it in the same row."""
    days = days_between(FIRST.date(), LAST.date())
    events = pd.concat([pd.read_parquet(landing / "events" / f"{day}.parquet", columns=BEFORE) for day in days])
    later = days_between(FIRST.date(), (LAST + pd.Timedelta(days=1)).date())
    outcomes = pd.concat([pd.read_parquet(landing / "outcomes" / f"{day}.parquet", columns=AFTER) for day in later])
    return events.iloc[::12].merge(outcomes, on="flight_id", how="left")


def test_a_table_becomes_a_product_that_lives_to_its_first_decision(tmp_path, landing, monkeypatch):
    enter(tmp_path, monkeypatch)
    flights = table_of_flights(landing)
    flights.to_csv(tmp_path / "flights.csv", index=False)
    asked = ("--label", "cancelled or arr_delay >= 15", "--timezone", "America/New_York", "--owner", "team:flights")
    made = evergreen("new", "late", "--from", str(tmp_path / "flights.csv"), *asked, columns=300)
    assert made.returncode == 0, made.stderr
    product = load_product(places.configs() / "products" / "late.yaml")
    assert "dep_delay" in product.source.outcomes, "nobody said so: alone it nearly gives the label"
    assert product.features.names == [
        *("carrier", "origin", "distance", "minute_of_day", "temp"),
        "scheduled_departure",
    ]

    path = places.configs() / "products" / "late.yaml"
    path.write_text(yaml.safe_dump(overlay(read_yaml(path), NO_NEW_PROCESS)))
    replayed = evergreen("replay", "late", "--to", DECIDED, columns=200)
    assert replayed.returncode == 0, replayed.stderr
    home = Home(path=str(places.home()))
    [decision] = home.promotions(product).entries()
    assert decision["as_of"] == DECIDED
    comparison = {gate["name"]: gate for gate in decision["gates"]}["beats_baseline"]
    assert comparison["verdict"] in ("pass", "fail"), "there is evidence, whatever it says"
    store = home.store(product)
    delivered = store.read_days("raw_events", store.days("raw_events"))
    assert set(delivered.flight_id) < set(flights.flight_id)
    assert not set(AFTER[1:]) & set(delivered.columns)
