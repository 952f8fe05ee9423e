"""Products that do not live by days: months from one table, in one of which nothing happened, weeks and hours."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml

from evergreen.cadence import parse_period
from evergreen.product_files import load_product, overlay
from pipelines.replay import opened_replay
from tests.evergreen.builders import SHOP
from tests.loop.life import NO_NEW_PROCESS, UNTIMED, Loop, Told, evergreen, unlived

MONTHLY = {
    "time": {"cadence": "monthly", "start": "2024-01-17", "end": "2024-12-31"},
    "label": {"matures_after": "2h"},
    "training": {"at_least": "2mo", "refit_on_promotion": False},
    "evaluation": {"window": "2mo"},
    "validation": {"rows_per_period": {"at_least": 0}},
    "retraining": {"schedule": "0 4 1 6 *", "triggers": [{"kind": "performance", "over": "3mo"}, {"kind": "drift"}]},
}
HOURLY = {
    "time": {"cadence": "hourly", "predict_before": "5m"},
    "label": {"matures_after": "30m"},
    "training": {"at_least": "1d", "refit_on_promotion": False},
    "evaluation": {"window": "24h"},
}

WEEKLY = {
    "time": {"cadence": "weekly", "start": "2024-01-03"},
    "label": {"matures_after": "1d"},
    "training": {"at_least": "3w", "refit_on_promotion": False},
    "evaluation": {"window": "2w"},
}


def orders(beginnings: pd.DatetimeIndex, rows: int) -> pd.DataFrame:
    """So many orders from each of these moments on, a second apart; those of a middling amount come back."""
    random = np.random.default_rng(7)
    placed = [moment + pd.Timedelta(seconds=number) for moment in beginnings for number in range(rows)]
    amounts = random.uniform(0, 10, len(placed)).round(3)
    return pd.DataFrame(
        {
            "order_id": [f"order-{number}" for number in range(len(placed))],
            "ordered_at": placed,
            "amount": amounts,
            "color": np.where(np.arange(len(placed)) % 2, "blue", "red"),
            "returned": abs(amounts - 5 + random.normal(0, 0.5, len(placed))) < 2,
        }
    )


def live(
    folder: Path, monkeypatch: pytest.MonkeyPatch, table: pd.DataFrame, changes: dict[str, Any], last: str
) -> Loop:
    """The shop on a table of its own, from its start to the end of a period."""
    path = folder / "configs" / "products" / "shop.yaml"
    path.parent.mkdir(parents=True)
    shutil.copytree(unlived(), folder / "home")
    table.to_csv(folder / "orders.csv", index=False)
    source = {"kind": "table", "path": str(folder / "orders.csv"), "known_after": "10m"}
    content = SHOP | {"training": {"model": {"kind": "xgboost", "n_estimators": 20, "max_depth": 3}}}
    for part in ({"source": source}, NO_NEW_PROCESS, UNTIMED, changes):
        content = overlay(content, part)
    path.write_text(yaml.safe_dump(content))
    monkeypatch.setenv("EVERGREEN_HOME", str(folder / "home"))
    monkeypatch.setenv("EVERGREEN_CONFIGS", str(folder / "configs"))
    loop = Loop(folder, load_product(path))
    with opened_replay(loop.product) as replay:
        replay.run(parse_period(last), Told())
    return loop


def test_months_of_which_one_is_empty(tmp_path, monkeypatch):
    """An empty month is scored, and green; it neither trains nor judges, so the first decision comes a month later."""
    months = pd.date_range("2024-01-01", "2024-06-01", freq="MS") + pd.Timedelta(days=20)
    loop = live(tmp_path, monkeypatch, orders(months[months.month != 3], 200), MONTHLY, "2024-07-01")
    store = loop.store
    assert [str(month) for month in store.days("predictions")] == [f"2024-0{month}-01" for month in range(1, 8)]
    assert [store.rows("predictions", [month]) for month in store.days("predictions")] == [
        200,
        200,
        0,
        200,
        200,
        200,
        0,
    ]
    [entry] = loop.decisions
    assert (entry["as_of"], entry["decision"], entry["effective_from"]) == ("2024-05-01", "promoted", "2024-06-01")
    may, june, july = store.days("predictions")[-3:]
    assert store.read_document("training_set", may)["days"] == ["2024-01-01", "2024-02-01"]
    assert store.read_document("evaluation_set", may)["days"] == ["2024-04-01", "2024-05-01"]
    assert set(store.read("predictions", june).served_by) == {"champion"}
    judged = store.read("performance", june)
    assert set(judged.day) == {pd.Timestamp("2024-06-01")}
    assert store.rows("performance", [july]) == 0
    page = (store.root / "reports" / "2024-07-01.html").read_text()
    assert "<h1>shop, July 2024</h1>" in page
    assert "Nobody served: the month has no prediction." in page
    assert "Over 5 judged months, a prediction cost" in page
    again = evergreen("replay", "shop", "--to", "2024-07-15").stdout
    assert "Nothing is left: every month up to 2024-07-01 is done." in again
    assert "│ months │ 7 │" in " ".join(again.split())


def test_hours(tmp_path, monkeypatch):
    hours = pd.date_range("2024-01-01T00:10", "2024-01-01T02:10", freq="h")
    loop = live(tmp_path, monkeypatch, orders(hours, 5), HOURLY, "2024-01-01T02")
    store = loop.store
    assert [str(hour) for hour in store.days("predictions")] == [f"2024-01-01T0{hour}" for hour in range(3)]
    assert (store.root / "predictions" / "day=2024-01-01T02" / "part-0.parquet").exists()
    second = store.days("performance")[1]
    judged = store.read("performance", second)
    assert set(judged.day) == {pd.Timestamp("2024-01-01T01:00")}
    assert "<h1>shop, Monday 1 January 2024, 02:00</h1>" in (store.root / "reports" / "2024-01-01T02.html").read_text()


def test_weeks(tmp_path, monkeypatch):
    """They begin on Mondays, wherever in a week the product starts. Sunday night's orders fall due a week later."""
    days = pd.to_datetime(["2024-01-01T09:00", "2024-01-07T23:55", "2024-01-09T09:00", "2024-01-18T09:00"])
    loop = live(tmp_path, monkeypatch, orders(days, 5), WEEKLY, "2024-01-21")
    store = loop.store
    weeks = store.days("predictions")
    assert [str(week) for week in weeks] == ["2024-01-01", "2024-01-08", "2024-01-15"]
    assert [store.rows("predictions", [week]) for week in weeks] == [10, 5, 5]
    assert [store.rows("labels", [week]) for week in weeks] == [5, 10, 5]
    judged = [sorted(set(store.read("performance", week).day.astype("str"))) for week in weeks]
    assert judged == [[], ["2024-01-01", "2024-01-08"], ["2024-01-15"]]
    page = (store.root / "reports" / "2024-01-15.html").read_text()
    assert "<h1>shop, week of Monday 15 January 2024</h1>" in page
    assert "Cost, newest judged week:" in page
    assert "until 2024-02-" in " ".join(evergreen("status", "shop", columns=200).stdout.split())
