"""Incidents: conditions grouped until they are resolved, and who is told of them when.

The ledger has one entry for each decision and each message: `opened`, `seen`, `reminded`, `resolved`, and for a channel `joined` and
`sent`. Decisions are recorded before anything is sent, and a message after it was: killed in between, it is sent again. So a decision
is taken once, and a message arrives at least once.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from evergreen.alerts import Condition, Look
from evergreen.config import Alerts
from evergreen.ledger import Entry

OPENED, SEEN, REMINDED, RESOLVED = "opened", "seen", "reminded", "resolved"
NOTICES = {OPENED: "New", REMINDED: "Still open", RESOLVED: "Resolved"}
URGENCY = {"critical": "critical: act now", "warning": "warning: act within days"}
SUBJECT_AT_MOST = 150  # characters


@dataclass(frozen=True)
class Incident:
    """A condition from when it was first seen until it no longer held; `what`, `severity` and `to_do` are as last seen.

    `seen` holds the occurrences. `told` is when the last notice was decided, `reminders` how many reminders there were, `resolved`
    None while it is open.
    """

    id: str
    condition: str
    since: str
    told: str
    what: str
    severity: str
    to_do: str
    seen: frozenset[str]
    reminders: int = 0
    resolved: str | None = None


@dataclass(frozen=True)
class Message:
    """What goes out in one piece; `notices` are the keys of the ledger entries that it tells of, `fields` the same as data."""

    subject: str
    text: str
    fields: list[dict[str, Any]]
    notices: list[str]


def incidents(history: list[Entry]) -> dict[str, Incident]:
    """Every incident by its id, in the order of opening."""
    found: dict[str, Incident] = {}
    for entry in history:
        event, name = entry["event"], entry.get("incident", "")
        if event == OPENED:
            seen = frozenset([entry["occurrence"]])
            found[name] = Incident(name, entry["condition"], entry["since"], entry["at"], **_newest(entry), seen=seen)
        elif event == SEEN:
            found[name] = replace(found[name], seen=found[name].seen | {entry["occurrence"]}, **_newest(entry))
        elif event == REMINDED:
            found[name] = replace(found[name], told=entry["at"], reminders=found[name].reminders + 1)
        elif event == RESOLVED:
            found[name] = replace(found[name], told=entry["at"], resolved=entry["at"])
    return found


def _newest(entry: Entry) -> dict[str, Any]:
    return {name: entry[name] for name in ("what", "severity", "to_do")}


def open_incidents(history: list[Entry]) -> list[Incident]:
    return [incident for incident in incidents(history).values() if incident.resolved is None]


def last_sent(history: list[Entry]) -> dict[str, str]:
    """By incident, the moment of the last message about it that a channel took."""
    about = {entry["key"]: entry["incident"] for entry in history if entry["event"] in NOTICES}
    messages = [entry for entry in history if entry["event"] == "sent"]
    return {about[notice]: entry["at"] for entry in messages for notice in entry["notices"]}


def decide(look: Look, history: list[Entry], now: datetime, policy: Alerts) -> list[Entry]:
    """The entries that a look adds to the ledger, in order; nothing to say gives none."""
    known = incidents(history)
    still_open = {incident.condition: incident for incident in known.values() if incident.resolved is None}
    entries = _joining(history, policy)
    for key, group in _grouped(look.holding):
        incident = still_open.pop(key, None)
        if incident is None:
            number = 1 + sum(earlier.condition == key for earlier in known.values())
            entries += _opened(f"{key}#{number}", group)
        else:
            entries += _go_on(incident, group, now, policy)
    for key, incident in still_open.items():
        if key not in look.unjudged:
            entries.append({"key": f"{incident.id}/{RESOLVED}", "event": RESOLVED, "incident": incident.id})
    return [{**entry, "at": now.isoformat(timespec="seconds")} for entry in entries]


def due(history: list[Entry], channel: str, now: datetime, policy: Alerts, product: str) -> list[Message]:
    """What a channel is to be sent now: a message an incident with news, or all in one digest where the rate leaves no room.

    Of several notices about an incident that a channel has not had, because it was down or over its rate, the last one is told.
    """
    taken = [entry for entry in history if entry["event"] in ("joined", "sent") and entry["channel"] == channel]
    had = {notice for entry in taken for notice in entry["notices"]}
    news: dict[str, list[Entry]] = {}
    for entry in history:
        if entry["event"] in NOTICES and entry["key"] not in had:
            news.setdefault(entry["incident"], []).append(entry)
    recent = [entry for entry in taken if entry["event"] == "sent" and now - _moment(entry["at"]) < policy.at_most.per]
    room = policy.at_most.messages - len(recent)
    if room <= 0 or not news:
        return []
    known = incidents(history)
    if len(news) > room:
        return [_message(news, known, product)]
    return [_message({name: notices}, known, product) for name, notices in news.items()]


def sent(message: Message, channel: str, now: datetime) -> Entry:
    """The entry that says that a channel has taken a message."""
    content = {"event": "sent", "channel": channel, "notices": message.notices, "at": now.isoformat(timespec="seconds")}
    return {"key": f"sent/{channel}/{message.notices[-1]}", **content}


def _joining(history: list[Entry], policy: Alerts) -> list[Entry]:
    """A channel that is new hears of what is open and of what comes, and not of what was over before."""
    joined = {entry["channel"] for entry in history if entry["event"] == "joined"}
    known = incidents(history)
    over = [
        entry["key"]
        for entry in history
        if entry["event"] == REMINDED or (entry["event"] in NOTICES and known[entry["incident"]].resolved)
    ]
    names = [channel.name for channel in policy.channels if channel.name not in joined]
    return [{"key": f"joined/{name}", "event": "joined", "channel": name, "notices": over} for name in names]


def _grouped(conditions: Iterable[Condition]) -> list[tuple[str, list[Condition]]]:
    """Conditions by key, those of one key in the order of their days."""
    ordered = sorted(conditions, key=lambda condition: (condition.key, condition.since))
    return [(key, list(group)) for key, group in groupby(ordered, key=lambda condition: condition.key)]


def _opened(name: str, group: list[Condition]) -> list[Entry]:
    first = {
        **_seen(name, group[0]),
        "key": name,
        "event": OPENED,
        "condition": group[0].key,
        "since": group[0].since,
    }
    return [first, *(_seen(name, condition) for condition in group[1:])]


def _go_on(incident: Incident, group: list[Condition], now: datetime, policy: Alerts) -> list[Entry]:
    """What is new about an open incident: occurrences, and a reminder when it is time for one."""
    entries = [_seen(incident.id, condition) for condition in group if condition.occurrence not in incident.seen]
    if now - _moment(incident.told) >= policy.remind_after * 2**incident.reminders:
        key = f"{incident.id}/reminded/{incident.reminders + 1}"
        entries.append({"key": key, "event": REMINDED, "incident": incident.id})
    return entries


def _seen(name: str, condition: Condition) -> Entry:
    return {
        "key": f"{name}/seen/{condition.occurrence}",
        "event": SEEN,
        "incident": name,
        "occurrence": condition.occurrence,
        "what": condition.what,
        "severity": condition.severity,
        "to_do": condition.to_do,
    }


def _message(news: dict[str, list[Entry]], known: dict[str, Incident], product: str) -> Message:
    told = [(notices[-1]["event"], known[name]) for name, notices in news.items()]
    told.sort(key=lambda one: one[1].severity)  # critical before warning
    event, incident = told[0]
    one = f"{NOTICES[event].lower()}: {' '.join(incident.what.split())}"
    news_line = one if len(told) == 1 else f"{len(told)} incidents in one message"
    subject = f"[{product}] {incident.severity}, {news_line}"
    return Message(
        subject=subject if len(subject) <= SUBJECT_AT_MOST else f"{subject[: SUBJECT_AT_MOST - 1]}…",
        text="\n\n".join(_text(event, incident) for event, incident in told),
        fields=[_fields(event, incident) for event, incident in told],
        notices=[entry["key"] for notices in news.values() for entry in notices],
    )


def _text(event: str, incident: Incident) -> str:
    times = "once" if len(incident.seen) == 1 else f"{len(incident.seen)} times"
    lines = [
        f"{NOTICES[event]}: {incident.what}",
        f"Since: {shown(incident.since)}",
        f"How bad: {URGENCY[incident.severity]}",
    ]
    last = f"Resolved: {shown(str(incident.resolved))}" if event == RESOLVED else f"What to do: {incident.to_do}"
    return "\n".join([*lines, f"Seen: {times}", last])


def _fields(event: str, incident: Incident) -> dict[str, Any]:
    names = ("condition", "what", "since", "severity", "to_do", "resolved")
    return {
        "event": event,
        "incident": incident.id,
        **{name: getattr(incident, name) for name in names},
        "seen": len(incident.seen),
    }


def shown(when: str) -> str:
    """A period's name as it is, an ISO moment to the minute in UTC."""
    return f"{_moment(when).astimezone(UTC):%Y-%m-%d %H:%M} UTC" if ":" in when else when


def _moment(written: str) -> datetime:
    return datetime.fromisoformat(written)
