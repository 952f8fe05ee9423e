"""The same days by hand: what the loop's cost is next to. One script over the same deliveries, without Dagster or MLflow.

    python benchmarks/by_hand.py HOME FOLDER < orders

For each day of the flights in HOME's landing zone it reads both files, keeps the rows that pass a few comparisons (no pandera, no
reasons), labels, scores with the models in service, measures the day that fell due by slice, measures drift, and writes each table as
a Parquet file, without waiting for the disk. Where the loop retrained it fits the same two models to the same days, judges them
and the champion on the same rows, and saves them. Evergreen's functions are called for what is the same by definition: the models,
the score card, the distances.

There are no ledgers, gates, triggers, digests, explanations or pages: who trains when, on what, and who is promoted, it is told. An
order is a line of JSON: `day`, and where the loop retrained as of that day, `decision` (its ledger entry) and `manifest` (its
training set), null elsewhere. The answer is one too: `wall` and `cpu` seconds and `mean_score`, by which the caller sees that the same
models scored the same rows.
"""

import json
import sys
import time
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from evergreen import drift, models
from evergreen.config import Product
from evergreen.evaluation import score_card
from evergreen.ladder import standing
from evergreen.periods import ONE_DAY, days_between
from evergreen.product_files import load_product
from evergreen.promotion import judged
from evergreen.validation import needed_columns
from pipelines import places

WEEK = timedelta(days=7)


@dataclass
class ByHand:
    """A script's state: who serves, and each model by its version in the loop's registry."""

    product: Product
    landing: Path
    folder: Path
    serving: dict[str, Any] = field(default_factory=dict)
    pipelines: dict[int, Any] = field(default_factory=dict)
    profile: dict[str, Any] | None = None

    def live_through(self, day: date, decision: dict[str, Any] | None, manifest: dict[str, Any] | None) -> float:
        """A day, and the retrain after it where there was one; returns the mean score."""
        events, outcomes = (pd.read_parquet(self.landing / kind / f"{day}.parquet") for kind in ("events", "outcomes"))
        self._write("raw_events", day, events)
        self._write("raw_outcomes", day, outcomes)
        good = passes(events, day)
        batch = events.loc[good, needed_columns(self.product)].reset_index(drop=True)
        self._write("batch", day, batch)
        self._write("quarantine", day, events[~good])
        self._write("labels", day, labelled(outcomes))
        scores = self._score(batch)
        self._write("predictions", day, scores)
        self._judge(day - ONE_DAY)
        self._measure_drift(day)
        if decision and manifest:
            self._retrain(decision, manifest)
        return float(scores.score.mean())

    def _score(self, batch: pd.DataFrame) -> pd.DataFrame:
        """What is served, and both yardsticks beside it."""
        served = next(iter(standing(self.serving).values()), None)
        constant = self.serving.get("base_rate", self.product.heuristic.before_training)
        score = self._predict(served, batch) if served else np.full(len(batch), constant)
        yardsticks = {f"score_{role}": self._predict(self.serving.get(role), batch) for role in ("baseline", "first")}
        return pd.DataFrame(
            {"id": batch.flight_id, "score": score, "version": served["version"] if served else 0, **yardsticks}
        )

    def _predict(self, record: dict[str, Any] | None, rows: pd.DataFrame) -> Any:
        return models.predict(self.pipelines[record["version"]], rows) if record else np.nan

    def _judge(self, day: date) -> None:
        """The day that fell due, by slice."""
        if day < self.product.time.start:
            return
        rows = self._rows([day], day + ONE_DAY).merge(
            self._read("predictions", [day]), left_on="flight_id", right_on="id"
        )
        scorers = {
            name: rows[name].to_numpy()
            for name in ("score", "score_baseline", "score_first")
            if rows[name].notna().all()
        }
        self._write("performance", day + ONE_DAY, score_card(rows, scorers, self.product))

    def _measure_drift(self, day: date) -> None:
        if self.profile is None:
            return
        days = days_between(day - WEEK + ONE_DAY, day)
        scores = self._read("predictions", days)
        ours = scores.score[scores.version == self.serving["champion"]["version"]].to_numpy()
        self._write("drift", day, drift.compare(self.profile, self._read("batch", days), ours))

    def _retrain(self, decision: dict[str, Any], manifest: dict[str, Any]) -> None:
        """Fit the models to the days that the loop trained on, judge them on those that it judged on, and serve as it decided."""
        as_of, judged_on = date.fromisoformat(decision["as_of"]), pd.DatetimeIndex(decision["evaluation"]["days"])
        rows = self._rows(days_between(date.fromisoformat(manifest["days"][0]), judged_on[-1].date()), as_of)
        judging = rows[rows.day.isin(judged_on)]
        serving, recipe, candidate = decision["serving"], self.product.training, decision["candidate"]
        champion = self.serving.get("champion")
        wanted = [
            ("candidate", recipe.model, judged(candidate), manifest),
            ("baseline", self.product.baseline, serving["baseline"], manifest),
        ]
        wanted += [("refit", recipe.model, candidate, manifest["refit"])] if "twin" in candidate else []
        fitted = {}
        for name, model, record, trained_on in wanted:
            known = _rows_of(trained_on, rows)
            fitted[name] = models.fit(model, self.product.features, recipe.seed, known)
            models.save(fitted[name], self._path("models", as_of).with_name(f"{name}-{as_of}.skops"))
            self.pipelines[record["version"]] = fitted[name]
        scores = {name: models.predict(fitted[name], judging) for name in ("candidate", "baseline")}
        scores |= {"champion": self._predict(judged(champion), judging)} if champion else {}
        self._write("evaluation", as_of, score_card(judging, scores, self.product))
        if decision["decision"] == "promoted":
            shares = models.importances(fitted["candidate"], self.product.features, rows)
            self.profile = drift.profile(judging, self.product.features, shares, scores["candidate"])
        self.serving = serving

    def _rows(self, days: list[date], as_of: date) -> pd.DataFrame:
        """The labelled rows of these days, with what was known at the end of `as_of`."""
        batch, log = self._read("batch", days), self._read("labels", days_between(days[0], as_of))
        label = log.drop_duplicates("id", keep="last").set_index("id").label
        rows = batch.assign(label=batch.flight_id.map(label), day=local_days(batch.scheduled_departure))
        return rows[rows.label.notna()].reset_index(drop=True)

    def _path(self, table: str, day: date) -> Path:
        path = self.folder / table / f"{day}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        return path

    def _write(self, table: str, day: date, frame: pd.DataFrame) -> None:
        frame.to_parquet(self._path(table, day), index=False)

    def _read(self, table: str, days: list[date]) -> pd.DataFrame:
        known = [path for path in (self._path(table, day) for day in days) if path.exists()]
        return pd.concat([pd.read_parquet(path) for path in known], ignore_index=True)


