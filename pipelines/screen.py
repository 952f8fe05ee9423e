"""What the command line shows: the progress bar, and tables of results."""

from datetime import date
from types import TracebackType
from typing import Any

from pandas import isna
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.tree import Tree

from evergreen.as_of import AsOf, first_served_day
from evergreen.config import Product
from evergreen.explain import Explanation
from evergreen.incidents import last_sent, open_incidents, shown
from evergreen.ladder import HEURISTIC, unfit_baseline
from evergreen.monitoring import SCORER_NAMES
from evergreen.promotion import ROLLED_BACK, decisions, sentence, serving_as_of
from evergreen.summary import Summary, summarize_life
from evergreen.tasks import task_of
from evergreen.waits import Wait, Waiting, waiting, waits_of
from pipelines.resources import Home

console = Console(highlight=False)


class Bar:
    """A progress bar that says what day it is, who serves, and what just happened."""

    def __init__(self, product: str) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            MofNCompleteColumn(),
            TimeRemainingColumn(),
        )
        self._progress = Progress(*columns, console=console)
        self._task = self._progress.add_task(product, total=None)
        self._product = product

    def __enter__(self) -> "Bar":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def starts(self, days: int) -> None:
        self._progress.update(self._task, total=days)

    def day(self, day: date, serving: str, happened: str) -> None:
        self._progress.update(self._task, advance=1, description=f"{self._product} {day} · {serving}")
        if happened:
            console.print(f"{day}  {happened}")

    def note(self, text: str) -> None:
        console.print(text)


def print_summary(product: Product, home: Home, last: date) -> None:
    """The table at the end of a replay, and how to look further."""
    entries = [entry for entry in home.promotions(product).entries() if entry["as_of"] <= str(last)]
    summary = summarize_life(AsOf(home.store(product), product, last), entries)
    console.print(_counts(product, summary, last))
    console.print(
        _live(product, summary)
        if summary.live
        else f"No champion has served a {product.time.word} whose labels are due yet."
    )
    console.print(
        f"Look further: make ui · evergreen status {product.name} · evergreen explain {product.name} --prediction ID · "
        f"{home.store(product).root / 'reports' / f'{last}.html'}",
        soft_wrap=True,
    )


def _counts(product: Product, summary: Summary, last: date) -> Table:
    table = Table("", "", title=f"{product.name}, {product.time.start} to {last}", show_header=False)
    for name, value in [
        (f"{product.time.word}s", f"{summary.days}"),
        ("rows in", f"{summary.rows_in:,}"),
        ("quarantined", f"{summary.quarantined:,}"),
        ("mature without a label (pending)", f"{summary.pending:,}"),
        ("rows served by", _listed(summary.served)),
        ("retrains, by what asked for them", _listed(summary.retrains)),
        ("decisions, with the deciding gate", _listed(summary.outcomes)),
    ]:
        table.add_row(name, value)
    return table


def _live(product: Product, summary: Summary) -> Table:
    rows = next(iter(summary.live.values()))["rows"]
    words, days = task_of(product).words, len(summary.live_days)
    table = Table(
        "live, on mature rows",
        words.ranking,
        words.loss,
        "cost a row",
        title=f"{rows:,} rows of {days} {product.time.word}{'' if days == 1 else 's'} that a champion served",
    )
    for scorer, measures in summary.live.items():
        auc = "–" if measures["roc_auc"] is None else f"{measures['roc_auc']:.4f}"
        table.add_row(SCORER_NAMES[scorer], auc, f"{measures['log_loss']:.4f}", f"{measures['expected_cost']:.3f}")
    return table


def _listed(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1])) or "none"


def print_status(product: Product, home: Home) -> None:
    store = home.store(product)
    days, entries = store.document_days("retrain_decision"), home.promotions(product).entries()
    if not days:
        console.print(f"{product.name}: no {product.time.word} is done yet. Run: evergreen replay {product.name}")
        return
    last = days[-1]
    view, matched = AsOf(store, product, last), product.label.matched_for
    pending = view.coverage(view.newest(view.periods.covering(matched) + 1))
    table = Table("", "", title=f"{product.name} at the end of {last}", show_header=False)
    table.add_row("serves next", _serving(product, serving_as_of(entries, view.periods.after(last))))
    table.add_row("retrain decision", store.read_document("retrain_decision", last)["sentence"])
    if entries and entries[-1]["decision"] == ROLLED_BACK:
        table.add_row("last rollback", f"{entries[-1]['as_of']}. {escape(sentence(entries[-1]))}")
    if decided := decisions(entries):
        newest = decided[-1]
        deciding = next(gate for gate in newest["gates"] if gate["name"] == newest["deciding_gate"])
        table.add_row(
            "last retrain",
            f"{newest['as_of']} ({newest['requested_by']}): {newest['decision']}. {deciding['sentence']}",
        )
    if found := waiting(entries):
        table.add_row("waits", escape(_waiting(product, found, waits_of(entries)[-1])))
    table.add_row(
        "pending labels",
        f"{int((pending.mature - pending.labelled).sum())} of the last {matched.days} days' mature rows",
    )
    incidents = open_incidents(home.incidents(product).entries())
    table.add_row("open incidents", "\n".join(escape(incident.what) for incident in incidents) or "none")
    table.add_row("report", str(store.root / "reports" / f"{last}.html"))
    console.print(table)


