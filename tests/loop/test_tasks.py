"""A regression and a multiclass product through the whole loop, once each: real flights, one retrain, every table and page, a shadow
and a rollback."""

import re
import shutil
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import yaml
from mlflow import MlflowClient

from evergreen.periods import days_between
from evergreen.product_files import load_product, overlay
from evergreen.promotion import judged, serving_after
from evergreen.tasks import task_of
from pipelines import places
from tests.loop.life import NO_NEW_PROCESS, UNTIMED, Loop, enter, evergreen, unlived

FIRST, DECIDED, SERVED, LAST, BESIDE, AGAIN = (date(2013, 1, number) for number in (1, 5, 6, 7, 8, 9))
EVERY = 4
"""One flight of so many: enough to learn from, and quick."""
OF_BINARY = ("If so", "Always acting", "happened", "base rate", "threshold")
SHARED: dict[str, Any] = {
    "version": 2,
    "owner": "team:flight-ml",
    "service_levels": {"freshness": "26h", **UNTIMED["service_levels"]},
    "time": {"event": "scheduled_departure", "predict_before": "2h", "start": str(FIRST), "timezone": "America/New_York"},
    "id": "flight_id",
    "features": {"numeric": ["distance", "minute_of_day"], "categorical": ["carrier", "origin"]},
    "evaluation": {"window": "2d", "slices": ["origin"], "slice_rows_at_least": 50},
    "retraining": {"schedule": "0 3 6 1 *"},
    **NO_NEW_PROCESS,
}  # fmt: skip
IN_SHADOW = {"shadow": {"days": 1, "psi": 100}, "gates": {"worse_at_most": 100}}
"""Whatever the model in shadow is worth, it serves after a day."""
LABEL = {"known_at": "outcome_at", "matures_after": "1d"}
AIR_TIME = SHARED | {
    "name": "air_time",
    "question": "How many minutes will the flight be in the air?",
    "task": "regression",
    "decision": {
        "action": "load fuel for so many minutes",
        "costs": {"over": 1, "under": 3},
        "good_enough": {"metric": "expected_cost", "at_most": 60},
    },
    "label": {**LABEL, "value": "air_time", "spread": 90},
    "training": {
        "at_least": "2d",
        "baseline": {"kind": "seasonal_naive", "keys": ["carrier", "origin"]},
        "model": {"kind": "xgboost", "n_estimators": 30, "max_depth": 4},
    },
    "heuristic": {"before_training": 150, "rules": [{"when": "distance > 2400", "then": {"value": 340}}]},
}
STATUS = SHARED | {
    "name": "status",
    "question": "Will the flight be on time, late, or cancelled?",
    "task": "multiclass",
    "decision": {
        "action": "tell the gate",
        "costs": {"matrix": {"cancelled": {"on time": 20, "late": 5}, "late": {"on time": 2}}},
        "good_enough": {"metric": "expected_cost", "at_most": 10},
    },
    "label": {**LABEL, "value": "status", "classes": ["on time", "late", "cancelled"]},
    "training": {
        "at_least": "2d",
        "refit_on_promotion": False,
        "model": {"kind": "xgboost", "n_estimators": 10, "max_depth": 2},
    },
    "heuristic": {"before_training": {"on time": 0.7, "late": 0.25, "cancelled": 0.05}},
}


def deliver(landing: Path, folder: Path) -> None:
    """Some of the real flights of the first days, and what became of each in one word."""
    for day in days_between(FIRST, AGAIN):
        for kind in ("events", "outcomes"):
            rows = pd.read_parquet(landing / kind / f"{day}.parquet")
            chosen = rows[pd.util.hash_array(rows.flight_id.to_numpy(dtype=object)) % EVERY == 0]
            if kind == "outcomes":
                late = np.where(chosen.diverted | (chosen.arr_delay >= 15), "late", "on time")
                chosen = chosen.assign(status=np.where(chosen.cancelled, "cancelled", late))
            (folder / kind).mkdir(parents=True, exist_ok=True)
            chosen.to_parquet(folder / kind / f"{day}.parquet", index=False)


def live(folder: Path, landing: Path, product: dict[str, Any]) -> Loop:
    """A product of its own, a week old: a champion from the sixth day on, and the baseline in its shadow."""
    deliver(landing, folder / "landing")
    source = {kind: str(folder / "landing" / kind / "{day}.parquet") for kind in ("events", "outcomes")}
    path = folder / "configs" / "products" / f"{product['name']}.yaml"
    path.parent.mkdir(parents=True)
    shutil.copytree(unlived(), folder / "home")
    content = product | {"source": {"kind": "files", **source}}
    path.write_text(yaml.safe_dump(content))
    Loop(folder, load_product(path)).live(str(DECIDED))
    path.write_text(yaml.safe_dump(overlay(content, IN_SHADOW)))
    loop = Loop(folder, load_product(path))
    put_in_shadow(loop)
    loop.live(str(LAST))
    return loop


