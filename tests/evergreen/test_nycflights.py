"""The sample's deliveries: 336,776 real departures, each once, and nothing in a row that was not known two hours ahead."""

from pathlib import Path

import pandas as pd
import pyarrow.dataset as ds
import pytest

from evergreen.product_files import load_product
from evergreen.samples import nycflights
from tests.evergreen.builders import REPOSITORY

AFTERWARDS = {"dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "cancelled", "diverted", "outcome_at"}
DAYS = [day.date() for day in pd.date_range("2013-01-01", "2013-12-31")]


@pytest.fixture(scope="module")
def flights():
    return nycflights.load(nycflights.package_folder())


def patterns(folder):
    return tuple(str(folder / kind / "{day}.parquet") for kind in ("events", "outcomes"))


def read(pattern):
    """Every file of a kind, with the day that it is for."""
    found = ds.dataset([pattern.format(day=day) for day in DAYS], format="parquet")
    table = found.to_table(columns=["__filename", *found.schema.names]).to_pandas()
    return table.assign(file=pd.to_datetime(table.pop("__filename").str[-18:-8]))


def local_day(times):
    return times.dt.tz_convert("America/New_York").dt.tz_localize(None).dt.normalize()


@pytest.fixture(scope="module")
def events(landing):
    return read(patterns(landing)[0])


@pytest.fixture(scope="module")
def outcomes(landing):
    return read(patterns(landing)[1])


def test_every_departure_is_loaded_with_an_id_of_its_own_and_an_outcome_time(flights):
    assert len(flights) == 336_776
    assert flights.flight_id.is_unique
    assert flights.outcome_at.notna().all()
    assert flights[["cancelled", "diverted"]].sum().tolist() == [8255, 1175]


def test_no_event_column_is_an_outcome():
    product = load_product(REPOSITORY / "configs" / "products" / "flights.yaml")
    assert set(nycflights.EVENT_COLUMNS) & set(nycflights.OUTCOME_COLUMNS) == {"flight_id"}
    assert not AFTERWARDS & set(nycflights.EVENT_COLUMNS)
    assert set(product.features.names) <= set(nycflights.EVENT_COLUMNS)


def test_every_flight_is_delivered_once_as_an_event_on_its_own_day(flights, events):
    assert len(events) == len(flights)
    assert set(events.flight_id) == set(flights.flight_id)
    assert (local_day(events.scheduled_departure) == events.file).all()
    assert events.columns.tolist() == [*nycflights.EVENT_COLUMNS, "file"]


def test_the_weather_is_a_report_of_two_to_eight_hours_before_departure(events):
    known = events[events.weather_at.notna()]
    age = known.scheduled_departure - known.weather_at
    assert len(known) > 0.99 * len(events)
    assert age.min() >= pd.Timedelta(hours=2)
    assert age.max() <= pd.Timedelta(hours=8)
    assert events[events.weather_at.isna()][nycflights.WEATHER].isna().all().all()


def test_an_outcome_lies_in_the_file_of_the_day_on_which_it_was_known(flights, outcomes):
    assert (local_day(outcomes.outcome_at) == outcomes.file).all()
    assert outcomes.flight_id.is_unique
    after = flights[~flights.flight_id.isin(outcomes.flight_id)]
    assert (after.outcome_at >= pd.Timestamp("2014-01-01", tz="America/New_York")).all()


def test_an_outcome_is_known_when_the_rules_say(flights):
    cancelled, diverted = flights[flights.cancelled], flights[flights.diverted]
    landed = flights[~flights.cancelled & ~flights.diverted]
    departed = landed.scheduled_departure + pd.to_timedelta(landed.dep_delay, unit="min")
    assert (cancelled.outcome_at == cancelled.scheduled_departure).all()
    assert (landed.outcome_at - departed == pd.to_timedelta(landed.air_time + 20, unit="min")).all()
    late = pd.to_timedelta(diverted.dep_delay + 12 * 60, unit="min")
    assert (diverted.outcome_at - diverted.scheduled_departure == late).all()


def test_nothing_is_known_before_the_prediction_was_made(flights):
    assert (flights.outcome_at > flights.predicted_at).all()


def test_delivering_again_writes_only_what_is_missing(landing, tmp_path):
    copy = patterns(tmp_path)
    for original, place in zip(patterns(landing), copy, strict=True):
        Path(place).parent.mkdir()
        for day in DAYS:
            Path(place.format(day=day)).hardlink_to(original.format(day=day))
    events, outcomes = (Path(place.format(day="2013-03-10")) for place in copy)
    content, before = events.read_bytes(), outcomes.stat().st_mtime_ns
    assert nycflights.deliver(*copy) == 0
    events.unlink()
    assert nycflights.deliver(*copy) == 1
    assert events.read_bytes() == content
    assert outcomes.stat().st_mtime_ns == before
