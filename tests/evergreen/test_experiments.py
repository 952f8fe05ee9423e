import re

import pytest
import yaml

from evergreen.config import Product
from evergreen.errors import ConfigError
from evergreen.experiments import (
    ASKED,
    REFUSED,
    Experiment,
    asked,
    changed_product,
    changes_at,
    load_experiment,
    points,
    trials,
)
from evergreen.product_files import parse
from evergreen.statistics import Interval
from tests.evergreen.builders import shop

EXPERIMENT = {
    "name": "weaker",
    "product": "shop",
    "hypothesis": "A stronger penalty changes nothing.",
    "changes": {"training": {"model": {"C": 0.5}}},
}


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "weaker.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    (tmp_path / "other.yaml").write_text(yaml.safe_dump(EXPERIMENT))
    return tmp_path


def test_an_experiment_is_loaded_by_name(folder):
    experiment = load_experiment(folder, "weaker")
    assert (experiment.product, experiment.changes) == ("shop", {"training": {"model": {"C": 0.5}}})


@pytest.mark.parametrize(
    ("name", "hint"), [("weeker", "; did you mean weaker?"), ("zzz", ""), ("../weaker", "; did you mean weaker?")]
)
def test_an_unknown_name_is_refused_with_its_near_miss_and_the_known_ones(folder, name, hint):
    with pytest.raises(ConfigError) as refused:
        load_experiment(folder, name)
    assert str(refused.value) == f"{folder}: no experiment {name!r}{hint} (known: other, weaker)"


def test_a_folder_without_experiments_says_so(tmp_path):
    with pytest.raises(ConfigError, match=r"\(known: none\)"):
        load_experiment(tmp_path, "weaker")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hypothesis": "better"}, "hypothesis: String should have at least 10 characters"),
        ({"changes": {}}, "the file: nothing is changed: give changes, or a sweep"),
        ({"sweep": {"training.seed": []}}, "the file: sweep.training.seed needs values that differ, at least one"),
        ({"sweep": {"training.seed": [1, 1]}}, "the file: sweep.training.seed needs values that differ"),
        ({"sweep": {"training.seed": list(range(25))}}, "the file: the sweep has 25 points, 24 are allowed"),
        ({"expected": {"metric": "auc", "change": 1}}, "expected.metric: Input should be 'log_loss', "),
        ({"expected": {"metric": "log_loss"}}, "expected: give exactly one of change"),
        ({"expected": {"metric": "log_loss", "change": 1, "at_most": 1}}, "expected: give exactly one of change"),
        ({"expected": {"metric": "log_loss", "change": 0}}, "expected: change: 0 has no direction"),
        ({"hypotesis": "x"}, "hypotesis: unknown key; did you mean hypothesis?"),
        ({"version": 3}, "version: Input should be 2"),
    ],
)
def test_an_experiment_states_what_it_changes_and_expects(folder, change, message):
    (folder / "weaker.yaml").write_text(yaml.safe_dump(EXPERIMENT | change))
    with pytest.raises(ConfigError) as refused:
        load_experiment(folder, "weaker")
    assert str(refused.value).startswith(f"{folder / 'weaker.yaml'}: {message}")


@pytest.mark.parametrize(
    ("changes", "questions"),
    [
        ({"training": {"model": {"C": 0.5}}}, {"scores"}),
        ({"training": {"model": {"kind": "xgboost"}}}, {"scores"}),
        ({"training": {"window": "9d"}}, {"scores"}),
        ({"features": {"numeric": []}}, {"scores"}),
        (
            {"features": {"numeric": ["amount", "weight"]}, "validation": {"columns": {"weight": {"required": True}}}},
            {"scores", "deliveries"},
        ),
        ({"decision": {"costs": {"false_negative": 20}}}, {"costs"}),
        ({"decision": {"good_enough": {"at_most": 1.5}}, "gates": {"confidence": 0.9}}, {"gates"}),
        ({"service_levels": {"model_size": "1MB"}, "evaluation": {"slice_rows_at_least": 9}}, {"gates"}),
        ({"retraining": {"triggers": [{"kind": "staleness"}], "cooldown": "9d"}}, {"triggers"}),
        ({"rollback": {"confidence": 0.9}}, {"rollbacks"}),
        ({}, set()),
    ],
)
def test_what_is_changed_decides_what_is_asked(changes, questions):
    product = shop()
    assert asked(product, changed_product(product, changes, "weaker"), "weaker") == questions


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"label": {"when": "not returned"}},
            "changes.label.when decides which rows there are, or what is true of them",
        ),
        ({"time": {"predict_before": "3h"}}, "changes.time.predict_before decides which rows there are"),
        ({"id": "other"}, "changes.id decides which rows there are"),
        ({"source": {"events": "x/{day}.csv"}}, "changes.source.events decides which rows there are"),
        ({"evaluation": {"window": "3d"}}, "changes.evaluation.window changes what later days are made of"),
        ({"training": {"at_least": "3d"}}, "changes.training.at_least changes what later days are made of"),
        ({"shadow": {"days": 3}}, "changes.shadow.days changes what later days are made of"),
        ({"retraining": {"schedule": "daily"}}, "changes.retraining.schedule changes what later days are made of"),
        ({"heuristic": {"before_training": 0.5}}, "changes.heuristic.before_training changes what later days"),
        ({"owner": "team:other"}, "changes.owner moves no score, cost or decision"),
        ({"risks": ["harm"]}, "changes.risks moves no score"),
        ({"time": {"runs_at": "0 5 * * *"}}, "changes.time.runs_at moves no score"),
        ({"name": "other"}, "changes.name is what the experiment is about"),
        ({"training": {"seed": 1}, "id": "other"}, "changes.id decides"),
    ],
)
def test_what_has_no_answer_is_refused_with_the_reason(changes, message):
    with pytest.raises(ConfigError, match=f"^weaker: {re.escape(message)}"):
        changed_product(shop(), changes, "weaker")