def _rows_of(manifest: dict[str, Any], rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that the loop trained on."""
    known = rows[rows.day.isin(pd.DatetimeIndex(manifest["days"])) & ~rows.flight_id.isin(manifest["left_out"])]
    assert len(known) == manifest["rows"], f"{len(known)} rows, the loop trained on {manifest['rows']}"
    return known


def passes(events: pd.DataFrame, day: date) -> pd.Series:
    """The rows of the right day that break no rule of the flights."""
    required = ["scheduled_departure", "flight_id", "carrier", "origin", "dest", "distance", "minute_of_day"]
    good = events[required].notna().all(axis=1) & ~events.flight_id.duplicated()
    good &= local_days(events.scheduled_departure) == pd.Timestamp(day)
    good &= ~(events.weather_at > events.scheduled_departure - pd.Timedelta(hours=2))
    good &= events.origin.isin(["EWR", "JFK", "LGA"])
    for name, low, high in (("distance", 10, 6000), ("minute_of_day", 0, 1439), ("temp", -60, 130), ("humid", 0, 100)):
        good &= events[name].between(low, high) | events[name].isna()
    assert 300 <= len(events) <= 2000, f"{len(events)} rows"
    return good


def labelled(outcomes: pd.DataFrame) -> pd.DataFrame:
    late = outcomes.cancelled | outcomes.diverted | (outcomes.arr_delay >= 15)
    return pd.DataFrame({"id": outcomes.flight_id, "known_at": outcomes.outcome_at, "label": late.astype("float64")})


def local_days(times: pd.Series) -> pd.Series:
    return times.dt.tz_convert("America/New_York").dt.tz_localize(None).dt.normalize()


def main(home: Path, folder: Path) -> None:
    product = load_product(places.REPOSITORY / "configs" / "products" / "flights.yaml")
    script = ByHand(product, home / "landing" / "flights", folder)
    for line in sys.stdin:
        order = json.loads(line)
        wall, cpu = time.perf_counter(), time.process_time()
        score = script.live_through(date.fromisoformat(order["day"]), order["decision"], order["manifest"])
        spent = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
        print(json.dumps({**spent, "mean_score": score}), flush=True)
    assert not {"dagster", "mlflow"} & set(sys.modules)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
