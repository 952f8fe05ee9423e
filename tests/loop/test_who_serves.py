"""Who serves, and back: rollbacks, a ladder under fire and a registry that follows, in one short life that every test copies."""

import json
import logging
import os
import shutil
import time
from collections.abc import Iterator
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
import pytest

from evergreen import models
from evergreen.alerts import Look, look_at_ledger
from evergreen.cadence import parse_period
from evergreen.errors import ModelError
from evergreen.incidents import open_incidents
from evergreen.ledger import Ledger
from evergreen.promotion import serving_after
from evergreen.smoke import new_process
from evergreen.storage import Store
from pipelines import places, registry
from pipelines.alerting import look_and_tell
from pipelines.instance import opened_instance
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
    with loop.opened() as replay:
        look_and_tell(loop.product, loop.home, replay.instance, datetime.now(UTC), logging.getLogger("evergreen"))
    told = {incident.condition: incident for incident in open_incidents(loop.home.incidents(loop.product).entries())}
    assert told["rolled_back"].what.startswith("Rolled back: version 5 serves again instead of version 2;")


def first_entries(loop: Loop, count: int) -> None:
    """Only the first entries of the promotion ledger were ever written."""
    path = loop.home.promotions(loop.product).path
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:count]))


def test_a_candidate_that_needs_approval_waits_is_told_and_serves_after_a_yes(ten_days):
    """The retrain of the tenth day promoted version 5; asked for approval, it does not."""
    first_entries(ten_days, 1)
    loop = ten_days.changed({"gates": {"approval": "required"}})
    assert loop.run_again("retrain", "2013-01-10").success
    asked = loop.decisions[-1]
    assert (asked["decision"], asked["serving"]["champion"], asked["serving"]["awaiting"]["version"]) == (
        "awaiting approval", None, 5,
    )  # fmt: skip
    assert registry_here().aliases("flights") == {"baseline": 3, "awaiting": 5, "candidate": 5}
    assert "for a yes or no since 2013-01-11: evergreen approve flights" in flat(evergreen("status", "flights").stdout)
    assert [condition.key for condition in look_at_ledger(loop.decisions, loop.product).holding] == [
        "awaiting_approval"
    ]

    loop.live(NEXT)
    assert answered(loop, NEXT).served_by.unique().tolist() == ["heuristic"], "the baseline is not under the prior"
    with loop.opened() as replay:
        answer = {"approve": True, "by": "ann", "reason": "the card reads well", "decision": asked["key"]}
        done = replay.definitions.resolve_job_def("flights_approval").execute_in_process(
            instance=replay.instance,
            run_config={"ops": {"flights__approval": {"config": answer}}},
            resources={"home": replay.home, "registry": replay.registry},
        )
    assert done.success and roles(loop)["champion"] == 5
    assert registry_here().aliases("flights") == {"baseline": 3, "champion": 5, "never_retrained": 5, "candidate": 5}
    assert look_at_ledger(loop.decisions, loop.product).holding == []
    again = evergreen("reject", "flights", "--by", "bob", "--reason", "no")
    assert (again.returncode, again.stdout) == (1, "")
    assert "no candidate of flights waits; version 5 was promoted (hand (ann))" in again.stderr
    told = evergreen("timeline", "flights").stdout.splitlines()
    assert "2013-01-11 to 2013-01-11  approval of v5, decided in flights/2013-01-10: promoted after 1 day" in told
    assert "    Promoted: version 5 is the first champion; the card reads well; asked for by hand (ann)." in told


