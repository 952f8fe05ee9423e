"""Every kind of feature through every kind of model: what was not seen, what is missing, and what comes beside."""

import numpy as np
import pandas as pd
import pytest

from evergreen import models
from evergreen.config import Features, LinearModel, LogisticModel, SklearnModel, Target, XGBoostModel
from evergreen.digests import digest_file
from evergreen.errors import ConfigError
from evergreen.features import RARE_CATEGORY, FeatureEncoder, KnownCategories, date_parts, prepared
from evergreen.rehearsal import rehearse
from evergreen.validation import validate
from tests.evergreen.builders import day, orders, shop

KINDS = {"numeric": ["amount"], "categorical": ["color", "shelf"], "boolean": ["gift"], "date": ["joined"]}
TYPED, ALL = Features(**KINDS), Features(**KINDS, text=["note"])
PRODUCT = shop({"features": {**KINDS, "text": ["note"]}, "validation": {"quarantine_at_most": 0.9}})


def named(path, **parameters):
    return SklearnModel(kind="sklearn", estimator=f"sklearn.{path}", parameters=parameters)


BINARY, NUMBER = Target("binary", 2), Target("regression", 0)
MODELS = {
    "trees": (XGBoostModel(kind="xgboost", n_estimators=8, max_depth=4), TYPED, BINARY),
    "boosted": (named("ensemble.HistGradientBoostingClassifier", max_iter=8), TYPED, BINARY),
    "neighbours": (named("neighbors.KNeighborsClassifier"), TYPED, BINARY),
    "forest": (named("ensemble.RandomForestClassifier", n_estimators=8), ALL, BINARY),
    "sgd": (named("linear_model.SGDClassifier", loss="log_loss"), ALL, BINARY),
    "logistic": (LogisticModel(kind="logistic"), ALL, BINARY),
    "linear": (LinearModel(kind="linear"), ALL, NUMBER),
}
EVERY = pytest.mark.parametrize("name", MODELS)
WITH_TEXT = pytest.mark.parametrize("name", [name for name, (_, features, _) in MODELS.items() if features is ALL])


def delivered(rows=400):
    """Orders as they come: a shelf is a number, a gift a word, a date a text."""
    random = np.random.default_rng(0)
    return orders(
        1,
        [str(number) for number in range(rows)],
        amount=random.uniform(0, 10, rows),
        color=random.choice(["blue", "green", "red"], rows),
        shelf=random.choice([3, 4, 11], rows),
        gift=random.choice(["yes", "no"], rows),
        joined=[
            str(when) for when in pd.Timestamp("2023-01-01") + pd.to_timedelta(random.integers(0, 9000, rows), "h")
        ],
        note=random.choice(["please wrap it", "came late, was broken", "thank you"], rows),
    )


def batch_of(events):
    return validate(events, PRODUCT, day(1)).batch


@pytest.fixture(scope="module")
def rows():
    """Wrapped green gifts come back, and what was bought by a customer who joined on a Monday; some values are missing."""
    events = delivered()
    for place, name in enumerate(["color", "shelf", "gift", "joined", "note"]):
        events[name] = events[name].astype("object").mask(np.arange(len(events)) % 15 == place, None)
    table = batch_of(events)
    wrapped = table.note.str.contains("wrap").fillna(False) & (table.gift == 1)
    return table.assign(
        label=(wrapped | (table.color == "green") | (table.joined.dt.day_of_week == 0)).astype("float64")
    )


def fit(name, rows):
    model, features, target = MODELS[name]
    return models.fit(model, features, 7, rows, target)


@pytest.fixture(scope="module")
def fitted(rows):
    return {name: fit(name, rows) for name in MODELS}


def test_a_delivery_becomes_the_types_of_its_kinds():
    events = delivered(2).assign(gift=[True, None], joined=["2024-01-05", "2024-01-05T22:30:00-05:00"])
    table = batch_of(events)
    assert table.gift.fillna(-1).tolist() == [1.0, -1.0]
    assert table.joined.tolist() == [pd.Timestamp("2024-01-05"), pd.Timestamp("2024-01-06 03:30")]
    assert {name: str(kind) for name, kind in table[ALL.names].dtypes.items()} == {
        "color": "str",
        "shelf": "str",
        "amount": "float64",
        "gift": "float64",
        "joined": "datetime64[us]",
        "note": "str",
    }


