"""A clone's own features and model, in a real life: they serve, and an edit changes nothing that is promised."""

import sys
from datetime import date

import numpy as np

from evergreen.recipes import with_features_of
from pipelines.registry import registry_here

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
    "gates": {"disabled": []},
    "retraining": {"schedule": "0 4 10 1 *"},
}


def test_own_features_and_an_own_model_serve_and_an_edit_waits_for_its_promotion(new_loop, tmp_path, monkeypatch):
    own = tmp_path / "loop_own"
    own.mkdir()
    (own / "features.py").write_text(FEATURES)
    (own / "model.py").write_text(MODEL)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    loop = new_loop(changes=CHANGES)
    loop.live("2013-01-09")
    [entry] = loop.decisions
    champion = entry["serving"]["champion"]
    assert champion["packages"] == ["loop_own"]
    verdicts = {gate["name"]: gate["verdict"] for gate in entry["gates"]}
    assert verdicts["reloads"] == verdicts["new_process"] == "pass"
    assert type(registry_here().load("flights", champion)["model"]).__name__ == "Careful"

    (own / "features.py").write_text(FEATURES.replace("rows.wind_gust /", "1000 - rows.wind_gust /"))
    edited = loop.changed({})
    edited.live("2013-01-10")

    day = date(2013, 1, 10)
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
    for name in [name for name in sys.modules if name.startswith("loop_own")]:
        del sys.modules[name]