def test_in_shadow_a_candidate_scores_and_answers_nobody_until_its_days_are_over(ten_days):
    """Version 5 learnt from more than twice the days of version 2, so their scores differ; it is in its shadow for two mature days."""
    loop = ten_days.changed({"shadow": {"days": 2, "psi": 2}})
    second = loop.decisions[-1]
    told = {name: second[name] for name in second if name not in ("number", "key", "previous", "digest")}
    serving = serving_after("in shadow", second["serving"], second["candidate"], second["serving"]["baseline"], 0.2)
    told |= {"decision": "in shadow", "serving": serving}
    loop.home.promotions(loop.product).append("flights/shadowed", told)

    loop.live("2013-01-12")
    assert registry_here().aliases("flights")["shadow"] == 5
    assert "version 5, decided as of 2013-01-10, in shadow since 2013-01-11" in flat(
        evergreen("status", "flights").stdout
    )
    loop.live("2013-01-13")

    entry = loop.decisions[-1]
    assert (entry["key"], entry["kind"], entry["effective_from"]) == ("flights/shadowed/shadow", "shadow", "2013-01-14")
    assert [(gate["name"], gate["verdict"]) for gate in entry["gates"]] == [
        ("sound_scores", "pass"), ("latency", "pass"), ("distribution", "pass"), ("harm", "pass"),
    ]  # fmt: skip
    assert entry["decision"] == "promoted"
    assert roles(loop) == {"champion": 5, "previous": 2, "baseline": 3, "first": 5}
    assert "shadow" not in registry_here().aliases("flights")
    for day in (11, 12, 13):
        asked, made = (loop.store.read(name, date(2013, 1, day)) for name in ("shadow_scores", "predictions"))
        assert made.version.unique().tolist() == [2]
        assert asked.id.tolist() == made.id.tolist() and (asked.score != made.score).any()
    assert loop.run_again("daily", "2013-01-13").success
    assert len(loop.decisions) == 5
    told = evergreen("timeline", "flights").stdout
    assert "2013-01-11 to 2013-01-13  shadow of v5, decided in flights/shadowed: promoted after 3 days" in told


def flat(text: str) -> str:
    """What a table says, without its frame."""
    return " ".join(text.replace("│", " ").split())


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


def break_champion(loop: Loop, monkeypatch: pytest.MonkeyPatch, how: str) -> str:
    """The champion is broken from now on; returns what is said about it."""
    damage, behave, said = BREAKS[how]
    if damage:
        damage(loop, "champion")
    else:
        champion = registry_here().load("flights", loop.decisions[-1]["serving"]["champion"])
        break_model(monkeypatch, champion, behave)
    return said


@pytest.mark.parametrize("how", BREAKS)
def test_a_broken_champion_is_answered_for_and_told_once(ten_days, monkeypatch, how):
    loop = ten_days
    break_champion(loop, monkeypatch, how)

    assert loop.run_again("daily", NEXT).success

    made = answered(loop, NEXT)
    assert set(made.served_by + made.version.astype(str)) == {"previous5"} and made.score.notna().all()
    look = Look.from_dict(loop.store.read_document("conditions", date.fromisoformat(NEXT)))
    assert [condition.key for condition in look.holding] == ["served_by/previous"]


@pytest.mark.parametrize("how", ["a changed file", "a model that hangs"])
def test_nothing_is_promoted_on_a_broken_champion(ten_days, monkeypatch, how):
    """The judge asks a model as scoring does; in what other ways it can break is scoring's own test."""
    loop = ten_days
    said = break_champion(loop, monkeypatch, how)

    assert loop.run_again("daily", NEXT).success
    assert loop.run_again("retrain", NEXT).success

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


def test_a_new_process_takes_from_an_alias_only_what_was_judged(ten_days):
    """Version 5 was judged, and somebody moved the alias to version 2."""
    judged = ten_days.decisions[1]["candidate"]
    registry_here().set_alias("flights", "candidate", 2)
    arguments = ["flights", "candidate", judged["digest"], ""]
    rows = ten_days.store.read("batch", date(2013, 1, 10)).head(3)
    with (
        new_process("pipelines.alias_smoke", arguments, rows, os.environ) as scores,
        pytest.raises(ModelError, match="differs from the file that was judged"),
    ):
        scores()


def before(patch: pytest.MonkeyPatch, place: Any, name: str, dies: Any) -> None:
    """The process dies before `place.name` is called with arguments for which `dies` says so."""
    sound = getattr(place, name)

    def dying(*arguments: Any, **named: Any) -> Any:
        if dies(arguments, named):
            raise Killed
        return sound(*arguments, **named)

    patch.setattr(place, name, dying)


