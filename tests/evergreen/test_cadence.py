"""What hours, weeks and months mean where days are counted: the same product, living at another pace."""

from datetime import UTC, date, datetime, timedelta

import numpy as np
import pandas as pd
import pytest

from evergreen.alerts import look_at_clock
from evergreen.as_of import AsOf, first_decidable_day
from evergreen.cadence import Hour
from evergreen.errors import NotEnoughEvidence
from evergreen.evaluation import by_block, score_card
from evergreen.golden import choose
from evergreen.periods import Periods
from evergreen.prequential import folds
from evergreen.retraining import History, decide
from evergreen.sources import daily_files
from evergreen.storage import Store
from evergreen.training import first_needed_day, split_days
from tests.evergreen.builders import at, day, live_a_day, orders, returns, shop

HOURLY = shop({"time": {"cadence": "hourly"}, "label": {"matures_after": "90m"}, "evaluation": {"golden": "1d"}})
SPANS = {"training": {"at_least": "2mo", "window": "3mo"}, "evaluation": {"window": "1mo"}}
MONTHLY = shop({"time": {"cadence": "monthly"}, **SPANS})


def hours(first: int, last: int) -> list[date]:
    """The hours of these days of January, but those of the last day's evening."""
    return Periods.of(HOURLY.time).between(Hour(2024, 1, first), Hour(2024, 1, last, 17))


def test_hours_train_and_judge_in_whole_days():
    split = split_days(hours(1, 5), HOURLY)
    assert (split.training, split.judging) == (hours(1, 4)[:72], hours(4, 5)[:24])


def test_too_few_hours_are_told_in_days():
    with pytest.raises(NotEnoughEvidence, match="2 whole mature days, 2 are needed to train and 1 more to judge"):
        split_days(hours(1, 3), HOURLY)


def test_hours_are_reserved_and_compared_in_whole_days():
    assert choose(hours(1, 5), [], HOURLY) == hours(1, 2)[:24]
    assert choose(hours(1, 5), [Hour(2024, 1, 1, 5)], HOURLY) == hours(2, 3)[:24]
    [(training, judging)] = folds(hours(1, 4), HOURLY, 1)
    assert (training, judging) == (hours(1, 3)[:48], hours(3, 4)[:24])


def test_the_hours_of_a_day_are_one_observation():
    begin = pd.DatetimeIndex(hours(1, 2))
    rows = pd.DataFrame({"day": begin, "label": 1.0, "color": "red"})
    scores = {"candidate": np.full(len(rows), 0.5)}
    assert score_card(rows, scores, HOURLY).rows.tolist() == [24, 18, 24, 18]
    assert set(score_card(rows, scores, HOURLY, by_period=True).rows) == {1}


def test_a_measure_by_hour_is_pooled_by_day_with_the_weight_of_its_rows():
    begin = pd.DatetimeIndex(hours(1, 2))
    values, rows = pd.Series(1.0, index=begin), pd.Series(1, index=begin)
    values.iloc[0], rows.iloc[0], values.iloc[1] = 3.0, 18, np.nan
    pooled = by_block(values, rows, Periods.of(HOURLY.time))
    assert pooled.to_dict() == {pd.Timestamp("2024-01-01"): pytest.approx((3 * 18 + 22) / 40)}


@pytest.mark.parametrize(
    ("product", "first"),
    [
        (HOURLY, Hour(2024, 1, 5, 1)),
        (
            shop({"time": {"cadence": "weekly"}, "training": {"at_least": "2w"}, "evaluation": {"window": "7d"}}),
            date(2024, 1, 22),
        ),
        (MONTHLY, date(2024, 4, 1)),
    ],
    ids=["four days of hours, due two hours later", "three weeks", "three months"],
)
def test_the_first_decision_waits_for_enough_periods(product, first):
    assert first_decidable_day(product) == first


def test_a_window_of_months_reads_no_further_back_than_it_needs():
    assert first_needed_day(MONTHLY, date(2024, 12, 1)) == date(2024, 6, 1)
    assert first_needed_day(MONTHLY, date(2024, 3, 1)) == MONTHLY.time.start


@pytest.mark.parametrize(
    ("cooldown", "retrained", "held"),
    [
        ("2mo", date(2024, 4, 1), "cooldown (2 months after 2024-04-01)"),
        ("2mo", date(2024, 3, 1), None),
        ("1mo", date(2024, 4, 1), "budget (1 of 1 retrains in 3 months)"),
        ("1mo", date(2024, 3, 1), None),
    ],
)
def test_cooldown_and_budget_count_months(cooldown, retrained, held):
    policy = {"cooldown": cooldown, "budget": {"retrains": 1, "per": "3mo"}, "triggers": [{"kind": "drift"}]}
    product = shop({"time": {"cadence": "monthly"}, **SPANS, "retraining": policy})
    history = History(date(2024, 6, 1), pd.Series(dtype="float64"), None, 0.9, retrained, None, [retrained])
    assert decide(history, product).held_back_by == held


@pytest.mark.parametrize(("waited", "told"), [(timedelta(hours=26), 0), (timedelta(hours=27), 1)])
def test_a_month_is_overdue_once_it_has_ended_and_freshness_is_over(waited, told):
    product = shop({"time": {"cadence": "monthly"}, **SPANS})
    look = look_at_clock(product, date(2024, 1, 1), None, set(), datetime(2024, 3, 1, tzinfo=UTC) + waited)
    assert len(look.holding) == told
    if told:
        assert look.holding[0].to_do.endswith(
            "shop_monthly_schedule is on; then run shop_monthly for 2024-02-01 to 2024-02-01"
        )


def test_tables_and_documents_of_an_hour_are_found_by_its_name(tmp_path):
    store, hour = Store(tmp_path), Hour(2024, 1, 5, 7)
    store.write("batch", hour, pd.DataFrame({"id": ["a"]}))
    store.write_document("raw_batch", hour, {"began": hour})
    assert (tmp_path / "batch" / "day=2024-01-05T07" / "part-0.parquet").exists()
    assert (store.days("batch"), store.document_days("raw_batch")) == ([hour], [hour])
    assert store.read_document("raw_batch", hour) == {"began": "2024-01-05T07"}
    assert AsOf(store, HOURLY, hour).newest(2) == [Hour(2024, 1, 5, 6), hour]


def test_a_file_may_be_named_by_period(tmp_path):
    source = shop({"source": {"events": "{period}.csv", "outcomes": "{period}-told.csv"}}).source
    (tmp_path / "2024-01-05T07.csv").write_text("order_id\na\n")
    (tmp_path / "2024-01-05T07-told.csv").write_text("order_id\na\n")
    assert daily_files(source, tmp_path).read(Hour(2024, 1, 5, 7)).events.order_id.tolist() == ["a"]


def test_a_period_without_rows_has_none_that_are_mature(tmp_path):
    store, product = Store(tmp_path), shop({"validation": {"rows_per_period": {"at_least": 0}}})
    live_a_day(store, product, 1, orders(1, ["a"]))
    live_a_day(store, product, 2, orders(2, []), returns({"a": True}, at(2)))
    view = AsOf(store, product, day(2))
    assert (view.mature(day(2)).whole_days(), view.mature(day(1)).whole_days()) == ([], [day(1)])
    assert view.mature(day(2)).rows.columns.tolist() == view.mature(day(1)).rows.columns.tolist()
    assert (view.newly_mature_days(), view.coverage_of_due_days()) == ([day(1)], 1.0)
