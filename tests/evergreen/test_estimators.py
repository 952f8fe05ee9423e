"""Estimators by import path: what may be named, what is refused, and that what is fitted can be read back."""

import numpy as np
import pandas as pd
import pytest
import skops.io

from evergreen import estimators, models, trust
from evergreen.config import SklearnModel, Target
from evergreen.digests import digest_file
from evergreen.errors import ConfigError, ModelError
from evergreen.rehearsal import made_up_rows, rehearse
from tests.evergreen.builders import shop

FEATURES = shop().features
FOREST = "sklearn.ensemble.RandomForestClassifier"


def declared(path, **parameters):
    return SklearnModel(kind="sklearn", estimator=path, parameters=parameters)


def training(path, **parameters):
    """The shop with this model."""
    return shop({"training": {"model": {"kind": "sklearn", "estimator": path, "parameters": parameters}}})


@pytest.fixture(scope="module")
def rows():
    table = made_up_rows(shop())
    return table.assign(label=(table.amount.fillna(0) > 0).astype("float64"))


@pytest.mark.parametrize(
    "model",
    [
        declared(FOREST, n_estimators=10),
        declared("sklearn.ensemble.ExtraTreesClassifier", n_estimators=10, max_depth=4),
        declared("sklearn.ensemble.HistGradientBoostingClassifier", max_iter=10),
        declared("sklearn.ensemble.GradientBoostingClassifier", n_estimators=10),
        declared("sklearn.ensemble.AdaBoostClassifier", n_estimators=5),
        declared("sklearn.linear_model.LogisticRegression", solver="saga", l1_ratio=0.5, max_iter=1000),
        declared("sklearn.linear_model.SGDClassifier", loss="log_loss", penalty="elasticnet"),
        declared("sklearn.linear_model.SGDClassifier", loss="modified_huber"),
        declared("sklearn.neighbors.KNeighborsClassifier", n_neighbors=9),
        declared("sklearn.neural_network.MLPClassifier", hidden_layer_sizes=[8], learning_rate_init=0.05, tol=1e-3),
        declared("sklearn.naive_bayes.GaussianNB"),
        declared("sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis", reg_param=0.5),
        declared("xgboost.XGBRFClassifier", n_estimators=10),
    ],
    ids=lambda model: model.estimator.rsplit(".", 1)[-1],
)
def test_an_estimator_learns_is_written_and_read_back_with_the_same_scores(rows, tmp_path, model):
    fitted = models.fit(model, FEATURES, 7, rows)
    scores, path = models.predict(fitted, rows), tmp_path / "model.skops"
    assert scores[rows.label == 1].mean() > scores[rows.label == 0].mean() + 0.2
    shares = models.importances(fitted, FEATURES, rows)
    assert shares["amount"] > shares["color"] >= 0
    assert sum(shares.values()) == pytest.approx(1)
    models.save(fitted, path)
    assert np.array_equal(models.predict(models.load(path, digest_file(path)), rows), scores)
    assert trust.types_in(fitted) == trust.types_of_file(path)


@pytest.mark.parametrize(
    "model",
    [
        declared("sklearn.ensemble.RandomForestRegressor", n_estimators=10),
        declared("sklearn.ensemble.HistGradientBoostingRegressor", max_iter=10, loss="absolute_error"),
        declared("sklearn.linear_model.HuberRegressor", max_iter=1000),
        declared("sklearn.linear_model.PoissonRegressor"),
        declared("sklearn.linear_model.SGDRegressor"),
        declared("sklearn.svm.SVR"),
    ],
    ids=lambda model: model.estimator.rsplit(".", 1)[-1],
)
def test_a_regressor_too(rows, tmp_path, model):
    numbers = rows.assign(label=np.exp(rows.amount.fillna(0)))
    fitted = models.fit(model, FEATURES, 7, numbers, Target("regression", 0))
    answers, path = models.predict(fitted, numbers), tmp_path / "model.skops"
    assert np.corrcoef(answers, numbers.label)[0, 1] > 0.5
    models.save(fitted, path)
    assert np.array_equal(models.predict(models.load(path, digest_file(path)), numbers), answers)


def test_several_classes_too(rows, tmp_path):
    classes = rows.assign(label=pd.cut(rows.amount.fillna(0), [-9, -1, 1, 9], labels=[0.0, 1.0, 2.0]).astype("float64"))
    fitted = models.fit(declared(FOREST, n_estimators=10), FEATURES, 7, classes, Target("multiclass", 3))
    answers, path = models.predict(fitted, classes), tmp_path / "model.skops"
    assert (answers.argmax(axis=1) == classes.label).mean() > 0.9
    models.save(fitted, path)
    assert np.array_equal(models.predict(models.load(path, digest_file(path)), classes), answers)


