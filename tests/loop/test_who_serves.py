"""Who serves, and back: rollbacks, a ladder under fire and a registry that follows, in one short life that every test copies."""

import json
import shutil
import time
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from evergreen import models
from evergreen.alerts import Look
from evergreen.ledger import Ledger
from evergreen.promotion import serving_after
from pipelines import registry
from pipelines.registry import registry_here
from tests.loop.life import Loop, copied, evergreen, execute

FROM_NOW_ON = {
    "retraining": {"schedule": "0 4 1 7 *", "triggers": []},
    "service_levels": {"scoring_limit": "2s"},
    "heuristic": {"rules": [{"when": "origin == 'JFK'", "then": {"probability": 0.1}}]},
}
NEXT = "2013-01-11"


@pytest.fixture(scope="module")
def _ten_days(tmp_path_factory, lived_ten_days) -> Iterator[Loop]:
    """Ten days, decided on the last two; the candidate that was kept is then entered as promoted, so that there are two champions."""
    with pytest.MonkeyPatch.context() as patch:
        loop = copied(lived_ten_days, tmp_path_factory.mktemp("serves") / "days", patch).changed(FROM_NOW_ON)
        first, last = loop.decisions
        content = {name: last[name] for name in last if name not in ("number", "key", "previous", "digest")}
        compared = {"value": -0.01, "low": -0.02, "high": 0.0}
        content["gates"] = [gate | compared if gate["name"] == "comparison" else gate for gate in last["gates"]]
        serving = serving_after("promoted", last["serving"], first["candidate"], last["serving"]["baseline"], 0.2)
        loop.home.promotions(loop.product).append("flights/second", content | {"serving": serving})
        yield loop


@pytest.fixture
def ten_days(_ten_days, tmp_path, monkeypatch) -> Loop:
    """A copy of ten days; a test may damage it. Version 2 is champion, 5 was, 3 is the baseline."""
    loop = copied(_ten_days, tmp_path / "copy", monkeypatch)
    assert roles(loop) == {"champion": 2, "previous": 5, "baseline": 3, "first": 5}
    return loop


def roles(loop: Loop) -> dict[str, int | None]:
    serving = loop.decisions[-1]["serving"]
    return {role: (serving[role] or {}).get("version") for role in ("champion", "previous", "baseline", "first")}


def answered(loop: Loop, day: str) -> Any:
    return loop.store.read("predictions", date.fromisoformat(day))


def break_file(loop: Loop, role: str) -> None:
    """The model file of a role says something else, in the home and in MLflow's artifacts."""
    digest = loop.decisions[-1]["serving"][role]["digest"]
    loop.store.model_path(digest).write_bytes(b"another model")


def test_a_rollback_by_hand_serves_the_next_day_and_is_told(ten_days):
    loop = ten_days
    refused = evergreen("rollback", "flights", "--to", "99", "--reason", "x")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "version 99 never served; these can be put back: 3, 5 (version 3 is the baseline)" in refused.stderr

    done = evergreen("rollback", "flights", "--reason", "it answers nonsense", "--by", "ann")
    assert done.stdout.splitlines() == [
        "Rolled back: version 5 serves again instead of version 2; it answers nonsense; asked for by hand (ann).",
        "From 2013-01-11 on, the first day that is not yet scored.",
    ]
    assert roles(loop) == {"champion": 5, "previous": None, "baseline": 3, "first": 5}
    assert registry_here().misplaced("flights", loop.decisions[-1]["serving"]) == []

    loop.live("2013-01-12")
    made = answered(loop, NEXT)
    assert set(made.served_by + made.version.astype(str)) == {"champion5"}
    told = json.loads(evergreen("timeline", "flights", "--json").stdout)
    assert [(reign["first"], reign["served_by"], reign["version"], reign["moved_by"]) for reign in told["reigns"]] == [
        ("2013-01-01", "heuristic", 0, "nobody"),
        ("2013-01-10", "baseline", 1, "the schedule"),
        ("2013-01-11", "champion", 5, "hand (ann)"),
    ]
    for command in (("status", "flights"), ("explain", "flights", "--prediction", made.id[0]), ("doctor", "flights")):
        assert "Traceback" not in evergreen(*command).stderr
    assert "it answers nonsense" in (loop.store.root / "reports" / f"{NEXT}.html").read_text()


def test_a_proven_harm_is_rolled_back_by_the_sensor_once(ten_days):
    """The day's decision asks; the sensor's run carries it out, and the replay evaluates the sensor as the daemon would."""
    loop, day = ten_days, date(2013, 1, 10)
    document = loop.store.read_document("retrain_decision", day)
    assert document["rollback"]["sentence"] == "There is no champion with one before it to compare with."
    proven = {"roll_back": True, "sentence": "Version 2 is proven worse.", "champion": 2, "previous": 5}
    loop.store.write_document("retrain_decision", day, document | {"rollback": proven})

    told = loop.live(NEXT)

    assert told.happened == [] and len(loop.decisions) == 4
    entry = loop.decisions[-1]
    assert (entry["key"], entry["decision"]) == ("flights/rollback/2013-01-10", "rolled back")
    assert (entry["requested_by"], entry["evidence"]) == ("sensor: worse than the version before", proven)
    assert answered(loop, NEXT).version.unique().tolist() == [5]


