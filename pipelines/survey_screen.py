"""What `evergreen new` and `evergreen validate-config` show: what was found, what the data say, what to type next."""

from pathlib import Path

from rich.markup import escape
from rich.table import Table

from evergreen.as_of import first_decidable_day
from evergreen.config import Product
from evergreen.config_check import Finding
from evergreen.survey.known import spelt
from evergreen.survey.survey import Survey
from pipelines.screen import console

SHOWN = 12


def print_survey(found: Survey) -> None:
    """What was found, a line a subject."""

    table = Table(
        "", "found", "how sure", "why", title=f"{found.rows:,} rows, {len(found.columns)} columns", show_lines=False
    )
    known = found.known
    for subject, value, guess in (
        ("event time", found.event.value, found.event),
        ("id", found.id.value or "row numbers", found.id),
        ("cadence", f"{found.cadence.value}, {found.periods} periods", found.cadence),
        ("task", found.label.task.value, found.label.task),
        ("label", found.label.expression.value, found.label.expression),
        ("outcome known", spelt(known.value), known),
    ):
        table.add_row(subject, escape(str(value)), guess.sure, escape(guess.why))
    for name, guess in found.outcomes.items():
        table.add_row("outcome", escape(name), guess.sure, escape(guess.why))
    for kind, names in found.features.items():
        if names:
            table.add_row(
                "features", f"{len(names)} {kind}", "", escape(", ".join(names[:8]) + (", …" if len(names) > 8 else ""))
            )
    for name, why in [*found.left_out.items()][:SHOWN]:
        table.add_row("left out", escape(name), "", escape(why))
    console.print(table)
    for note in found.notes:
        console.print(f"note: {note}", soft_wrap=True, markup=False)


def print_findings(findings: list[Finding]) -> None:
    """What the data say, each with the way out."""
    for finding in findings:
        console.print(f"  {finding.how}: {finding.what}", soft_wrap=True, markup=False)
        console.print(f"    {finding.way_out}", soft_wrap=True, markup=False)


def print_next(product: Product, target: Path) -> None:

    first = first_decidable_day(product)
    console.print(f"\nWrote {target}, loaded it and checked it against the data. Next:", soft_wrap=True, markup=False)
    for command, what in (
        (f"$EDITOR {target}", "what it costs, what is good enough, and each guess"),
        (f"evergreen validate-config {target}", "after each change"),
        (f"evergreen replay {product.name}", f"from {first} on there is enough to judge a model, at the next retrain"),
        (f"evergreen status {product.name}", "who serves, and why"),
    ):
        console.print(f"  {command}  # {what}", soft_wrap=True, markup=False, highlight=False)
