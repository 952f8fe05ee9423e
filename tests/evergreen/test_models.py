import numpy as np
import pandas as pd
import pytest
import skops.io
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer

from evergreen import models
from evergreen.config import Features, LinearModel, LogisticModel, SeasonalNaiveModel, Target, XGBoostModel
from evergreen.config.task import DATE_PARTS as PARTS_IN_CONFIG
from evergreen.digests import digest_file
from evergreen.errors import ModelError
from evergreen.features import DATE_PARTS, FeatureEncoder

FEATURES = Features(numeric=["amount"], categorical=["color"])
TREES, LINEAR = XGBoostModel(kind="xgboost", n_estimators=8, max_depth=3), LogisticModel(kind="logistic")
BOTH = pytest.mark.parametrize("model", [TREES, LINEAR], ids=["xgboost", "logistic"])


def colors(values):
    return pd.Series(values, dtype="str")


@pytest.fixture(scope="module")
def rows():
    """Green comes back whatever it costs, other colors when they are dear; some values are missing."""
    random = np.random.default_rng(0)
    table = pd.DataFrame(
        {"amount": random.uniform(0, 10, 400), "color": colors(random.choice(["blue", "green", "red"], 400))}
    )
    label = ((table.color == "green") | (table.amount > 8)).astype(float)
    table = table.assign(label=label.where(random.uniform(0, 1, 400) > 0.1, 1 - label))
    table.loc[::20, "amount"] = np.nan
    return table


@pytest.fixture(scope="module")
def fitted(rows):
    return {model.kind: models.fit(model, FEATURES, 7, rows) for model in (TREES, LINEAR)}


@BOTH
def test_a_model_learns_what_is_there_and_answers_one_probability_a_row(fitted, rows, model):
    scores = models.predict(fitted[model.kind], rows)
    assert (scores.shape, scores.dtype) == ((400,), np.dtype("float64"))
    assert ((scores > 0) & (scores < 1)).all()
    assert scores[rows.color == "green"].mean() > 0.6 > 0.4 > scores[rows.color == "red"].mean()


def test_an_unseen_category_is_missing_and_not_a_neighbour(fitted):
    """XGBoost 3.2 by itself gives an unseen string a known one's code, without an error."""
    amount = np.linspace(0, 10, 50)
    table = {
        name: pd.DataFrame({"amount": amount, "color": colors([name] * 50)}) for name in (None, "grey", "green", "red")
    }
    scores = {name: models.predict(fitted["xgboost"], rows) for name, rows in table.items()}
    assert np.array_equal(scores["grey"], scores[None])
    assert not np.array_equal(scores["grey"], scores["green"])
    assert not np.array_equal(scores["green"], scores["red"])


def test_the_encoder_codes_by_its_stored_vocabulary(rows):
    encoder = FeatureEncoder(["color"], ["amount"]).fit(rows)
    fresh = pd.DataFrame({"amount": [1.0, 2.0, 3.0, np.nan], "color": colors(["red", "grey", None, "blue"])})
    assert encoder.vocabularies_ == {"color": ["blue", "green", "red"]}
    np.testing.assert_array_equal(encoder.transform(fresh), [[2, 1], [np.nan, 2], [np.nan, 3], [0, np.nan]])


@BOTH
def test_unseen_and_missing_values_are_answered(fitted, model):
    fresh = pd.DataFrame({"amount": [np.nan, 1e9, 1.0], "color": colors(["grey", None, "red"])})
    assert np.isfinite(models.predict(fitted[model.kind], fresh)).all()


@BOTH
def test_the_order_of_columns_and_surplus_ones_do_not_count(fitted, rows, model):
    turned = rows[["label", "color", "amount"]].assign(surplus="x")
    assert np.array_equal(models.predict(fitted[model.kind], turned), models.predict(fitted[model.kind], rows))


@BOTH
def test_the_same_rows_and_seed_give_the_same_model(fitted, rows, model):
    again = models.fit(model, FEATURES, 7, rows)
    assert np.array_equal(models.predict(again, rows), models.predict(fitted[model.kind], rows))


@BOTH
def test_a_model_read_back_gives_the_same_scores(fitted, rows, tmp_path, model):
    path = tmp_path / "model.skops"
    models.save(fitted[model.kind], path)
    loaded = models.load(path, digest_file(path))
    assert np.array_equal(models.predict(loaded, rows), models.predict(fitted[model.kind], rows))


def double(values):
    return 2 * values


def test_what_is_absent_changed_or_untrusted_is_not_loaded(fitted, tmp_path):
    path = tmp_path / "model.skops"
    with pytest.raises(ModelError, match="is missing"):
        models.load(path, "any")
    models.save(fitted["logistic"], path)
    digest = digest_file(path)
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(ModelError, match="differs from the file that was judged"):
        models.load(path, digest)
    path.write_bytes(b"no archive")
    with pytest.raises(ModelError, match="cannot be loaded"):
        models.load(path, digest_file(path))
    skops.io.dump(Pipeline([("own", FunctionTransformer(double))]), path)
    with pytest.raises(ModelError, match=r"cannot be loaded.*double"):
        models.load(path, digest_file(path))