def test_the_parts_of_a_date_are_numbers():
    dates = pd.Series(pd.to_datetime(["2024-02-29 13:45", None]))
    np.testing.assert_array_equal(date_parts(dates), [[2024, 2, 29, 3, 13], [np.nan] * 5])


@EVERY
def test_an_unseen_category_scores_exactly_as_a_missing_one(fitted, rows, name):
    unseen = rows.assign(color=pd.Series("grey", rows.index, dtype="str"))
    missing = rows.assign(color=pd.Series(np.nan, rows.index, dtype="str"))
    scores = models.predict(fitted[name], unseen)
    assert np.array_equal(scores, models.predict(fitted[name], missing))
    assert not np.array_equal(scores, models.predict(fitted[name], rows))


@EVERY
def test_the_order_of_columns_and_new_ones_do_not_count(fitted, rows, name):
    turned = rows[rows.columns[::-1]].assign(surplus="x", another=1.0)
    assert np.array_equal(models.predict(fitted[name], turned), models.predict(fitted[name], rows))


@EVERY
@pytest.mark.parametrize("column", ALL.names)
def test_a_column_without_a_single_value_is_answered(fitted, rows, name, column):
    """Also where pandas gives such a column another type than it has on other days."""
    typed = models.predict(fitted[name], rows.assign(**{column: pd.Series(None, rows.index, dtype=rows[column].dtype)}))
    untyped = models.predict(fitted[name], rows.assign(**{column: pd.Series(None, rows.index, dtype="object")}))
    assert np.isfinite(typed).all()
    assert np.array_equal(typed, untyped)


@EVERY
def test_a_model_can_be_fitted_though_columns_have_no_value(rows, name):
    lost = MODELS[name][1].names[1:]
    empty = rows.assign(**{column: pd.Series(None, rows.index, dtype=rows[column].dtype) for column in lost})
    assert np.isfinite(models.predict(fit(name, empty), rows)).all()


@EVERY
def test_a_category_that_arrives_as_numbers_is_the_same_category(fitted, name):
    """One day's file has whole numbers, the next day's has a gap and so decimal ones, the third has texts."""
    events = delivered(6).assign(shelf=[3, 4, 11, 3, 4, 11])
    scores = models.predict(fitted[name], batch_of(events))
    as_texts = events.assign(shelf=events.shelf.astype("str"))
    with_a_gap = batch_of(events.assign(shelf=events.shelf.astype("float64").mask(events.index == 5)))
    assert np.array_equal(models.predict(fitted[name], batch_of(as_texts)), scores)
    assert with_a_gap.shelf.fillna("").tolist() == ["3", "4", "11", "3", "4", ""]
    assert np.array_equal(models.predict(fitted[name], with_a_gap)[:5], scores[:5])


@WITH_TEXT
def test_an_empty_text_a_missing_one_and_unknown_words_say_the_same(fitted, rows, name):
    texts = {text: pd.Series(text, rows.index, dtype="str") for text in ("", "zzz ?!", np.nan)}
    empty, unknown, missing = (models.predict(fitted[name], rows.assign(note=text)) for text in texts.values())
    assert np.array_equal(empty, unknown)
    assert np.array_equal(empty, missing)
    assert not np.array_equal(empty, models.predict(fitted[name], rows))


@EVERY
def test_it_is_read_back_and_every_feature_has_its_share(fitted, rows, tmp_path, name):
    path = tmp_path / "model.skops"
    models.save(fitted[name], path)
    scores = models.predict(fitted[name], rows)
    assert np.array_equal(models.predict(models.load(path, digest_file(path)), rows), scores)
    shares = models.importances(fitted[name], MODELS[name][1], rows)
    assert set(shares) == set(MODELS[name][1].names)
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["color"] > shares["amount"]


def test_one_row_alone_scores_as_among_others(fitted, rows):
    for name, pipeline in fitted.items():
        alone = [models.predict(pipeline, rows.iloc[[place]])[0] for place in range(5)]
        assert alone == pytest.approx(models.predict(pipeline, rows)[:5].tolist()), name


def test_the_columns_of_trees_are_named_as_those_of_linear_models(rows):
    encoder = FeatureEncoder(["color"], ["amount"], ["gift"], ["joined"]).fit(rows)
    plain = prepared(Features(numeric=["amount"], boolean=["gift"], date=["joined"])).fit(rows)
    assert encoder.get_feature_names_out() == ["categorical__color", *plain.get_feature_names_out()]
    assert encoder.transform(rows).shape == (len(rows), 8)