def print_alerts(product: Product, home: Home) -> None:
    """The open incidents, as the alert sensor last saw them."""
    history = home.incidents(product).entries()
    sent = last_sent(history)
    table = Table(
        "what", "since", "how bad", "what to do", "seen", "last sent", title=f"{product.name}, open incidents"
    )
    for incident in open_incidents(history):
        last = shown(sent[incident.id]) if incident.id in sent else "not yet"
        seen = str(len(incident.seen))
        cells = (incident.what, shown(incident.since), incident.severity, incident.to_do, seen, last)
        table.add_row(*(escape(cell) for cell in cells))
    if table.row_count:
        console.print(table)
    else:
        console.print(f"{product.name}: no incident is open, as far as {product.name}_alert_sensor has looked.")


def _serving(product: Product, entry: dict[str, Any] | None) -> str:
    if entry is None:
        return f"the heuristic, until {first_served_day(product)} at the earliest: too few mature {product.time.word}s to train and judge"
    champion, unfit = entry["serving"]["champion"], unfit_baseline(entry["serving"])
    if champion is None and unfit:
        return f"the heuristic: there is no champion, and the baseline may not serve. {unfit}"
    if champion is None:
        return f"the baseline, v{entry['serving']['baseline']['version']}: there is no champion"
    return f"champion v{champion['version']}, trained through {champion['trained_through']}, decided as of {champion['as_of']}"


def _waiting(product: Product, found: Waiting, wait: Wait) -> str:
    role, record, decided = found
    who = f"version {record['version']}, decided as of {decided['as_of']}"
    if role == "shadow":
        return f"{who}, in shadow since {wait.first}, for {product.shadow.days} whole mature {product.time.block}s"
    return f"{who}, for a yes or no since {wait.first}: evergreen approve {product.name} --by NAME --reason TEXT, or reject"


def print_explanation(found: Explanation, product: Product) -> None:
    made = found.prediction
    tree = Tree(f"[b]{made['id']}[/b], {product.time.event} {made['event_time']}")
    task = task_of(product)
    tree.add(f"prediction: {task.explain(made, product.decision.action)}; made for {made['predict_at']}")
    label = found.label
    tree.add(
        "label: nothing known"
        if label is None
        else f"label: {_label(label, product)}, known at {label['known_at']}, entered on {label['entered_on']}"
    )
    row = tree.add(f"row: accepted in the batch of {found.day}")
    row.add(", ".join(f"{name}={value}" for name, value in found.inputs.items()))
    events = found.delivery["events"]
    origin = events.get("file") or events.get("function") or f"{events['dialect']} database {events['database']}"
    digest = found.delivery["digests"]["events"]
    row.add(f"delivery: {origin}, read at {found.delivery['read_at']}, digest {digest}")
    served = tree.add(f"served by: {made['served_by']}" + (f", version {made['version']}" if found.model else ""))
    if found.state is None:
        served.add("no retrain had been decided yet: the heuristic answered with what the product declares")
    else:
        state = found.state
        served.add(
            f"ledger: entry {state['number']} ({state['key']}: {state['decision']}), from {state['effective_from']} on"
        )
        unfit = unfit_baseline(state["serving"])
        if unfit and made["served_by"] == HEURISTIC:
            served.add(f"the baseline, version {state['serving']['baseline']['version']}, may not serve: {unfit}")
    if found.model:
        model = served.add(f"model: MLflow run {found.model['run_id']}, file sha256 {found.model['digest'][:16]}")
        model.add(
            f"training: digest {found.model['training_digest']}, through {found.model['trained_through']}, as of {found.model['as_of']}"
        )
        if twin := found.model.get("twin"):
            model.add(
                f"judged as its twin: version {twin['version']}, the same recipe trained through {twin['trained_through']}"
            )
        model.add(f"config {found.model['config']}, recipe {found.model['recipe']}, commit {found.model['commit']}")
    if found.promoted:
        passed = served.add(
            f"let through as of {found.promoted['as_of']}, asked for by {found.promoted['requested_by']}:"
        )
        for gate in found.promoted["gates"]:
            passed.add(f"{gate['name']} ({gate['role']}): {gate['verdict']}. {gate['sentence']}")
    console.print(tree)


def _label(label: dict[str, Any], product: Product) -> str:
    return "pending" if isna(label["label"]) else task_of(product).show_label(label["label"])
