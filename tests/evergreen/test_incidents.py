"""An incident is told when it begins, while it lasts, and when it is over; to each channel, once, and never too often."""

from datetime import UTC, datetime, timedelta

import pytest

from evergreen.alerts import NOTHING, Condition, Look
from evergreen.incidents import Message, decide, due, last_sent, open_incidents, sent, shown
from evergreen.ledger import Entry, Ledger
from tests.evergreen.builders import shop

START = datetime(2024, 1, 5, 3, tzinfo=UTC)
WEBHOOK = {"kind": "webhook", "url_from": "HOOK"}


def condition(key: str = "labels_missing", occurrence: str = "1", **changes: str) -> Condition:
    content = {
        "what": f"{key} on {occurrence}",
        "since": "2024-01-05",
        "severity": "warning",
        "to_do": "look",
    } | changes
    return Condition(key=key, occurrence=occurrence, **content)  # type: ignore[arg-type]


def holding(*conditions: Condition) -> Look:
    return Look(list(conditions), [])


class Desk:
    """A ledger and a clock: `look` records and sends, as the sensor does; `deaf` channels take nothing."""

    def __init__(self, ledger: Ledger, **alerts: object) -> None:
        self.ledger, self.policy = ledger, shop({"alerts": alerts} if alerts else {}).alerts
        self.deaf: set[str] = set()

    def decide(self, look: Look, hours: float) -> list[str]:
        now = START + timedelta(hours=hours)
        entries = decide(look, self.ledger.entries(), now, self.policy)
        for entry in entries:
            self.ledger.append(entry["key"], entry)
        return [entry["event"] for entry in entries]

    def send(self, hours: float, channel: str = "log") -> list[Message]:
        now, taken = START + timedelta(hours=hours), []
        for message in due(self.ledger.entries(), channel, now, self.policy, "shop"):
            if channel in self.deaf:
                break
            entry = sent(message, channel, now)
            self.ledger.append(entry["key"], entry)
            taken.append(message)
        return taken

    def look(self, look: Look, hours: float, channel: str = "log") -> list[str]:
        self.decide(look, hours)
        return [message.text.splitlines()[0] for message in self.send(hours, channel)]

    def open(self) -> list[str]:
        return [incident.id for incident in open_incidents(self.ledger.entries())]


@pytest.fixture
def desk(tmp_path) -> Desk:
    return Desk(Ledger(tmp_path / "incidents.jsonl"))


def test_an_incident_is_told_once_counted_silently_reminded_of_and_resolved(desk):
    told = [
        desk.look(holding(condition(occurrence="1")), 0),
        desk.look(holding(condition(occurrence="1")), 1),
        desk.look(holding(condition(occurrence="2")), 2),
        desk.look(holding(condition(occurrence="2")), 23.9),
        desk.look(holding(condition(occurrence="2")), 24),
        desk.look(holding(condition(occurrence="2")), 71.9),
        desk.look(holding(condition(occurrence="3")), 72),
        desk.look(NOTHING, 73),
        desk.look(NOTHING, 100),
    ]
    assert told == [
        ["New: labels_missing on 1"], [], [], [],
        ["Still open: labels_missing on 2"], [],
        ["Still open: labels_missing on 3"],
        ["Resolved: labels_missing on 3"], [],
    ]  # fmt: skip
    assert desk.open() == []


def test_what_holds_again_is_another_incident(desk):
    desk.look(holding(condition()), 0)
    desk.look(NOTHING, 1)
    assert desk.look(holding(condition()), 2) == ["New: labels_missing on 1"]
    assert desk.open() == ["labels_missing#2"]


def test_missing_evidence_resolves_nothing_and_opens_nothing(desk):
    unjudged = Look([], ["labels_missing"])
    assert desk.look(unjudged, 0) == []
    desk.look(holding(condition()), 1)
    assert desk.look(unjudged, 2) == []
    assert desk.open() == ["labels_missing#1"]
    assert desk.look(NOTHING, 3) == ["Resolved: labels_missing on 1"]


def test_conditions_of_one_key_are_one_incident_since_the_first_of_them(desk):
    late, early = condition(occurrence="b", since="2024-01-04"), condition(occurrence="a", since="2024-01-02")
    [text] = [message.text for _ in [desk.decide(holding(late, early), 0)] for message in desk.send(0)]
    assert text.splitlines() == [
        "New: labels_missing on b",
        "Since: 2024-01-02",
        "How bad: warning: act within days",
        "Seen: 2 times",
        "What to do: look",
    ]