def test_a_part_of_a_date_that_training_did_not_see_counts_as_the_nearest_that_it_saw():
    """A linear model that learnt from the 25th to the 31st was asked about the 1st, and answered three times as much as there was."""
    seen, asked = (
        pd.DataFrame({"joined": pd.to_datetime(dates)})
        for dates in (["2024-05-25", "2024-05-31"], ["2024-06-01", None])
    )
    plain = prepared(Features(date=["joined"])).fit(seen)
    day = list(plain.get_feature_names_out()).index("date__joined_day")
    assert plain.transform(seen)[:, day].tolist() == [-1, 1]
    assert plain.transform(asked)[:, day].tolist() == [-1, 0], "the 25th; a missing date is the median"


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([True, False, None], [1, 0, None]),
        ([1, 0, 1], [1, 0, 1]),
        ([1.0, None, 0.0], [1, None, 0]),
        (["true", "FALSE", " Yes "], [1, 0, 1]),
        (["n", "Y", "off"], [0, 1, 0]),
        (["1", "0.0", None], [1, 0, None]),
        ([None, None, None], [None, None, None]),
    ],
    ids=str,
)
def test_what_means_true_or_false_is_a_boolean(values, expected):
    table = batch_of(delivered(3).assign(gift=values))
    assert table.gift.astype("object").where(table.gift.notna(), None).tolist() == expected


@pytest.mark.parametrize("value", ["maybe", 2, 0.5, ""])
def test_what_is_neither_true_nor_false_is_missing_with_a_reason_as_with_numbers(value):
    found = validate(delivered(3).assign(gift=["yes", "no", value]), PRODUCT, day(1))
    assert found.quarantine.reasons.tolist() == ["gift: not true or false"]


def test_what_is_no_date_leaves_with_a_reason():
    found = validate(delivered(3).assign(joined=["2024-01-05", "soon", None]), PRODUCT, day(1))
    assert found.quarantine.reasons.tolist() == ["joined: not a date"]
    assert found.batch.joined.isna().tolist() == [False, True]


def test_a_date_that_a_clock_skipped_is_still_a_date():
    """Midnight of 2018-11-04 did not exist in São Paulo; who was born on that day is no bad row."""
    product = shop({"features": KINDS, "time": {"timezone": "America/Sao_Paulo"}})
    found = validate(delivered(1).assign(joined="2018-11-04"), product, day(1))
    assert found.batch.joined.tolist() == [pd.Timestamp("2018-11-04")]


def test_trees_that_take_no_text_are_refused_with_the_way_out():
    with pytest.raises(ConfigError, match="kind xgboost takes no text: use kind logistic or linear, or kind sklearn"):
        shop({"features": {"text": ["note"]}, "training": {"model": {"kind": "xgboost"}}})
    histogram = {"kind": "sklearn", "estimator": "sklearn.ensemble.HistGradientBoostingClassifier"}
    with pytest.raises(ConfigError, match="choose an estimator that takes one, such as sklearn"):
        rehearse(shop({"features": {"text": ["note"]}, "training": {"model": histogram}}))


def test_a_rehearsal_has_every_kind_of_feature():
    rehearse(shop({"features": {**KINDS, "text": ["note"]}}))


def test_new_kinds_that_are_not_used_change_no_recipe():
    assert "boolean" not in shop().model_dump(mode="json")["features"]
    assert shop({"features": {"boolean": []}}).recipe == shop().recipe
    assert shop({"features": {"boolean": ["gift"]}}).recipe != shop().recipe


def test_a_category_that_training_did_not_see_becomes_missing():
    known = KnownCategories().fit(pd.DataFrame({"color": ["blue", "red"]}))
    answered = known.transform(pd.DataFrame({"color": ["grey", "red", None]}))
    assert answered.color.fillna("missing").tolist() == ["missing", "red", "missing"]


def test_rare_categories_are_one():
    colors = ["blue"] * RARE_CATEGORY + ["grey"] * (RARE_CATEGORY - 1) + ["pink"] * (RARE_CATEGORY - 1)
    encoder = prepared(Features(categorical=["color"])).fit(pd.DataFrame({"color": colors}))
    blue, grey, pink = np.asarray(encoder.transform(pd.DataFrame({"color": ["blue", "grey", "pink"]})))
    assert grey.tolist() == pink.tolist() != blue.tolist()
