import numpy as np
import pandas as pd
import pytest

from evergreen import model_files, models, smoke
from evergreen.config import Features, XGBoostModel
from evergreen.digests import digest_file
from evergreen.errors import ModelError
from tests.evergreen.builders import shop


def test_a_new_process_answers_as_this_one_or_says_why_not(tmp_path):
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"amount": random.uniform(0, 10, 100), "color": random.choice(["red", "blue"], 100)})
    features = Features(numeric=["amount"], categorical=["color"])
    trees = XGBoostModel(kind="xgboost", n_estimators=4, max_depth=2)
    pipeline = models.fit(trees, features, 7, rows.assign(label=(rows.amount > 5).astype(float)))
    models.save(pipeline, tmp_path / "model.skops")
    path = (tmp_path / "model.skops").rename(tmp_path / f"{digest_file(tmp_path / 'model.skops')}.skops")
    other = models.fit(trees, features, 7, rows.assign(label=(rows.amount > 2).astype(float)))

    def lost():
        raise ModelError("it is lost")

    found = model_files.examine(path, pipeline, lambda: pipeline, rows, shop())
    assert (found["reload_error"], found["model_bytes"]) == (None, path.stat().st_size)
    assert found["latency_p99"] > 0 and isinstance(found["new_process"], float)
    silent = shop({"gates": {"disabled": ["new_process"]}})
    for fetch, error in ((lambda: other, "its scores differ"), (lost, "it is lost")):
        found = model_files.examine(path, pipeline, fetch, rows, silent)
        assert (found["reload_error"], found["new_process"]) == (error, None)
    with pytest.raises(ModelError, match="differs from the file that was judged"):
        smoke.scores_in_new_process(path, "0" * 64, rows)
