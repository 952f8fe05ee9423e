"""Estimators by import path: of allow-listed packages, with parameters that they have, for the product's task.

This module imports scikit-learn; import it inside the function that needs it.
"""

from importlib import import_module
from typing import Any

from sklearn.base import BaseEstimator, is_classifier, is_regressor

from evergreen.config import ModuleModel, SklearnModel
from evergreen.errors import ConfigError
from evergreen.product_files import near_miss

KEY = "training.model"


def make(model: SklearnModel | ModuleModel, task: str, seed: int) -> BaseEstimator:
    """The declared estimator, unfitted; the seed is its `random_state` where it has one and none is declared.

    Raises ConfigError where there is no such estimator or parameter, or where it cannot do the task.
    """
    if isinstance(model, ModuleModel):
        return _fit_for(task, _built(model, seed), f"{KEY}.function: what {model.function.function} returns")
    estimator = _unset(model.estimator)
    known = estimator.get_params()
    for name in model.parameters:
        if name not in known:
            raise ConfigError(
                f"{KEY}.parameters.{name}: {model.estimator} has no such parameter{near_miss(name, sorted(known))} "
                f"(known: {', '.join(sorted(known))})"
            )
    seeded = {"random_state": seed} if "random_state" in known else {}
    return _fit_for(task, estimator.set_params(**{**seeded, **model.parameters}), f"{KEY}.estimator: {model.estimator}")


def _fit_for(task: str, estimator: BaseEstimator, named: str) -> BaseEstimator:
    """The same estimator. Raises ConfigError where it cannot do the task; `named` says which it is."""
    if task == "regression":
        if not is_regressor(estimator):
            raise ConfigError(
                f"{named} is no regressor, and the task is regression: name one, such as {_like('Regressor')}"
            )
        return estimator
    if not is_classifier(estimator):
        raise ConfigError(f"{named} is no classifier, and the task is {task}: name one, such as {_like('Classifier')}")
    if not hasattr(estimator, "predict_proba"):
        raise ConfigError(
            f"{named} has no predict_proba with these parameters, and decisions are taken on probabilities: choose parameters "
            f"that give it one, or another estimator, such as {_like('Classifier')}"
        )
    return estimator


def _built(model: ModuleModel, seed: int) -> Any:
    name = model.function.function
    try:
        built = model.function.load()(seed)
    except Exception as problem:
        raise ConfigError(f"{KEY}.function: {name}({seed}) failed ({type(problem).__name__}: {problem})") from problem
    if not isinstance(built, BaseEstimator):
        raise ConfigError(f"{KEY}.function: {name} must return a scikit-learn estimator, not {type(built).__name__}")
    return built


def _unset(path: str) -> Any:
    """The estimator behind an import path, with its defaults."""
    module, _, name = path.rpartition(".")
    try:
        kind = getattr(import_module(module), name)
    except ImportError as problem:
        raise ConfigError(f"{KEY}.estimator: {module} cannot be imported ({problem}); {_example()}") from None
    except AttributeError:
        near = near_miss(name, dir(import_module(module)))
        raise ConfigError(f"{KEY}.estimator: {module} has no {name}{near}; {_example()}") from None
    if not (isinstance(kind, type) and issubclass(kind, BaseEstimator)):
        raise ConfigError(f"{KEY}.estimator: {path} is no scikit-learn estimator; {_example()}")
    try:
        return kind()
    except TypeError as problem:
        raise ConfigError(
            f"{KEY}.estimator: {path} cannot be made from parameters in YAML ({problem}): build it in a module of your own and "
            "name that (kind: module)"
        ) from None


def _example() -> str:
    return f"write an import path such as {_like('Classifier')}"


def _like(kind: str) -> str:
    return f"sklearn.ensemble.RandomForest{kind}"
