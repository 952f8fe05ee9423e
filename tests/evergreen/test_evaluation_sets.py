import shutil
from pathlib import Path

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from evergreen.as_of import AsOf
from evergreen.cadence import Hour, parse_period
from evergreen.errors import NotEnoughEvidence
from evergreen.evaluation_changes import compare, read_version
from evergreen.evaluation_sets import evaluation_manifest, failures_portion, read_cases, read_portion, topped_up
from evergreen.failure_cases import CASE
from evergreen.storage import Store
from evergreen.training import evidence_missing, possible_training_ids, read_manifest_rows, training_manifest
from tests.evergreen.builders import at, day, live_a_day, live_days, orders, returns, serve, shop

LAST = 12


@pytest.fixture(scope="module")
def twelve_days(tmp_path_factory):
    """Twelve days of six orders, all served by a model that says 0.01 to every second order."""
    store, product = Store(tmp_path_factory.mktemp("twelve") / "shop"), shop()
    live_days(store, product, LAST, rows=6)
    for number in range(1, LAST + 1):
        serve(store, product, number, {f"{number}-{row}": 0.01 for row in range(0, 6, 2)})
    return store


@pytest.fixture
def store(twelve_days, tmp_path):
    """A copy that a test may write to."""
    return Store(Path(shutil.copytree(twelve_days.root, tmp_path / "copy")))


def asked(golden=None, at_most=None, window="1d", least=100):
    failures = None if at_most is None else {"log_loss_over": 2.0, "at_most": at_most}
    return shop(
        {"evaluation": {"golden": golden, "failures": failures, "window": window, "slice_rows_at_least": least}}
    )


def decide(store, product, number, entries):
    """The manifests of training and evaluation as of a day, with the reservation that the first of them makes; both are written."""
    view = AsOf(store, product, day(number))
    training = training_manifest(view, entries)
    if training["golden"] and not entries:
        entries.append({"key": "shop/golden", "as_of": str(view.day), "days": training["golden"]})
    judging = evaluation_manifest(view, entries)
    store.write_document("training_set", view.day, {**training, "product": product.model_dump(mode="json")})
    store.write_document("evaluation_set", view.day, {**judging, "version": len(store.document_days("evaluation_set"))})
    return training, judging


@settings(max_examples=8, deadline=None)
@given(
    golden=st.sampled_from([None, "1d", "3d"]),
    at_most=st.sampled_from([1, 5, 100]),
    window=st.sampled_from(["1d", "3d"]),
    number=st.integers(9, LAST),
)
def test_no_row_is_in_a_training_set_and_in_golden_or_failures_known_then(twelve_days, golden, at_most, window, number):
    product, view = asked(golden, at_most, window), AsOf(twelve_days, asked(golden, at_most, window), day(number))
    training = training_manifest(view, [])
    judging = evaluation_manifest(view, [{"key": f"{product.name}/golden", "as_of": "", "days": training["golden"]}])
    possible, again = (set(possible_training_ids(view, made)) for made in (training, training["refit"]))
    assert set(read_manifest_rows(view, training).order_id) <= possible
    assert len(training["golden"]) == (int(golden[0]) if golden else 0)
    assert judging["portions"]["failures"]["rows"] > 0
    assert possible.isdisjoint(read_manifest_rows(view, judging).order_id)
    withheld = {*read_portion(view, judging["portions"]["golden"]).order_id}
    withheld |= {*read_cases(view, judging["portions"]["failures"]).order_id}
    assert possible.isdisjoint(withheld)
    assert again == possible | {*read_manifest_rows(view, judging).order_id} - withheld, "the refit learns what judged"


@pytest.mark.parametrize(("golden", "first"), [(None, 4), ("2d", 6)])
def test_a_retrain_waits_until_it_can_train_beside_its_golden_days(twelve_days, golden, first):
    """Two days train and one judges; the label of a day is due on the next."""
    product = asked(golden)
    missing = [evidence_missing(AsOf(twelve_days, product, day(number)), []) is None for number in (first - 1, first)]
    assert missing == [False, True]


def test_portions_are_manifests_with_an_origin(store):
    training, made = decide(store, asked("2d", 3), 8, [])
    golden, failures = made["portions"]["golden"], made["portions"]["failures"]
    assert made["days"] == [str(day(7))]
    assert (golden["days"], golden["rows"]) == ([str(day(1)), str(day(2))], 12)
    assert failures["rows"] == 3 == len(failures["cases"])
    assert failures["over_the_cap"] > 0
    assert all(portion["origin"] and len(portion["digest"]) == 16 for portion in made["portions"].values())
    assert training["withheld"] == {"golden": 12, "failures": len(training["left_out"])}
    assert training["rows"] == 4 * 6 - len(training["left_out"]), "days 3 to 6"


def test_failures_of_an_hourly_product_are_named_by_hours_that_can_be_read_again(tmp_path):
    product = shop({"time": {"cadence": "hourly"}, "training": {"at_least": "2d"}})
    error = {"id": "1", "label": 1.0, "score": 0.01, "version": 1, "log_loss": 4.6, "standing": CASE}
    errors = pd.DataFrame([error | {"day": pd.Timestamp(f"2024-01-02T{hour}:00")} for hour in ("07", "00")])
    made = failures_portion(AsOf(Store(tmp_path / "shop"), product, Hour(2024, 1, 3)), errors)
    assert made["days"] == ["2024-01-02T00", "2024-01-02T07"] == [str(parse_period(hour)) for hour in made["days"]]
    assert [case["day"] for case in made["cases"]] == made["days"][::-1]