def put_in_shadow(loop: Loop) -> None:
    """As if the baseline had been a candidate, and had passed the gates beside the champion."""
    [decided] = loop.decisions
    told = {name: decided[name] for name in decided if name not in ("number", "key", "previous", "digest")}
    serving, baseline = decided["serving"], decided["serving"]["baseline"]
    after = serving_after("in shadow", serving, baseline, baseline, serving["base_rate"])
    measured = {"value": 0.0, "low": -0.1, "high": 0.1}
    told |= {"decision": "in shadow", "candidate": baseline, "serving": after}
    told |= {"gates": [gate | measured if gate["name"] == "comparison" else gate for gate in decided["gates"]]}
    loop.home.promotions(loop.product).append(f"{loop.product.name}/beside", told)


@pytest.fixture(scope="module")
def air_time(tmp_path_factory: pytest.TempPathFactory, landing: Path) -> Iterator[Loop]:
    yield from lived(tmp_path_factory, landing, AIR_TIME)


@pytest.fixture(scope="module")
def status(tmp_path_factory: pytest.TempPathFactory, landing: Path) -> Iterator[Loop]:
    yield from lived(tmp_path_factory, landing, STATUS)


def lived(folders: pytest.TempPathFactory, landing: Path, product: dict[str, Any]) -> Iterator[Loop]:
    folder = folders.mktemp(product["name"])
    with pytest.MonkeyPatch.context() as patch:
        enter(folder, patch)
        yield live(folder, landing, product)


def page(loop: Loop) -> str:
    """What a reader of the last day's report sees; nothing in it is of another task."""
    html = (loop.store.root / "reports" / f"{LAST}.html").read_text()
    text = " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", html, flags=re.S).split())
    assert not [word for word in OF_BINARY if word in text]
    assert " nan" not in text
    return text


def pictures(loop: Loop) -> set[str]:
    """What was drawn of the candidate."""
    run = judged(loop.decisions[0]["candidate"])["run_id"]
    files = [Path(file.path) for file in MlflowClient(places.tracking_uri()).list_artifacts(run)]
    return {file.stem for file in files if file.suffix != ".md"}


def told(loop: Loop) -> str:
    """The model card, and what the command line explains of a prediction."""
    card = loop.store.card_path(loop.decisions[0]["candidate"]["version"]).read_text()
    asked = str(loop.store.read("predictions", SERVED).id[0])
    return card + evergreen("explain", loop.product.name, "--prediction", asked, columns=400).stdout


def with_labels(loop: Loop, day: date) -> pd.DataFrame:
    """A day's predictions with what its outcomes said."""
    outcomes = pd.concat(
        pd.read_parquet(path) for path in sorted((loop.folder / "landing" / "outcomes").glob("*.parquet"))
    )
    return loop.store.read("predictions", day).merge(outcomes, left_on="id", right_on="flight_id")


def test_a_number_goes_from_its_label_to_the_report(air_time):
    """The heuristic by its rule, then a champion; the decision is the number, which costs 1 a minute over and 3 under."""
    first, served = air_time.store.read("predictions", FIRST), with_labels(air_time, SERVED).dropna(subset="air_time")
    assert set(first.served_by) == {"heuristic"}
    assert set(zip(first.score, first.rule.str.split(": ").str[1], strict=True)) == {
        (150.0, "before training"), (340.0, "distance > 2400"),
    }  # fmt: skip
    assert set(served.served_by) == {"champion"}
    assert (served.action == served.score).all()
    assert served.threshold.isna().all()
    labels = air_time.store.read("labels", SERVED)
    assert labels[labels.id.isin(served.id)].label.dropna().isin(served.air_time).all()

    over = served.score - served.air_time
    line = air_time.store.read("performance", LAST).set_index(["scorer", "slice"]).loc[("served", "all")]
    assert line.expected_cost == pytest.approx(np.where(over > 0, over, -3 * over).mean())
    assert line.log_loss == pytest.approx(((over / 90) ** 2 / 2).mean())
    assert line.calibration_gap == pytest.approx(abs(over.mean()) / 90)

    decision = air_time.decisions[0]
    assert (decision["as_of"], decision["decision"]) == (str(DECIDED), "promoted")
    assert decision["serving"]["base_rate"] == pytest.approx(140, abs=30)
    assert decision["serving"]["baseline"]["against_prior"]["verdict"] == "fail", "two days are too few for its groups"
    assert pictures(air_time) == {"importances", "predicted_observed", "errors"}
    text = page(air_time)
    for words in (
        "With the answer: load fuel",
        "the typical error (RMSE) was",
        "observed predicted",
        "a predicted number does not say how sure it is",
        "seasonal-naive baseline's",
    ):
        assert words in text.replace("&#39;", "'")
    for words in (
        "the heuristic answers, and not the baseline: The seasonal-naive baseline's",
        "concordance",
        "mean absolute error",
        "Squared loss",
        "load fuel for so many minutes; made for",
    ):
        assert words in told(air_time)