def test_every_key_of_a_product_asks_a_question_or_is_refused():
    assert {*Product.model_fields} <= {key.split(".")[0] for key in (*ASKED, *REFUSED)}
    for section in {key.split(".")[0] for key in ASKED if "." in key}:
        fields = {key.split(".")[1] for key in ASKED if key.startswith(f"{section}.")}
        assert section in REFUSED or fields == {*Product.model_fields[section].annotation.model_fields}


def test_a_changed_product_is_validated_like_any_other():
    with pytest.raises(
        ConfigError, match=r"^weaker: with its changes: training\.seeed: unknown key; did you mean seed\?"
    ):
        changed_product(shop(), {"training": {"seeed": 1}}, "weaker")


def declared(**content):
    return parse(Experiment, {**EXPERIMENT, **content}, "weaker")


@pytest.mark.parametrize(
    ("expected", "low", "high", "judged"),
    [
        ({"change": -0.002}, -0.004, -0.001, "met"),
        ({"change": -0.002}, -0.009, -0.003, "met"),
        ({"change": -0.002}, -0.004, 0.001, "cannot tell"),
        ({"change": -0.002}, -0.0015, -0.0005, "not met"),
        ({"change": -0.002}, -0.001, 0.001, "not met"),
        ({"change": -0.002}, 0.001, 0.003, "not met"),
        ({"change": 2}, 1, 3, "met"),
        ({"change": 2}, 3, 3, "met"),
        ({"change": 2}, 1, 1, "not met"),
        ({"change": 2}, -1, 3, "cannot tell"),
        ({"at_most": 0.001}, -0.002, 0.0005, "met"),
        ({"at_most": 0.001}, 0.0, 0.002, "cannot tell"),
        ({"at_most": 0.001}, 0.002, 0.003, "not met"),
    ],
)
def test_an_expectation_is_met_where_it_is_proven_and_not_met_where_it_is_excluded(expected, low, high, judged):
    stated = declared(expected={"metric": "log_loss", **expected}).expected
    assert stated.judge(Interval((low + high) / 2, low, high, 28, 0.01)) == judged


def test_with_too_few_days_nobody_can_tell():
    assert declared(expected={"metric": "log_loss", "change": -1}).expected.judge(None) == "cannot tell"


def test_a_sweep_is_every_combination_laid_over_the_changes():
    experiment = declared(
        changes={"training": {"seed": 3}}, sweep={"training.model.C": [0.5, 2], "training.window": ["9d", "expanding"]}
    )
    assert list(points(experiment)) == [
        {"training.model.C": 0.5, "training.window": "9d"},
        {"training.model.C": 0.5, "training.window": "expanding"},
        {"training.model.C": 2, "training.window": "9d"},
        {"training.model.C": 2, "training.window": "expanding"},
    ]
    assert changes_at(experiment, {"training.model.C": 2}) == {"training": {"seed": 3, "model": {"C": 2}}}


def test_the_point_at_which_the_product_stands_is_no_trial():
    experiment = declared(changes={}, sweep={"training.model.C": [0.5, 1.0, 2.0]})
    made = trials(experiment, shop(), "weaker")
    assert [point for point, _ in made] == [{"training.model.C": 0.5}, {"training.model.C": 2.0}]
    assert [product.training.model.C for _, product in made] == [0.5, 2.0]
    assert trials(declared(changes={"training": {"model": {"C": 1.0}}}), shop(), "weaker") == []


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"sweep": {"training.model.D": [1]}}, "training.model.D: unknown key"),
        ({"sweep": {"id": ["other"]}}, "changes.id decides which rows there are"),
        (
            {"changes": {}, "sweep": {"gates.confidence": [0.8, 0.9]}},
            "sweep: compares scores and costs; a change of gates",
        ),
        (
            {"expected": {"metric": "promotions", "change": 1}},
            "expected.metric: promotions is not measured by a change of scores (measured: calibration_gap, expected_cost, ",
        ),
    ],
)
def test_every_point_is_checked_before_one_is_tried(content, message):
    with pytest.raises(ConfigError, match=re.escape(message)):
        trials(declared(**content), shop(), "weaker")
