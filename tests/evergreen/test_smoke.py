import os
from functools import partial

import numpy as np
import pandas as pd
import pytest

from evergreen import model_files, models
from evergreen.config import Features, XGBoostModel
from evergreen.errors import ModelError
from evergreen.smoke import new_process
from tests.evergreen.builders import shop

ROWS = pd.DataFrame({"amount": [1.0]})
SILENT = shop({"gates": {"disabled": ["new_process"]}})


@pytest.mark.parametrize(
    ("module", "message"), [("no_such_module", "No module named"), ("this", "it ended without a word")]
)
def test_a_process_that_gives_no_scores_says_why(module, message):
    """`this` prints a poem, and ends as if all were well. A process that answers is asked in tests/loop/test_laws.py."""
    with new_process(module, [], ROWS, os.environ) as scores, pytest.raises(ModelError, match=message):
        scores()


def test_whoever_reads_the_file_must_score_alike(tmp_path):
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"amount": random.uniform(0, 10, 100), "color": random.choice(["red", "blue"], 100)})
    features = Features(numeric=["amount"], categorical=["color"])
    trees = XGBoostModel(kind="xgboost", n_estimators=4, max_depth=2)
    pipeline = models.fit(trees, features, 7, rows.assign(label=(rows.amount > 5).astype(float)))
    other = models.fit(trees, features, 7, rows.assign(label=(rows.amount > 2).astype(float)))
    path, ask = tmp_path / "model.skops", partial(new_process, "this", [], environment=os.environ)
    models.save(pipeline, path)

    def lost():
        raise ModelError("it is lost")

    found = model_files.examine(path, pipeline, lambda: pipeline, ask, rows, shop())
    assert (found["reload_error"], found["model_bytes"]) == (None, path.stat().st_size)
    assert found["latency_p99"] > 0 and found["new_process"] == "it ended without a word"
    for fetch, error in ((lambda: other, "its scores differ"), (lost, "it is lost")):
        found = model_files.examine(path, pipeline, fetch, ask, rows, SILENT)
        assert (found["reload_error"], found["new_process"]) == (error, None)
