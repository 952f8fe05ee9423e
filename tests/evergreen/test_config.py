import pytest
from pydantic import ValidationError

from evergreen.config import Product, Time
from evergreen.errors import ConfigError
from evergreen.product_files import overlay, parse
from tests.evergreen.builders import SHOP, shop

MAIL = {"kind": "email", "to": ["you@a.org"], "sender": "me@a.org", "host": "a.org"}


def test_durations_and_dates_survive_a_round_trip():
    product = shop({"training": {"window": "42d"}})
    assert parse(Product, product.model_dump(mode="json"), "again") == product


def test_values_never_change_after_load():
    with pytest.raises(ValidationError, match="frozen"):
        shop().name = "other"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": 3}, "version: Input should be 2"),
        ({"name": "My Shop"}, "name: String should match pattern"),
        ({"owner": "me"}, "owner: String should match pattern"),
        ({"task": "ranking"}, "task: Input should be 'binary'"),
        ({"decision": {"costs": {"false_negative": 2}}}, "costs must make the action worth it on positives"),
        ({"decision": {"costs": {"false_positive": 0}}}, "costs must make the action worth it on positives"),
        ({"source": {"events": "orders.parquet"}}, "events: String should match pattern"),
        ({"source": {"kind": "python", "function": "no_colon"}}, "function: String should match pattern"),
        ({"time": {"timezone": "Mars"}}, "'Mars' is not an IANA time zone such as America/New_York or UTC"),
        ({"time": {"timezone": "America"}}, "'America' is not an IANA time zone"),
        ({"time": {"timezone": "../UTC"}}, "'../UTC' is not an IANA time zone"),
        ({"time": {"timezone": ""}}, "'' is not an IANA time zone"),
        ({"time": {"end": "2023-12-31"}}, "end 2023-12-31 lies before start 2024-01-01"),
        ({"time": {"start": "soon"}}, "time.start: 'soon' is neither a date such as 2024-01-01 nor a local hour"),
        ({"time": {"start": None}}, "time.start: None is neither a date"),
        ({"time": {"cadence": "yearly"}}, "cadence: Input should be 'hourly', 'daily', 'weekly' or 'monthly'"),
        (
            {"time": {"cadence": "hourly", "timezone": "Europe/Berlin"}},
            "timezone Europe/Berlin has daylight saving, where an hour is missing and another comes twice",
        ),
        ({"time": {"cadence": "monthly"}}, "training.at_least: 2d is not a whole number of months: write 6mo"),
        (
            {"features": {"numeric": ["amount", "day", "label"]}},
            "day, label: the loop has a column of that name itself",
        ),
        ({"features": {"numeric": ["score__red"]}}, "score__red: the loop has a column of that name itself"),
        ({"validation": {"columns": {"action": {"required": True}}}}, "action: the loop has a column of that name"),
        ({"label": {"matures_after": None, "matures_at": "day"}}, "day: the loop has a column of that name itself"),
        ({"time": {"known_at": ["version"]}}, "version: the loop has a column of that name itself"),
        ({"time": {"event": "day"}}, "day: the loop has a column of that name itself"),
        ({"gates": {"change": {"days": "1d"}}}, "gates.change.days: a comparison needs at least 2 days"),
        (
            {"retraining": {"triggers": [{"kind": "performance", "over": "1d"}]}},
            "retraining.triggers: performance: over: a comparison needs at least 2 days",
        ),
        ({"rollback": {"at_least": "1d"}}, "rollback.at_least: a comparison needs at least 2 days"),
        ({"label": {"matures_after": None}}, "give exactly one of matures_after"),
        ({"label": {"matures_at": "due_at"}}, "give exactly one of matures_after"),
        ({"label": {"matched_for": "1d"}}, "matched_for must be longer than matures_after"),
        ({"label": {"coverage_at_least": 1.1}}, "label.coverage_at_least: Input should be less than or equal to 1"),
        ({"features": {"numeric": [], "categorical": []}}, "a product needs at least one feature"),
        ({"features": {"numeric": ["amount", "color"]}}, "named twice: color"),
        ({"features": {"numeric": ["told_at"]}}, "told_at: known only with the outcome, so it cannot be a feature"),
        ({"validation": {"columns": {"amount": {"between": [2, 1]}}}}, "between [2.0, 1.0] has no values"),
        ({"validation": {"rows_per_period": {"at_least": 3, "at_most": 2}}}, "at_most 2 lies below at_least 3"),
        ({"evaluation": {"slices": ["amount"]}}, "must be categorical or boolean features; these are not: amount"),
        ({"gates": {"confidence": 0.5}}, "gates.confidence: Input should be greater than 0.5"),
        (
            {"gates": {"disabled": ["comparison"]}},
            "Input should be 'new_process', 'ranking', 'slices', 'calibration', 'overfit', 'latency' or 'size'",
        ),
        ({"gates": {"approval": True}}, "gates.approval: Input should be 'none' or 'required'"),
        ({"gates": {"overfit_at_most": 0}}, "overfit_at_most: Input should be greater than 0"),
        ({"training": {"model": {"kind": "logistic", "C": 0}}}, "C: Input should be greater than 0"),
        ({"label": {"when": "returned >"}}, "label.when: 'returned >' is not an expression such as distance > 4000"),
        ({"time": {"runs_at": "02:30"}}, "'02:30' is not a cron line of five fields such as '30 2 * * *'"),
        ({"retraining": {"schedule": "99 4 * * 1"}}, "'99 4 * * 1' is neither daily, weekly, monthly nor a cron line"),
        (
            {"retraining": {"schedule": "hourly"}},
            "'hourly' is neither daily, weekly, monthly nor a cron line of five fields",
        ),
        (
            {"retraining": {"cooldown": "12h"}},
            "retraining.cooldown: 12h is not a whole number of days: write 14d or 2w",
        ),
        ({"rollback": {"at_least": "8d", "over": "7d"}}, "over must not be shorter than at_least"),
        ({"heuristic": {"rules": [{"when": "told_at > 1", "then": {"probability": 1}}]}}, "these are none: told_at"),
        (
            {"heuristic": {"rules": [{"when": "amount >", "then": {"probability": 1}}]}},
            "'amount >' is not an expression",
        ),
        ({"alerts": {"channels": []}}, "alerts.channels: List should have at least 1 item"),
        ({"alerts": {"channels": [{"kind": "log"}, {"kind": "log"}]}}, "told twice: log"),
        ({"alerts": {"channels": [{"kind": "pager"}]}}, "does not match any of the expected tags"),
        ({"alerts": {"channels": [MAIL | {"user": "me"}]}}, "give both user and password_from"),
        ({"alerts": {"channels": [MAIL | {"to": []}]}}, "to: List should have at least 1 item"),
        ({"alerts": {"channels": [MAIL | {"sender": "Me <me@a.org>"}]}}, "sender: String should match pattern"),
        (
            {"alerts": {"channels": [MAIL | {"user": "me", "password_from": "MINE", "security": "none"}]}},
            "security none would send the password in clear: write starttls or ssl",
        ),
        ({"alerts": {"remind_after": "0s"}}, "alerts.remind_after: Input should be greater than 0"),
        ({"alerts": {"at_most": {"messages": 0}}}, "messages: Input should be greater than or equal to 1"),
        ({"heuristic": {"before_training": -0.1}}, "before_training: Input should be greater than or equal to 0"),
    ],
)
def test_a_broken_rule_is_named(changes, message):
    with pytest.raises(ConfigError) as refused:
        shop(changes)
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "changes",
    [
        {"owner": "me@shop.example"},
        {"time": {"end": "2024-01-01", "runs_at": "0 6 * * 1-5"}},
        {"label": {"matures_after": None, "matures_at": "due_at"}},
        {"label": {"matched_for": "2d"}},
        {"id": "id", "time": {"event": "event_time"}, "label": {"matures_after": None, "matures_at": "matures_at"}},
        {"source": {"kind": "python", "function": "my.module:read"}},
        {"decision": {"costs": {"true_positive": -5, "true_negative": -1}}},
        {"training": {"window": "expanding"}},
        {"validation": {"columns": {"amount": {"between": [1, 1]}}, "rows_per_period": {"at_least": 2, "at_most": 2}}},
        {"retraining": {"schedule": "0 4 * * 1"}},
        {"gates": {"disabled": ["slices", "calibration", "latency"]}},
    ],
)
def test_a_kept_rule_is_accepted(changes):
    assert shop(changes).name == "shop"