def test_where_nothing_is_asked_for_nothing_is_withheld(store):
    training, made = decide(store, asked(), 8, [])
    assert training["withheld"] == {"golden": 0, "failures": 0}
    assert training["rows"] == 6 * 6
    assert [made["portions"][name]["rows"] for name in ("golden", "failures", "slices")] == [0, 0, 0]
    assert made["portions"]["golden"]["origin"] == "none: evaluation.golden is not set"


def test_the_same_day_gives_the_same_version_also_when_later_days_are_garbage(store):
    product, entries = asked("2d", 3), []
    training, made = decide(store, product, 8, entries)
    decide(store, product, 11, entries)
    for number in range(9, LAST + 1):
        store.write("predictions", day(number), store.read("predictions", day(number)).assign(score=0.999))
        store.write("labels", day(number), store.read("labels", day(number)).assign(label=0.0))
    assert decide(store, product, 8, entries) == (training, made)


@pytest.mark.parametrize(
    ("least", "added", "days"),
    [(3, 0, []), (4, 3, [day(2)]), (6, 3, [day(2)]), (7, 6, [day(1), day(2)]), (99, 6, [day(1), day(2)])],
)
def test_a_slice_is_topped_up_from_the_newest_golden_days_until_it_has_enough(store, least, added, days):
    product = asked("2d", least=least)
    _, made = decide(store, product, 8, [])
    slices = made["portions"]["slices"]
    assert slices["slices"] == [
        {"slice": f"color={color}", "fresh": 3, "added": added, "days": [str(known) for known in days]}
        for color in ("blue", "red")
    ]
    assert slices["enough"] == (2 if 3 + added >= least else 0)
    golden = read_portion(AsOf(store, product, day(8)), made["portions"]["golden"])
    assert len(topped_up(golden, slices["slices"], product)) == slices["rows"] == 2 * added


def changes(store, first, second):
    """(portion, change, day number, reason, rows)"""
    found = compare(read_version(store, day(first)), read_version(store, day(second)))
    counts = found.groupby(["portion", "change", "day", "reason"], sort=False).size()
    return [(portion, change, stamp.day, reason, rows) for (portion, change, stamp, reason), rows in counts.items()]


def test_two_versions_are_compared_row_by_row(store):
    entries = []
    decide(store, asked("1d"), 5, entries)
    decide(store, asked("1d"), 6, entries)
    assert changes(store, 5, 6) == [
        ("fresh", "came", 5, "its day is wholly mature now", 6),
        ("fresh", "went", 4, "trained on now", 6),
    ]
    assert changes(store, 5, 5) == []


def test_a_comparison_says_why_cases_came_and_went(store):
    product, entries = asked(at_most=2), []
    decide(store, product, 5, entries)
    serve(store, product, 5, {f"5-{row}": 0.999 for row in range(6)})
    decide(store, product, 6, entries)
    came = [line for line in changes(store, 5, 6) if line[:2] == ("failures", "came")]
    went = [line for line in changes(store, 5, 6) if line[:2] == ("failures", "went")]
    assert sum(line[4] for line in came) == 2
    assert {line[2:4] for line in came} == {(5, "a confident error, known since")}
    assert {line[3] for line in went} == {"released to training: newer cases fill the cap"}


def test_a_corrected_label_is_a_reason(store):
    product, entries = asked("1d", at_most=100), []
    decide(store, product, 5, entries)
    case = read_version(store, day(5)).document["portions"]["failures"]["cases"][-1]
    labels = store.read("labels", day(6))
    entry = labels.iloc[:1].assign(id=case["id"], label=1 - case["label"])
    store.write("labels", day(6), pd.concat([labels, entry], ignore_index=True))
    decide(store, product, 6, entries)
    number = int(case["day"][-2:])
    assert (
        "failures",
        "went",
        number,
        "no confident error any more: its label was corrected, or its day is out of reach",
        1,
    ) in changes(store, 5, 6)


def test_a_day_without_a_version_names_the_days_that_have_one(store):
    with pytest.raises(NotEnoughEvidence, match="no evaluation set as of 2024-01-05; the newest are as of none yet"):
        read_version(store, day(5))
    decide(store, asked(), 6, [])
    with pytest.raises(NotEnoughEvidence, match="the newest are as of 2024-01-06"):
        read_version(store, day(5))


def test_a_repeated_feature_row_is_one_case(tmp_path):
    store, product = Store(tmp_path / "shop"), asked(at_most=9)
    for number in range(1, 6):
        told = {f"{number - 1}-{row}": True for row in range(4)} if number > 1 else {}
        ids = [f"{number}-{row}" for row in range(4)]
        live_a_day(store, product, number, orders(number, ids, amount=[1.0, 1.0, 2.0, 3.0]), returns(told, at(number)))
        serve(store, product, number, {ids[0]: 0.01, ids[1]: 0.02, ids[2]: 0.03})
    made = evaluation_manifest(AsOf(store, product, day(5)), [])
    failures = made["portions"]["failures"]
    assert [case["id"] for case in failures["cases"]] == ["4-0", "4-2"]
    assert failures["duplicates"] == 4 * 3 - 2


def test_a_manifest_counts_and_digests_without_what_is_left_out(store):
    with_cases, _ = decide(store, asked(at_most=100), 8, [])
    without, _ = decide(store, asked(), 8, [])
    assert with_cases["left_out"]
    assert with_cases["rows"] == without["rows"] - len(with_cases["left_out"])
    assert with_cases["digest"] != without["digest"]


def test_another_portion_makes_another_version(store):
    asks = ({}, {"at_most": 3}, {"golden": "1d", "at_most": 3})
    digests = [decide(store, asked(**portions), 8, [])[1]["version_digest"] for portions in asks]
    assert len(set(digests)) == len(asks)
