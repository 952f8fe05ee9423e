from datetime import timedelta

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from threadpoolctl import threadpool_info

from evergreen.latency import one_row_p99


class Threads(BaseEstimator):
    """A model that answers with the most threads that it may use, and keeps its answers."""

    feature_names_in_ = np.array(["amount"])

    def __init__(self):
        self.answers = []

    def predict(self, rows):
        self.answers += [max(pool["num_threads"] for pool in threadpool_info())] * len(rows)
        return self.answers[-len(rows) :]


def test_a_row_is_timed_by_itself_in_one_thread():
    model = Threads()
    assert one_row_p99(model, pd.DataFrame({"amount": range(50)}), timedelta(minutes=1)) > 0
    assert model.answers == [1] * 30


def test_without_a_row_there_is_no_latency():
    assert one_row_p99(Threads(), pd.DataFrame({"amount": []}), timedelta(minutes=1)) is None