def test_a_message_tells_the_same_in_its_subject_its_text_and_its_fields(desk):
    desk.decide(holding(condition(what="two\nlines", severity="critical")), 0)
    [message] = desk.send(0)
    assert message.subject == "[shop] critical, new: two lines"
    [fields] = message.fields
    assert fields.pop("resolved") is None
    assert fields == {
        "event": "opened", "incident": "labels_missing#1", "condition": "labels_missing", "what": "two\nlines",
        "since": "2024-01-05", "severity": "critical", "to_do": "look", "seen": 1,
    }  # fmt: skip
    desk.decide(holding(condition("other", what="x" * 500)), 0)
    assert len(desk.send(0)[0].subject) == 150


def test_killed_between_deciding_and_sending_it_is_sent_at_the_next_look(desk):
    assert desk.decide(holding(condition()), 0) == ["joined", "opened"]
    assert desk.look(holding(condition()), 1) == ["New: labels_missing on 1"]


@pytest.mark.parametrize("lines", range(6))
@pytest.mark.parametrize("still", [True, False], ids=["it still holds", "it is over"])
def test_killed_between_two_lines_of_a_decision_the_next_look_completes_it(desk, lines, still):
    """Five lines: a channel joins, two incidents open, one of them with three occurrences."""
    look = holding(*(condition(occurrence=occurrence) for occurrence in "abc"), condition("other"))
    entries = decide(look, [], START, desk.policy)
    assert len(entries) == 5
    for entry in entries[:lines]:
        desk.ledger.append(entry["key"], entry)
    told = desk.look(look if still else NOTHING, 1)
    opened = sum(entry["event"] == "opened" for entry in entries[:lines])
    assert len(told) == (2 if still else opened)
    assert desk.open() == (["labels_missing#1", "other#1"] if still else [])
    seen = [len(incident.seen) for incident in open_incidents(desk.ledger.entries())]
    assert seen == ([3, 1] if still else [])


def test_killed_between_sending_and_recording_it_is_sent_again(desk):
    desk.decide(holding(condition()), 0)
    history = desk.ledger.entries()
    first, second = (due(history, "log", START, desk.policy, "shop") for _ in range(2))
    assert first == second != []


def test_two_looks_at_once_decide_one_thing(desk):
    look = holding(condition())
    both: list[list[Entry]] = [decide(look, [], START + timedelta(seconds=second), desk.policy) for second in (0, 1)]
    for entries in both:
        for entry in entries:
            desk.ledger.append(entry["key"], entry)
    assert [entry["event"] for entry in desk.ledger.entries()] == ["joined", "opened"]


def test_a_deaf_channel_stops_no_other_and_hears_the_newest_of_each_incident_when_it_is_back(tmp_path):
    desk = Desk(Ledger(tmp_path / "incidents.jsonl"), channels=[{"kind": "log"}, WEBHOOK])
    desk.deaf = {"webhook HOOK"}
    assert desk.look(holding(condition(), condition("other")), 0, "webhook HOOK") == []
    assert len(desk.send(0)) == 2
    assert desk.look(holding(condition()), 30, "webhook HOOK") == []
    desk.deaf = set()
    assert desk.look(holding(condition()), 31, "webhook HOOK") == [
        "Still open: labels_missing on 1",
        "Resolved: other on 1",
    ]
    assert desk.send(32, "webhook HOOK") == []


def test_a_new_channel_hears_of_what_is_open_and_of_nothing_that_is_over(desk):
    desk.look(holding(condition(), condition("over")), 0)
    desk.look(holding(condition()), 30)
    desk.policy = shop({"alerts": {"channels": [{"kind": "log"}, WEBHOOK]}}).alerts
    assert desk.look(holding(condition()), 31, "webhook HOOK") == ["New: labels_missing on 1"]


def test_what_exceeds_the_rate_waits_and_comes_in_one_digest_with_nothing_lost(tmp_path):
    desk = Desk(Ledger(tmp_path / "incidents.jsonl"), at_most={"messages": 2, "per": "1h"})
    several = [*(condition(f"c{number}") for number in range(5)), condition("c5", severity="critical")]
    assert desk.look(holding(*several[:2]), 0) == ["New: c0 on 1", "New: c1 on 1"]
    assert desk.look(holding(*several[:4]), 0.5) == [], "no room in this hour"
    desk.decide(holding(*several), 1)
    [digest] = desk.send(1)
    assert digest.subject == "[shop] critical, 4 incidents in one message"
    assert [field["condition"] for field in digest.fields] == ["c5", "c2", "c3", "c4"], "the worst first"
    assert digest.text.count("What to do: look") == 4
    assert desk.send(1) == []
    assert desk.look(holding(*several[1:]), 1.1) == ["Resolved: c0 on 1"]


def test_when_each_incident_was_last_sent(desk):
    desk.decide(holding(condition()), 0)
    assert last_sent(desk.ledger.entries()) == {}
    desk.send(1)
    sent_at = last_sent(desk.ledger.entries())
    assert {name: shown(when) for name, when in sent_at.items()} == {"labels_missing#1": "2024-01-05 04:00 UTC"}