@BOTH
def test_one_class_alone_is_refused(rows, model):
    with pytest.raises(ModelError, match="all 400 training rows have the same label: wait for both classes"):
        models.fit(model, FEATURES, 7, rows.assign(label=1.0))


@BOTH
def test_importances_are_shares_of_the_declared_features(fitted, rows, model):
    shares = models.importances(fitted[model.kind], FEATURES, rows)
    assert set(shares) == {"amount", "color"}
    assert sum(shares.values()) == pytest.approx(1)
    assert min(shares.values()) > 0.05


def test_the_importance_of_a_category_goes_to_its_own_feature(rows):
    """A number whose name looks like a one-hot column must not receive that column's weight."""
    features = Features(numeric=["color_green"], categorical=["color"])
    table = rows.assign(color_green=np.random.default_rng(1).normal(size=400))
    shares = models.importances(models.fit(LINEAR, features, 7, table), features, table)
    assert shares["color"] > 0.9


def test_of_several_classes_every_one_has_a_probability_even_one_that_training_did_not_see(rows):
    kinds = rows.assign(label=np.where(rows.color == "green", 0.0, 3.0))
    for model in (TREES, LINEAR):
        scores = models.predict(models.fit(model, FEATURES, 7, kinds, Target("multiclass", 4)), kinds)
        assert scores.shape == (400, 4)
        assert np.allclose(scores.sum(axis=1), 1)
        assert scores[rows.color == "green", 0].mean() > 0.7 > 0.3 > scores[rows.color != "green", 0].mean()
        assert 0 < scores[:, [1, 2]].max() < 0.2


def test_numbers_are_learnt_too(rows, tmp_path):
    table = rows.assign(label=100 + 10 * rows.amount.fillna(5) + 50 * (rows.color == "green"))
    more = TREES.model_copy(update={"n_estimators": 100})
    for model in (more, LinearModel(kind="linear")):
        pipeline = models.fit(model, FEATURES, 7, table, Target("regression", 0))
        scores = models.predict(pipeline, table)
        assert scores.shape == (400,)
        assert np.abs(scores - table.label).mean() < 3
        assert sum(models.importances(pipeline, FEATURES, table).values()) == pytest.approx(1)
        models.save(pipeline, tmp_path / model.kind)
        assert np.array_equal(
            models.predict(models.load(tmp_path / model.kind, digest_file(tmp_path / model.kind)), table), scores
        )


def test_the_seasonal_naive_answers_what_was_last_seen_under_the_same_keys(tmp_path):
    """The newest by time, not by place; what was never seen gets the mean."""
    table = pd.DataFrame(
        {
            "amount": 1.0,
            "color": colors(["red", "red", "blue", None]),
            "event_time": pd.to_datetime(["2024-01-03", "2024-01-01", "2024-01-01", "2024-01-01"], utc=True),
            "label": [5.0, 1.0, 2.0, 4.0],
        }
    )
    model = SeasonalNaiveModel(kind="seasonal_naive", keys=["color"])
    pipeline = models.fit(model, FEATURES, 7, table, Target("regression", 0))
    asked = pd.DataFrame({"color": colors(["red", "blue", None, "green"]), "amount": [9.0, 9.0, 9.0, np.nan]})
    assert models.predict(pipeline, asked).tolist() == [5.0, 2.0, 4.0, 3.0]
    assert models.importances(pipeline, FEATURES, table) == {"color": 1.0, "amount": 0.0}
    models.save(pipeline, tmp_path / "naive")
    assert models.predict(models.load(tmp_path / "naive", digest_file(tmp_path / "naive")), asked).tolist() == [
        5,
        2,
        4,
        3,
    ]


def test_the_seasonal_naive_goes_by_parts_of_a_date_too():
    """Two hours of two days: what was last seen at the same hour; a missing date is a circumstance of its own."""
    times = pd.to_datetime(pd.Series(["2024-01-01 07:00", "2024-01-01 08:00", "2024-01-02 07:30", None]))
    table = pd.DataFrame(
        {"placed": times, "event_time": pd.date_range("2024-01-01", periods=4, tz="UTC"), "label": [1.0, 2.0, 3.0, 4.0]}
    )
    features = Features(date=["placed"])
    model = SeasonalNaiveModel(kind="seasonal_naive", keys=["placed_hour"])
    pipeline = models.fit(model, features, 7, table, Target("regression", 0))
    asked = pd.DataFrame(
        {"placed": pd.to_datetime(pd.Series(["2024-01-09 07:59", "2024-01-09 08:00", None, "2024-01-09 09:00"]))}
    )
    assert models.predict(pipeline, asked).tolist() == [3.0, 2.0, 4.0, 2.5]
    assert models.importances(pipeline, features, table) == {"placed": 1.0}
    assert tuple(DATE_PARTS) == tuple(PARTS_IN_CONFIG)