@pytest.mark.parametrize("key", [key for key in SHOP if key not in ("evaluation",)])
def test_every_key_without_a_default_is_required(key):
    with pytest.raises(ConfigError, match=f"^shop: {key}: this key is required$"):
        parse(Product, {name: value for name, value in SHOP.items() if name != key}, "shop")


@pytest.mark.parametrize(
    ("changes", "same_recipe"),
    [
        ({"evaluation": {"window": "9d"}}, True),
        ({"gates": {"confidence": 0.9}}, True),
        ({"decision": {"good_enough": {"at_most": 1.0}}}, True),
        ({"features": {"numeric": ["amount", "weight"]}}, False),
        ({"label": {"when": "not returned"}}, False),
        ({"training": {"seed": 8}}, False),
        ({"training": {"model": {"C": 2.0}}}, False),
        ({"training": {"window": "9d"}}, False),
    ],
)
def test_the_recipe_changes_with_what_makes_a_model_and_with_nothing_else(changes, same_recipe):
    assert (shop(changes).recipe == shop().recipe) is same_recipe
    assert shop(changes).digest != shop().digest


def test_overlaid_mappings_merge_and_all_else_is_replaced():
    base = {"a": {"x": 1, "y": [1, 2]}, "b": 2}
    assert overlay(base, {"a": {"y": [3]}, "c": {"z": 1}}) == {"a": {"x": 1, "y": [3]}, "b": 2, "c": {"z": 1}}
    assert base == {"a": {"x": 1, "y": [1, 2]}, "b": 2}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"model": {"C": 2}}, {"model": {"kind": "logistic", "C": 2}}),
        ({"model": {"kind": "logistic", "C": 2}}, {"model": {"kind": "logistic", "C": 2}}),
        ({"model": {"kind": "xgboost"}}, {"model": {"kind": "xgboost"}}),
        ({"model": "none"}, {"model": "none"}),
        ({}, {"model": {"kind": "logistic", "C": 1}}),
    ],
    ids=["one key", "the same kind", "another kind brings none of the old keys", "a scalar", "nothing"],
)
def test_a_strategy_merges_with_its_own_kind_only(changes, expected):
    assert overlay({"model": {"kind": "logistic", "C": 1}}, changes) == expected


