"""A clone's own features and model, in a real life: they serve, and an edit changes nothing that is promised."""

import sys
from datetime import date
from typing import Any

import numpy as np

from evergreen.explain import explain
from evergreen.recipes import with_features_of
from pipelines.registry import registry_here
from tests.loop.life import TABLES_OF_A_DAY, Loop, evergreen, failures

FEATURES = """
def add(rows):
    hour = rows.minute_of_day // 60
    return rows.assign(evening=hour >= 17, leaves=rows.scheduled_departure, gusty=rows.wind_gust / rows.wind_speed.clip(lower=1))
"""
MODEL = """
from sklearn.linear_model import LogisticRegression

class Careful(LogisticRegression):
    "The clone's own estimator."

def build(seed):
    return Careful(C=0.1, max_iter=500, random_state=seed)
"""
CHANGES = {
    "features": {
        "numeric": ["distance", "minute_of_day", "wind_speed", "wind_gust", "temp", "gusty"],
        "categorical": ["carrier", "origin"],
        "boolean": ["evening"],
        "date": ["leaves"],
        "module": "loop_own.features:add",
    },
    "evaluation": {"slices": ["origin", "evening"]},
    "training": {"model": {"kind": "module", "function": "loop_own.model:build"}},
    "gates": {"disabled": [], "change": {"rule": "non_inferiority", "margin": 1.0, "days": "4d"}},
    "retraining": {"schedule": "0 4 10 1 *"},
}
DECIDED, NEXT = "2013-01-09", "2013-01-10"
ANSWERED = tuple(table for table in TABLES_OF_A_DAY if table != "batch")


def test_own_features_and_an_own_model_serve_and_an_edit_waits_for_its_promotion(new_loop, tmp_path, monkeypatch):
    own = tmp_path / "loop_own"
    own.mkdir()
    (own / "features.py").write_text(FEATURES)
    (own / "model.py").write_text(MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    loop = new_loop(changes=CHANGES)
    loop.live(DECIDED)
    [entry] = loop.decisions
    champion = entry["serving"]["champion"]
    assert champion["packages"] == ["loop_own"]
    verdicts = {gate["name"]: gate["verdict"] for gate in entry["gates"]}
    assert verdicts["reloads"] == verdicts["new_process"] == "pass"
    assert type(registry_here().load("flights", champion)["model"]).__name__ == "Careful"

    (own / "features.py").write_text(FEATURES.replace("rows.wind_gust /", "1000 - rows.wind_gust /"))
    edited = loop.changed({"gates": {"disabled": ["new_process"]}})
    edited.live(NEXT)

    day = date.fromisoformat(NEXT)
    predictions, batch = edited.store.read("predictions", day), edited.store.read("batch", day)
    assert edited.product.recipe != loop.product.recipe
    assert set(predictions.served_by) == {"champion"}
    assert batch.gusty.mean() > 900
    fed = with_features_of(loop.product, batch, edited.store, [day])
    assert fed.gusty.mean() < 10
    scores = registry_here().load("flights", champion).predict_proba(fed[loop.product.features.names])[:, 1]
    assert np.array_equal(predictions.score, scores)
    drift = edited.store.read("drift", day).set_index("feature").psi
    assert drift["gusty"] < 1

    backfilled_and_promoted(edited, champion)
    for name in [name for name in sys.modules if name.startswith("loop_own")]:
        del sys.modules[name]


def backfilled_and_promoted(edited: Loop, before: dict[str, Any]) -> None:
    """The days before the edit are made again by the edited code; what was decided on them is still verified by what it was then."""
    [entry], content = edited.decisions, edited.content(NEXT, ANSWERED)
    assert "evergreen backfill flights" in failures(edited.run_again("retrain", NEXT))
    assert "9 days made again, 2013-01-01 to 2013-01-09" in evergreen("backfill", "flights").stdout
    assert "Nothing is left" in evergreen("backfill", "flights").stdout

    assert edited.store.read("batch", edited.product.time.start).gusty.mean() > 900
    assert evergreen("doctor").returncode == 0
    verified = edited.run_again("retrain", DECIDED)
    assert verified.success, failures(verified)
    assert (edited.decisions, edited.content(NEXT, ANSWERED)) == ([entry], content)

    assert edited.run_again("retrain", NEXT).success
    *_, champion = (entry["serving"]["champion"] for entry in edited.decisions)
    assert (champion["recipe"], champion["version"] > before["version"]) == (edited.product.recipe, True)
    before_promotion = edited.store.read("batch", date.fromisoformat(NEXT)).dropna().iloc[0]
    told = explain(edited.store, edited.product, edited.decisions, before_promotion.flight_id)
    assert told.inputs["gusty"] < 10 < before_promotion.gusty