def test_a_class_goes_from_its_label_to_the_report(status):
    """The champion decides for the class that costs least: not the likeliest, since a cancellation that nobody expected is dear."""
    first, served = status.store.read("predictions", FIRST), with_labels(status, SERVED)
    assert first.filter(regex="^score__").drop_duplicates().to_numpy().tolist() == [[0.7, 0.25, 0.05]]
    chances = served[["score__on time", "score__late", "score__cancelled"]].to_numpy()
    assert set(served.served_by) == {"champion"}
    assert np.allclose(chances.sum(axis=1), 1)
    costs = np.array([[0, 1, 1], [2, 0, 1], [20, 5, 0]])
    classes = np.array(["on time", "late", "cancelled"])
    assert (served.action == classes[(chances @ costs).argmin(axis=1)]).all()

    truth = served.status.map({name: place for place, name in enumerate(classes)}).to_numpy()
    decided = served.action.map({name: place for place, name in enumerate(classes)}).to_numpy()
    line = status.store.read("performance", LAST).set_index(["scorer", "slice"]).loc[("served", "all")]
    assert line.expected_cost == pytest.approx(costs[truth, decided].mean())
    assert line.log_loss == pytest.approx(-np.log(chances[range(len(truth)), truth]).mean())
    assert line.label == pytest.approx((truth == decided).mean())
    assert line.score == pytest.approx(chances[range(len(truth)), decided].mean())

    decision = status.decisions[0]
    assert (decision["as_of"], decision["decision"]) == (str(DECIDED), "promoted")
    assert list(decision["serving"]["base_rate"]) == list(classes)
    assert sum(decision["serving"]["base_rate"].values()) == pytest.approx(1)
    assert pictures(status) == {"importances", "calibration", "confusion"}
    drift = status.store.read("drift", LAST).set_index("feature")
    assert drift.psi.notna().all()
    assert "prediction" in drift.index
    text = page(status)
    for words in (
        "With the answer: tell the gate",
        "of the decisions were right",
        "right confidence",
        "predictions of 7 January may cost about",
        "It cannot see a changed concept",
    ):
        assert words in text
    for words in (
        "AUC over pairs of classes",
        "accuracy",
        "the class of least expected cost",
        "tell the gate; made for",
    ):
        assert words in told(status)


@pytest.mark.parametrize("name", ["air_time", "status"])
def test_a_model_scores_in_shadow_serves_and_is_taken_back(name, request, monkeypatch):
    loop = request.getfixturevalue(name)
    enter(loop.folder, monkeypatch)
    task, store = task_of(loop.product), loop.store
    champion, baseline = (loop.decisions[0]["serving"][role]["version"] for role in ("champion", "baseline"))
    asked, served = store.read("shadow_scores", SERVED), store.read("predictions", SERVED)
    assert asked.id.tolist() == served.id.tolist()
    assert (asked.version.unique(), served.version.unique()) == ([baseline], [champion])
    assert np.array_equal(task.from_table(asked), task.from_table(served, "score_baseline"))
    entry = loop.decisions[-1]
    assert (entry["kind"], entry["decision"], entry["effective_from"]) == ("shadow", "promoted", str(BESIDE))
    harm = {gate["name"]: gate for gate in entry["gates"]}["harm"]
    losses = [task.measure_rows(*truth(loop, SERVED, column)).log_loss.mean() for column in ("score_baseline", "score")]
    assert harm["value"] == pytest.approx(losses[0] - losses[1])
    assert task.words.loss.capitalize() in harm["sentence"]

    loop.live(str(BESIDE))
    made = store.read("predictions", BESIDE)
    assert made.version.unique() == [baseline]
    assert np.isfinite(task.from_table(made, "score_previous")).all(), "the champion before it scores beside it"
    back = evergreen("rollback", name, "--reason", "it is only a baseline", "--by", "ann", columns=400).stdout
    assert f"version {champion} serves again instead of version {baseline}; it is only a baseline" in back
    loop.live(str(AGAIN))
    made = store.read("predictions", AGAIN)
    assert (made.version.unique(), set(made.served_by)) == ([champion], {"champion"})
    assert "it is only a baseline" in (store.root / "reports" / f"{AGAIN}.html").read_text()


def truth(loop: Loop, day: date, column: str) -> tuple[Any, Any]:
    """The labels of a day's rows that have one, and what a scorer said of them."""
    labels = pd.concat(loop.store.read("labels", known, ["id", "label"]) for known in loop.store.days("labels"))
    rows = loop.store.read("predictions", day).merge(labels.dropna().drop_duplicates("id", keep="last"), on="id")
    return rows.label.to_numpy(), task_of(loop.product).from_table(rows, column)
