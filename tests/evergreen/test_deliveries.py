"""Which days are asked for again because files came late or were corrected."""

from pathlib import Path

import pytest

from evergreen.deliveries import Arrival, look_for_arrivals
from evergreen.digests import digest_json
from evergreen.sources import DailyFiles
from evergreen.storage import Store
from tests.evergreen.builders import day, orders, returns

DAYS = [day(1), day(2), day(3)]


@pytest.fixture
def files(tmp_path) -> DailyFiles:
    return DailyFiles(str(tmp_path / "orders-{day}.parquet"), str(tmp_path / "returns-{day}.parquet"))


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(tmp_path / "shop")


def deliver(files, number, ids=("a", "b")):
    orders(number, ids).to_parquet(files.events.format(day=day(number)))
    returns({}, day(number)).to_parquet(files.outcomes.format(day=day(number)))


def read(files, store, number):
    store.write_document("raw_batch", day(number), files.read(day(number)).provenance)


def look(files, store, tried=(), since=0):
    return look_for_arrivals(files, store, DAYS, lambda asked: asked in tried, since)


def test_what_was_read_and_what_was_never_tried_is_nobodys_arrival(files, store):
    deliver(files, 1)
    read(files, store, 1)
    deliver(files, 2)

    assert look(files, store).arrivals == []


def test_a_file_that_came_after_its_day_was_tried_is_late(files, store):
    deliver(files, 2)

    [found] = look(files, store, tried={day(2)}).arrivals

    assert (found.day, found.kind) == (day(2), "late")


def test_half_a_delivery_is_none(files, store):
    deliver(files, 2)
    Path(files.outcomes.format(day=day(2))).unlink()

    assert look(files, store, tried={day(2)}).arrivals == []


def test_other_content_is_a_correction_of_that_day_alone(files, store):
    for number in (1, 2, 3):
        deliver(files, number)
        read(files, store, number)
    deliver(files, 2, ids=("a",))

    assert look(files, store).arrivals == [Arrival(day(2), "corrected", digest_json(files.fingerprint(day(2))))]


def test_a_day_that_another_kind_of_source_gave_is_corrected_by_its_file(files, store):
    deliver(files, 1)
    store.write_document("raw_batch", day(1), {"function": "shop:read"})

    assert [found.kind for found in look(files, store).arrivals] == ["corrected"]


def test_the_same_content_again_is_no_correction(files, store):
    deliver(files, 2)
    read(files, store, 2)
    since = look(files, store).newest
    deliver(files, 2)

    later = look(files, store, since=since)

    assert later.arrivals == []
    assert later.newest > since, "it was looked at"


def test_the_next_look_begins_where_this_one_ended(files, store):
    """An arrival that was asked for is found again only while it is the newest: its run key is the same, so it runs once."""
    for number in (1, 2):
        deliver(files, number)
    tried = set(DAYS)
    first = look(files, store, tried)
    again = look(files, store, tried, first.newest)
    deliver(files, 3)
    third = look(files, store, tried, first.newest + 1)

    assert [found.day for found in first.arrivals] == [day(1), day(2)]
    assert [found.day for found in again.arrivals] == [day(2)]
    assert again.arrivals[0] == first.arrivals[1]
    assert [found.day for found in third.arrivals] == [day(3)]
