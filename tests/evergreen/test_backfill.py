"""Which past days a backfill has to make again, and the command that the doctor gives for it."""

import pytest

from evergreen.backfill import absent, command, days_left, outdated
from evergreen.config import Product
from evergreen.product_files import overlay, parse
from evergreen.storage import Store
from evergreen.validation import empty_batch, validate
from tests.evergreen.builders import SHOP, day, orders, shop

DAYS = [day(1), day(2), day(3)]
WITH_PIECES = parse(Product, overlay(SHOP, {"features": {"numeric": ["amount", "pieces"]}}), "shop")
PIECES_AS_WORDS = parse(
    Product, overlay(SHOP, {"features": {"numeric": ["amount"], "categorical": ["color", "pieces"]}}), "shop"
)


@pytest.fixture
def store(tmp_path):
    """Three days of batch and quarantine: the first without `pieces`, the second with them, the third refused."""
    made = Store(tmp_path / "shop")
    for number, product in ((1, shop()), (2, WITH_PIECES)):
        parts = validate(orders(number, ["a"], pieces=[2.0]), product, day(number))
        made.write("batch", day(number), parts.batch)
        made.write("quarantine", day(number), parts.quarantine)
    made.write("batch", day(3), empty_batch(WITH_PIECES))
    made.write("quarantine", day(3), parts.quarantine)
    return made


def test_a_batch_is_outdated_where_it_lacks_a_feature_or_has_it_in_another_type(store):
    assert outdated(store, shop(), DAYS) == []
    assert outdated(store, WITH_PIECES, DAYS) == [day(1)]
    assert outdated(store, PIECES_AS_WORDS, DAYS) == DAYS


def test_what_cannot_be_read_is_no_outdated_batch(store):
    store.path("batch", day(1)).write_bytes(b"torn")
    assert outdated(store, WITH_PIECES, [day(1), day(4)]) == []


def test_a_day_is_left_until_what_the_asset_writes_is_there_and_up_to_date(store):
    assert days_left(store, WITH_PIECES, ["batch"], DAYS) == [day(1)]
    store.write("batch", day(1), store.read("batch", day(2)))
    assert days_left(store, WITH_PIECES, ["batch"], DAYS) == []
    store.path("quarantine", day(2)).unlink()
    assert days_left(store, WITH_PIECES, ["batch"], DAYS) == [day(2)]


def test_a_refused_day_has_nothing_after_its_batch_that_could_be_left(store):
    assert {"labels", "predictions"}.issubset(absent(store, WITH_PIECES, day(2), day(3)))
    assert days_left(store, WITH_PIECES, ["labels", "predictions"], DAYS) == [day(1), day(2)]


def test_the_command_selects_assets_and_not_their_tables():
    assert command(shop(), ["quarantine", "batch", "raw_events"], DAYS) == (
        "evergreen backfill shop --select batch,raw_batch --from 2024-01-01 --to 2024-01-03"
    )
    assert command(shop(), ["labels"], [day(2)], again=True).endswith("--from 2024-01-02 --to 2024-01-02 --again")
