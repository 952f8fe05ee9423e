"""The promotion decision, and who serves when: the promotion ledger is the truth.

An entry carries the serving state that follows from it, so that the state on any day is read and never reconstructed. An entry
without a `kind` is the decision on a candidate; the other kinds are `rollback` and what ends the wait of a candidate that passed
the gates, `approval` and `shadow`. `decision` says in a word what each did.

The record of a refitted version carries its `twin`: the version of the same recipe, trained before the judging days, that was
judged in its place.
"""

from dataclasses import dataclass
from datetime import date
from itertools import takewhile
from typing import Any

from evergreen.as_of import first_predicted_after
from evergreen.cadence import parse_period
from evergreen.config import Time
from evergreen.errors import LedgerError
from evergreen.gates import Gate
from evergreen.ladder import first_rung, unfit_baseline
from evergreen.ledger import Entry
from evergreen.periods import Periods
from evergreen.tasks import Prior

ROLES = ("champion", "previous", "baseline", "first")
PROMOTED, REFUSED, SUPERSEDED, ROLLED_BACK = "promoted", "refused", "superseded", "rolled back"
IN_SHADOW, AWAITING = "in shadow", "awaiting approval"
WAITING = {IN_SHADOW: "shadow", AWAITING: "awaiting"}
"""The roles of a candidate that passed the gates and does not serve yet, by the decision that gave it."""
SENSOR = "sensor: "


@dataclass(frozen=True)
class Decision:
    """`promoted`, `kept` (a gate refused) or `held` (evidence is missing), and the gate that decided."""

    outcome: str
    deciding_gate: str


def decide(gates: list[Gate]) -> Decision:
    """The first gate that blocks decides; where none does, the comparison has promoted."""
    for gate in gates:
        if gate.blocks:
            return Decision("kept" if gate.verdict == "fail" else "held", gate.name)
    return Decision("promoted", "comparison")


def sentence(entry: Entry) -> str:
    """An entry as a sentence: what happened, to which version, on what evidence, and who asked for it."""
    what = {PROMOTED: _promoted, ROLLED_BACK: _rolled_back}.get(entry["decision"], _not_promoted)(entry)
    return f"{entry['decision'].capitalize()}: {what}; {_why(entry)}; asked for by {asked_for_by(entry)}."


def _rolled_back(entry: Entry) -> str:
    rung, version = first_rung(entry["serving"])
    back = f"version {version} serves again" if rung == "champion" else f"the {rung} serves"
    return f"{back} instead of version {entry['withdrawn']}"


def _promoted(entry: Entry) -> str:
    version, before = entry["candidate"]["version"], entry["serving"]["previous"]
    if before:
        return f"version {version} replaces version {before['version']}"
    known_before = _version(entry, "first") not in (None, version)
    return f"version {version} is " + (
        "champion, where there was none any more" if known_before else "the first champion"
    )


def _not_promoted(entry: Entry) -> str:
    champion = entry["serving"]["champion"]
    stays = f"version {champion['version']} stays champion" if champion else "there is still no champion"
    if not champion and unfit_baseline(entry["serving"]):
        stays += ", and the heuristic answers: the baseline is not known to beat it"
    fates = {
        IN_SHADOW: "scores beside the champion before it may replace it",
        AWAITING: "waits for a person's yes or no",
        SUPERSEDED: f"passes every gate while version {_version(entry, 'shadow')} is in shadow",
        REFUSED: "is not promoted",
    }
    fate = fates.get(entry["decision"]) or f"does not pass {entry['deciding_gate']}"
    return f"version {entry['candidate']['version']} {fate}, {stays}"


def _why(entry: Entry) -> str:
    """The reason that was given, or what the gates found: against the champion, or against the baseline without one."""
    if "kind" in entry:
        return str(entry["reason"]).rstrip(".")
    if entry["decision"] in ("kept", "held"):
        return _reason(_gate(entry, entry["deciding_gate"]))
    compared = _gate(entry, "comparison")
    if not entry["serving"]["previous" if entry["decision"] == PROMOTED else "champion"]:
        return _reason(_gate(entry, "beats_baseline"))
    against = "between their twins" if "twin" in entry["candidate"] else "against it"
    return f"{entry.get('loss', 'log-loss')} {compared['value']:+.4f} [{compared['low']:+.4f}, {compared['high']:+.4f}] {against}"


def _version(entry: Entry, role: str) -> int | None:
    return (entry["serving"].get(role) or {}).get("version")


def _gate(entry: Entry, name: str) -> dict[str, Any]:
    return next(gate for gate in entry["gates"] if gate["name"] == name)