def raises(*_: Any) -> Any:
    raise OSError("gone")


def hangs(*_: Any) -> Any:
    time.sleep(60)


BREAKS = {
    "a changed file": (break_file, None, "differs from the file that was judged"),
    "a model that raises": (None, raises, "OSError: gone"),
    "a model that hangs": (None, hangs, "no answer within 2 s"),
    "NaN": (None, lambda pipeline, rows: [float("nan")] * len(rows), "not finite"),
    "the wrong shape": (None, lambda pipeline, rows: [0.5], "shape (1,)"),
}


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_champion_is_answered_for_told_once_and_nothing_is_promoted_on_it(ten_days, monkeypatch, how):
    loop, (damage, behave, said) = ten_days, BREAKS[how]
    if damage:
        damage(loop, "champion")
    else:
        champion = registry_here().load("flights", loop.decisions[-1]["serving"]["champion"])
        break_model(monkeypatch, champion, behave)

    with loop.opened() as replay:
        assert execute(replay, "daily", NEXT).success
        assert execute(replay, "retrain", NEXT).success

    made = answered(loop, NEXT)
    assert set(made.served_by + made.version.astype(str)) == {"previous5"} and made.score.notna().all()
    look = Look.from_dict(loop.store.read_document("conditions", date.fromisoformat(NEXT)))
    assert [condition.key for condition in look.holding] == ["served_by/previous"]
    decided = loop.decisions[-1]
    assert decided["as_of"] == NEXT and decided["decision"] != "promoted"
    assert decided["serving"]["champion"]["version"] == 2
    card = loop.store.card_path(decided["candidate"]["version"]).read_text()
    assert "| comparison | primary | not enough evidence | The champion could not be judged" in card
    comparison = next(gate for gate in decided["gates"] if gate["name"] == "comparison")
    assert comparison["verdict"] == "not enough evidence" and said in comparison["sentence"]


def break_model(monkeypatch: pytest.MonkeyPatch, broken: Any, behave: Any) -> None:
    """One model behaves otherwise; all others go on."""
    sound = models.predict

    def predict(pipeline: Any, rows: Any) -> Any:
        import numpy as np

        return np.asarray(behave(pipeline, rows)) if pipeline is broken else sound(pipeline, rows)

    monkeypatch.setattr(models, "predict", predict)


def test_without_any_model_and_any_registry_the_heuristic_answers_every_row_by_its_rules(ten_days, monkeypatch):
    loop = ten_days
    shutil.rmtree(loop.store.root / "models")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")

    assert loop.run_again("daily", NEXT).success

    made, batch = answered(loop, NEXT), loop.store.read("batch", date.fromisoformat(NEXT))
    assert set(made.served_by) == {"heuristic"} and len(made) == len(batch)
    rules = made.rule.str.partition(": ")
    assert set(rules[0]) == {loop.product.heuristic.digest[:8]}
    assert rules[2].value_counts().to_dict() == {
        "origin == 'JFK'": int((batch.origin == "JFK").sum()),
        "base rate": int((batch.origin != "JFK").sum()),
    }
    look = Look.from_dict(loop.store.read_document("conditions", date.fromisoformat(NEXT)))
    assert [(condition.key, condition.severity) for condition in look.holding] == [("served_by/heuristic", "critical")]


class Killed(BaseException):
    """The process dies here."""


MOVES = ("set_registered_model_alias", "delete_registered_model_alias")


@pytest.mark.parametrize(
    "steps", [0, 1, 2, 3], ids=["before it is recorded", "recorded", "one alias moved", "two moved"]
)
def test_killed_between_any_two_steps_of_a_rollback_the_next_run_finds_all_consistent(ten_days, monkeypatch, steps):
    """Steps: the entry, then champion and previous among the aliases, then the mark that they follow."""
    from mlflow import MlflowClient

    loop, left = ten_days, [steps]

    def dying(method: Any) -> Any:
        def step(*arguments: Any, **named: Any) -> Any:
            if not left[0]:
                raise Killed
            left[0] -= 1
            return method(*arguments, **named)

        return step

    registry_here().project("flights", loop.decisions[-1]["serving"])
    config = {"ops": {"flights__rollback": {"config": {"reason": "bad", "proven_on": None}}}}
    with loop.opened() as replay, monkeypatch.context() as patch:
        patch.setattr(Ledger, "_write_line", dying(Ledger._write_line))
        for name in MOVES:
            patch.setattr(MlflowClient, name, dying(getattr(MlflowClient, name)))
        patch.setattr(registry, "write_bytes", dying(registry.write_bytes))
        with pytest.raises(Killed):
            replay.definitions.resolve_job_def("flights_rollback").execute_in_process(
                instance=replay.instance,
                run_config=config,
                resources={"home": replay.home, "registry": replay.registry},
            )

    assert len(loop.decisions) == (3 if steps == 0 else 4)
    assert loop.run_again("daily", NEXT).success
    serves = 2 if steps == 0 else 5
    assert answered(loop, NEXT).version.unique().tolist() == [serves]
    assert registry_here().misplaced("flights", loop.decisions[-1]["serving"]) == []