def test_alerts_go_to_the_log_where_nothing_else_is_said():
    assert [channel.name for channel in shop().alerts.channels] == ["log"]


def test_a_secret_written_into_the_file_is_refused_and_not_repeated():
    with pytest.raises(ConfigError) as refused:
        shop({"alerts": {"channels": [{"kind": "webhook", "url_from": "https://chat.example.org/s3cret"}]}})
    assert "url_from: String should match pattern" in str(refused.value)
    assert "the name of an environment variable is expected, never the secret" in str(refused.value)
    assert "s3cret" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "another"),
    [
        ({"training": {"model": {"C": 2.0}}}, True),
        ({"training": {"seed": 8}}, True),
        ({"training": {"window": "30d"}}, True),
        ({"features": {"numeric": []}}, True),
        ({"label": {"when": "not returned"}}, True),
        ({"training": {"at_least": "5d"}}, False),
        ({"training": {"baseline": {"kind": "logistic", "C": 3.0}}}, False),
        ({"label": {"coverage_at_least": 0.5}}, False),
        ({"gates": {"confidence": 0.9}}, False),
        ({"training": {"model": {"kind": "xgboost"}}}, True),
    ],
)
def test_a_recipe_is_what_makes_a_model_and_nothing_else(changes, another):
    assert (shop(changes).recipe != shop().recipe) == another


def test_threads_do_not_make_another_recipe():
    one, two = ({"training": {"model": {"kind": "xgboost", "threads": threads}}} for threads in (1, 2))

    assert shop(one).recipe == shop(two).recipe


def test_a_column_of_the_label_is_no_feature():
    with pytest.raises(ConfigError, match="returned: known only with the outcome"):
        shop({"features": {"numeric": ["amount", "returned"]}})


@pytest.mark.parametrize(
    ("cadence", "start", "end", "first", "last", "runs_at"),
    [
        ("hourly", "2024-01-17", "2024-01-18", "2024-01-17T00", "2024-01-18T23", "10 * * * *"),
        ("hourly", "2024-01-17T05", "2024-01-18T07", "2024-01-17T05", "2024-01-18T07", "10 * * * *"),
        ("daily", "2024-01-17", None, "2024-01-17", "None", "30 2 * * *"),
        ("weekly", "2024-01-17", "2024-12-31", "2024-01-15", "2024-12-30", "30 2 * * 1"),
        ("monthly", "2024-01-17", "2024-12-31", "2024-01-01", "2024-12-01", "30 2 1 * *"),
    ],
)
def test_a_product_lives_from_the_period_that_holds_its_start(cadence, start, end, first, last, runs_at):
    time = Time(event="ordered_at", predict_before="0s", cadence=cadence, start=start, end=end, timezone="UTC")
    assert (str(time.start), str(time.end), time.runs_at) == (first, last, runs_at)
    assert Time.model_validate(time.model_dump(mode="json")) == time