def _reason(gate: dict[str, Any]) -> str:
    """A gate's sentence as a part of another one."""
    text = str(gate["sentence"]).rstrip(".")
    return text[:1].lower() + text[1:]


def asked_for_by(entry: Entry) -> str:
    """Who asked: the schedule, a trigger or a hand, whose name may be known."""
    if triggers := asking_triggers(entry):
        return f"a trigger ({', '.join(triggers)})"
    requested = str(entry["requested_by"])
    return "the schedule" if requested == "schedule" else requested


def asking_triggers(entry: Entry) -> list[str]:
    """The triggers that asked for a decision; empty where the schedule or a hand did."""
    requested = str(entry["requested_by"])
    return requested.removeprefix(SENSOR).split(", ") if requested.startswith(SENSOR) else []


def decision_id(product: str, day: date) -> str:
    """One retrain a product and as-of day, whoever asks for it: schedule, sensor or hand."""
    return f"{product}/{day}"


def effective_from(day: date, scored_days: list[date], time: Time) -> date:
    """The first period that a model of `day` may serve and that is not scored yet: what already happened is never rewritten."""
    return max([first_predicted_after(day, time), *map(Periods.of(time).after, scored_days)])


def serving_after(
    outcome: str, before: dict[str, Any], candidate: dict[str, Any], baseline: dict[str, Any], base_rate: Prior
) -> dict[str, Any]:
    """The serving state that follows a decision.

    A state maps each of ROLES, and of the roles in WAITING, to a model record or None, `base_rate` to the heuristic's answer, and
    `withdrawn` to the versions that were rolled back. The newest baseline always takes its place, and `evergreen.ladder` says
    whether it serves from there; the first champion ever stays as the yardstick of never retraining.
    """
    state = {role: before.get(role) for role in (*ROLES, *WAITING.values())}
    state |= {"withdrawn": before.get("withdrawn", []), "baseline": baseline, "base_rate": base_rate}
    return moved(outcome, state, candidate)


def moved(outcome: str, state: dict[str, Any], candidate: dict[str, Any]) -> dict[str, Any]:
    """The state once a candidate is promoted, waits or is refused. One waits at a time: whoever comes, nobody else waits any more."""
    nobody = dict.fromkeys(WAITING.values())
    if outcome == PROMOTED:
        first = state["first"] or candidate
        return state | nobody | {"champion": candidate, "previous": state["champion"], "first": first}
    if outcome in WAITING:
        return state | nobody | {WAITING[outcome]: candidate}
    return state | nobody if outcome == REFUSED else state


def refuse_older_day(entries: list[Entry], as_of: str) -> None:
    """Decisions are taken in the order of their days. Raises LedgerError where a later day was decided already."""
    decided = decisions(entries)
    if decided and decided[-1]["as_of"] > as_of:
        newest = decided[-1]["as_of"]
        raise LedgerError(f"{as_of} cannot be decided any more, {newest} was: retrain for the newest day instead")


def refuse_changed_rows(entry: Entry, name: str, digest: str) -> None:
    """A decided day must still give the rows that it was decided on. `name` is training, refit or evaluation.

    Raises LedgerError, naming both digests.
    """
    before = entry[name]["digest"]
    if digest != before:
        raise LedgerError(
            f"{entry['key']} was decided on the {name} digest {before}, the same days now give {digest}: "
            "a partition was changed since; restore it (the decision stands)"
        )


def decisions(entries: list[Entry]) -> list[Entry]:
    """The decisions on candidates alone."""
    return [entry for entry in entries if "kind" not in entry]


def judged(record: dict[str, Any]) -> dict[str, Any]:
    """Who answers for a version wherever models are compared: its twin, or itself where it was not refitted."""
    return dict(record.get("twin") or record)


def serving_now(entries: list[Entry]) -> dict[str, Any]:
    """The serving state after the newest entry; empty before the first."""
    return dict(entries[-1]["serving"]) if entries else {}


def in_effect(entries: list[Entry], day: date) -> list[Entry]:
    """The entries that a day knows of: a later decision is its future."""
    return [entry for entry in entries if parse_period(entry["effective_from"]) <= day]


def serving_as_of(entries: list[Entry], day: date) -> Entry | None:
    """The entry that says who serves on a day; None before the first."""
    known = in_effect(entries, day)
    return known[-1] if known else None


def champion_since(entries: list[Entry]) -> date | None:
    """The first period that the newest champion serves without a break; None without a champion."""
    newest = _version(entries[-1], "champion") if entries else None
    if newest is None:
        return None
    *_, first = takewhile(lambda entry: _version(entry, "champion") == newest, reversed(entries))
    return parse_period(first["effective_from"])