def steps_of_a_retrain() -> dict[str, tuple[Any, str, Any]]:
    """Where the process dies, step after step: what was done before is in the name."""
    from mlflow import MlflowClient

    from assets import promotion

    def written(name: str) -> Any:
        return lambda arguments, named: arguments[1] == name

    def any_call(arguments: Any, named: Any) -> bool:
        return True

    return {
        "fitted": (registry.Registry, "_log_and_register", lambda arguments, named: arguments[2].role == "candidate"),
        "logged": (
            MlflowClient,
            "create_model_version",
            lambda arguments, named: named["tags"]["evergreen.role"] == "candidate",
        ),
        "registered": (Store, "write_document", written("candidate_model")),
        "judged": (Store, "write_document", written("evaluation_report")),
        "reported": (registry.Registry, "log_evaluation", any_call),
        "told to MLflow": (Ledger, "_write_line", lambda arguments, named: arguments[0].path.stem == "promotions"),
        "decided": (promotion, "write_bytes", any_call),
        "card written": (MlflowClient, "log_text", any_call),
        "card told": (MlflowClient, "set_registered_model_alias", lambda arguments, named: arguments[2] != "candidate"),
        "aliases moved": (registry, "write_bytes", lambda arguments, named: arguments[1].name == "aliases.json"),
    }


def test_an_undecided_day_is_judged_by_the_baseline_that_the_file_declares_now(ten_days):
    """The baseline is no part of the recipe: run again with another one, the day has a version of it, and only one."""
    ten_days.run_again("daily", NEXT)
    ten_days.run_again("retrain", NEXT, only="training_set")

    def baseline(loop):
        assert loop.run_again("retrain", NEXT, only="baseline_model").success
        return loop.store.read_document("baseline_model", parse_period(NEXT))["version"]

    before = baseline(ten_days)
    assert baseline(ten_days) == before
    edited = ten_days.changed({"training": {"baseline": {"kind": "logistic", "C": 0.01}}})
    assert baseline(edited) == baseline(edited) == before + 1


def test_a_retrain_killed_at_every_step_one_after_another_decides_once_and_registers_once(ten_days, monkeypatch):
    """Each run goes one step farther than the one before it and dies there; so each starts from what a kill at that step leaves.
    The last died after its decision: nobody asks for the day any more, and the next replay makes what is owed."""
    from mlflow import MlflowClient

    loop, key = ten_days, f"flights/{NEXT}"
    with loop.opened() as replay:
        assert execute(replay, "daily", NEXT).success
        for step, (place, name, dies) in steps_of_a_retrain().items():
            with monkeypatch.context() as patch, pytest.raises(Killed):
                before(patch, place, name, dies)
                execute(replay, "retrain", NEXT, raise_on_error=True)
            decided = [entry["key"] for entry in loop.decisions].count(key)
            assert decided == (step in ("decided", "card written", "card told", "aliases moved")), step
    assert loop.live(NEXT).notes == [f"The decision as of {NEXT} stands; its checks and its card are made again."]

    with opened_instance() as instance:
        assert NEXT in instance.get_materialized_partitions(dg.AssetKey(["flights", "promotion"]))
    found = MlflowClient(places.tracking_uri()).search_model_versions("name='flights'")
    registered = {
        version.tags["evergreen.role"]: int(version.version)
        for version in found
        if version.tags["evergreen.decision"] == key
    }
    entry = loop.decisions[-1]
    assert [one["key"] for one in loop.decisions].count(key) == 1 and entry["key"] == key
    assert registered == {
        "baseline": entry["serving"]["baseline"]["version"],
        "candidate": entry["candidate"]["version"],
    }
    assert len(found) == 5 + len(registered)
    assert registry_here().misplaced("flights", entry["serving"]) == []
    assert registry_here().aliases("flights")["candidate"] == entry["candidate"]["version"]
    assert loop.store.card_path(entry["candidate"]["version"]).exists()