@pytest.mark.parametrize("path", [FOREST, "sklearn.neighbors.KNeighborsClassifier"])
def test_the_seed_is_the_random_state_of_an_estimator_that_has_one(path):
    estimator = estimators.make(declared(path), "binary", 11)
    assert estimator.get_params().get("random_state") == (11 if path == FOREST else None)


def test_a_declared_random_state_goes_before_the_seed():
    assert estimators.make(declared(FOREST, random_state=3), "binary", 11).random_state == 3


@pytest.mark.parametrize(
    ("path", "parameters", "message"),
    [
        (
            "sklearn.ensemble.RandomForrestClassifier",
            {},
            "has no RandomForrestClassifier; did you mean RandomForestClas",
        ),
        ("sklearn.ensmble.RandomForestClassifier", {}, "sklearn.ensmble cannot be imported"),
        ("sklearn.metrics.roc_auc_score", {}, "is no scikit-learn estimator; write an import path such as sklearn"),
        ("sklearn.ensemble.VotingClassifier", {}, r"cannot be made from parameters in YAML .* \(kind: module\)"),
        (FOREST, {"n_estimator": 5}, r"parameters.n_estimator: .* did you mean n_estimators\? \(known: bootstrap"),
        (
            "sklearn.ensemble.RandomForestRegressor",
            {},
            "is no classifier, and the task is binary: name one, such as skl",
        ),
        ("sklearn.preprocessing.StandardScaler", {}, "is no classifier"),
        ("sklearn.linear_model.SGDClassifier", {"loss": "hinge"}, "has no predict_proba with these parameters"),
        ("sklearn.linear_model.RidgeClassifier", {}, "has no predict_proba"),
        (FOREST, {"n_estimators": -3}, "does not work on 500 made-up rows .*'n_estimators' parameter .* Got -3"),
        (FOREST, {"n_estimators": "many"}, "Got 'many'"),
    ],
    ids=str,
)
def test_a_rehearsal_says_what_is_wrong_with_a_declared_estimator(path, parameters, message):
    with pytest.raises(ConfigError, match=message):
        rehearse(training(path, **parameters))


def test_the_rehearsal_of_a_sound_model_passes():
    rehearse(training(FOREST, n_estimators=5))
    rehearse(shop())


@pytest.mark.parametrize("task", ["multiclass", "regression"])
def test_the_kind_of_estimator_follows_the_task(task):
    regressor, classifier = declared("sklearn.linear_model.Ridge"), declared(FOREST)
    fits, does_not = (regressor, classifier) if task == "regression" else (classifier, regressor)
    estimators.make(fits, task, 7)
    with pytest.raises(ConfigError, match=f"the task is {task}"):
        estimators.make(does_not, task, 7)


@pytest.mark.parametrize("path", ["os.system", "lightgbm.LGBMClassifier", "evergreen.features.FeatureEncoder"])
def test_an_estimator_of_another_package_is_refused_when_the_file_is_read(path):
    with pytest.raises(
        ConfigError, match=r"training\.model\.estimator: estimators come from sklearn or xgboost.*kind: mod"
    ):
        training(path)


@pytest.mark.parametrize(
    ("name", "is_trusted"),
    [
        ("sklearn.tree._tree.Tree", True),
        ("xgboost.core.Booster", True),
        ("evergreen.features.FeatureEncoder", True),
        ("evergreen.storage.Store", False),
        ("os.system", False),
        ("sklearn.utils.os", False),
        ("sklearn.base.warnings.catch_warnings", False),
        ("sklearn.ensemble.RandomForestClassifier", False),
        ("sklearn.metrics._classification.accuracy_score", False),
        ("sklearn_of_somebody_else.Estimator", False),
        ("sklearn.no_such_module.Estimator", False),
    ],
)
def test_only_a_class_that_a_trusted_package_itself_defines_is_trusted(name, is_trusted):
    assert trust.trusted([name]) == ([name] if is_trusted else [])


class Stranger:
    pass


def test_a_model_with_a_type_that_would_not_be_loaded_is_refused_when_it_is_trained(rows):
    fitted = models.fit(declared("sklearn.naive_bayes.GaussianNB"), FEATURES, 7, rows)
    fitted["model"].companion_ = Stranger()
    assert any("Stranger" in name for name in skops.io.get_untrusted_types(data=skops.io.dumps(fitted)))
    with pytest.raises(ModelError, match=r"holds .*Stranger: a model file may hold types of sklearn, xgboost alone"):
        trust.types_in(fitted)
