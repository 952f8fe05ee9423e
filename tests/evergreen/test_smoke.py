import numpy as np
import pandas as pd
import pytest

from evergreen import models, smoke
from evergreen.config import Features, XGBoostModel
from evergreen.digests import digest_file
from evergreen.errors import ModelError


def test_a_new_process_answers_as_this_one_or_says_why_not(tmp_path):
    random = np.random.default_rng(0)
    rows = pd.DataFrame({"amount": random.uniform(0, 10, 100), "color": random.choice(["red", "blue"], 100)})
    features = Features(numeric=["amount"], categorical=["color"])
    trees = XGBoostModel(kind="xgboost", n_estimators=4, max_depth=2)
    pipeline = models.fit(trees, features, 7, rows.assign(label=(rows.amount > 5).astype(float)))
    path = tmp_path / "model.skops"
    models.save(pipeline, path)

    answered = smoke.scores_in_new_process(path, digest_file(path), rows)

    assert np.array_equal(answered, models.predict(pipeline, rows))
    with pytest.raises(ModelError, match="differs from the file that was judged"):
        smoke.scores_in_new_process(path, "0" * 64, rows)
