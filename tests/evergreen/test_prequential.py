import numpy as np
import pandas as pd
import pytest

from evergreen.prequential import compare_recipes, folds, predict_prequentially
from tests.evergreen.builders import day, shop


def numbers(pairs):
    return [tuple([moment.day for moment in days] for days in pair) for pair in pairs]


@pytest.mark.parametrize(
    ("changes", "whole", "days", "expected"),
    [
        ({}, 4, 2, [([1, 2], [3]), ([1, 2, 3], [4])]),
        ({}, 4, 9, [([1, 2], [3]), ([1, 2, 3], [4])]),
        ({}, 2, 2, []),
        ({}, 0, 2, []),
        ({"evaluation": {"window": "2d"}}, 6, 4, [([1, 2], [3, 4]), ([1, 2, 3, 4], [5, 6])]),
        ({"evaluation": {"window": "2d"}}, 6, 3, [([1, 2, 3], [4]), ([1, 2, 3, 4], [5, 6])]),
        ({"evaluation": {"window": "3d"}}, 6, 6, [([1, 2, 3], [4, 5, 6])]),
        ({"training": {"window": "2d"}}, 5, 2, [([2, 3], [4]), ([3, 4], [5])]),
        ({"training": {"window": "1d"}}, 4, 2, [([2], [3]), ([3], [4])]),
    ],
    ids=[
        "expanding",
        "short history",
        "too short",
        "none",
        "blocks",
        "a short first block",
        "one",
        "window",
        "short window",
    ],
)
def test_folds_train_before_they_judge(changes, whole, days, expected):
    pairs = folds([day(number) for number in range(1, whole + 1)], shop(changes), days)
    assert numbers(pairs) == expected
    judged = [moment for _, judging in pairs for moment in judging]
    assert judged == sorted(set(judged))
    assert all(max(training) < min(judging) for training, judging in pairs)


def table(days=6, rows=30):
    random = np.random.default_rng(0)
    amount = random.uniform(0, 10, days * rows)
    return pd.DataFrame(
        {
            "day": np.repeat(pd.DatetimeIndex([day(number) for number in range(1, days + 1)]), rows),
            "amount": amount,
            "color": pd.Series(random.choice(["red", "blue"], days * rows), dtype="str"),
            "label": (amount + random.normal(0, 2, days * rows) > 5).astype(float),
        }
    )


WHOLE = [day(number) for number in range(1, 7)]


def test_a_fold_is_predicted_from_the_days_before_it_alone():
    """Labels of the judged days and of later ones are turned around: no earlier score changes."""
    rows, product = table(), shop()
    pairs = folds(WHOLE, product, 2)
    turned = rows.assign(label=rows.label.where(rows.day < pd.Timestamp(day(5)), 1 - rows.label))
    judged, scores = predict_prequentially(rows, product, pairs)
    _, other = predict_prequentially(turned, product, pairs)
    fifth = (judged.day == pd.Timestamp(day(5))).to_numpy()
    assert len(scores) == 60
    assert np.array_equal(scores[fifth], other[fifth])
    assert not np.array_equal(scores[~fifth], other[~fifth])


def test_two_recipes_are_judged_on_the_same_rows():
    recipes = {"current": shop(), "blind": shop({"features": {"numeric": []}})}
    said = []
    card = compare_recipes(table(), WHOLE, recipes, 2, said.append)
    whole = card[card.slice == "all"].pivot(index="day", columns="scorer", values="rows")
    assert [moment.date() for moment in whole.index] == [day(5), day(6)]
    assert whole.to_numpy().tolist() == [[30, 30], [30, 30]]
    losses = card[card.slice == "all"].groupby("scorer").log_loss.mean()
    assert losses["current"] < losses["blind"]
    assert said[0] == "current: fit through 2024-01-04, judge 2024-01-05 to 2024-01-05"
    assert len(said) == 4


def test_only_folds_that_every_recipe_can_train_for_are_used():
    recipes = {"current": shop(), "patient": shop({"training": {"at_least": "5d"}})}
    card = compare_recipes(table(), WHOLE, recipes, 3)
    assert {moment.date() for moment in card.day} == {day(6)}
    assert set(card.scorer) == {"current", "patient"}


def test_a_history_too_short_for_one_fold_gives_an_empty_card():
    assert compare_recipes(table(), WHOLE[:2], {"current": shop()}, 3).empty
