"""The command line's experiments: `evergreen experiment | experiments`."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.status import Status

experiment_app = typer.Typer()


@experiment_app.command()
def experiment(
    name: Annotated[str, typer.Argument(help="the name of a file in configs/experiments, without .yaml")],
    as_of: Annotated[str | None, typer.Option(help="a date or an hour; default: the newest monitored period")] = None,
    sweep: Annotated[bool, typer.Option("--sweep", help="every point of the declared sweep")] = False,
) -> None:
    """Judge an overlay beside the current product, on the same history; nothing is promoted."""
    from evergreen.experiments import load_experiment
    from evergreen.periods import Periods
    from evergreen.product_files import find_product
    from evergreen.tasks import task_of
    from pipelines import places
    from pipelines.experiment_run import run_in_process
    from pipelines.screen import console

    declared = load_experiment(places.configs() / "experiments", name)
    product = find_product(places.configs() / "products", declared.product)
    with console.status(declared.name) as status, _told(status):
        asked_for = str(Periods.of(product.time).asked_for(as_of)) if as_of else ""
        outcome = run_in_process(product, declared.name, asked_for, sweep)
    console.print(f"[b]{declared.name}[/b] on {declared.product}, as of {outcome['as_of']}", soft_wrap=True)
    console.print(f"Hypothesis: {declared.hypothesis}\nExpected: {outcome['expected']}", soft_wrap=True, markup=False)
    for title, lines in outcome.items():
        if isinstance(lines, list) and lines:
            called = [{task_of(product).called(name): value for name, value in line.items()} for line in lines]
            _print_table(_TITLES.get(title, title).format(**outcome), called)
    if sweep:
        console.print(f"{outcome['done_before']} of {len(outcome['points']) - 1} points were done before.")
    console.print(outcome["sentence"], soft_wrap=True, markup=False)
    console.print(
        f"This evaluation set has been looked at {outcome['looks']} time(s): the more looks, the less an interval means.",
        soft_wrap=True,
    )


@experiment_app.command()
def experiments(
    product: Annotated[
        str, typer.Argument(metavar="PRODUCT", help="the name of a file in configs/products")
    ] = "flights",
) -> None:
    """Everything that a product was tried with, newest first: what was expected, and what came of it."""
    from evergreen.product_files import find_product
    from pipelines import places
    from pipelines.experiment_log import listed
    from pipelines.registry import registry_here
    from pipelines.screen import console

    found = find_product(places.configs() / "products", product)
    if lines := listed(registry_here(), found.name):
        _print_table(f"experiments on {found.name}", lines)
    else:
        console.print(f"No experiment on {found.name} was run yet: evergreen experiment NAME")


_TITLES = {
    "means": "means of days, {rows:,} rows, the same for both",
    "points": "means of days, {rows:,} rows, the same for all; intervals corrected for the many looks",
}


def _print_table(title: str, lines: list[dict[str, Any]]) -> None:
    from rich.markup import escape
    from rich.table import Table

    from pipelines.screen import console

    table = Table(title=title.replace("_", " "), title_justify="left")
    for name in lines[0]:
        table.add_column(name.replace("_", " "), overflow="fold")
    for line in lines:
        table.add_row(*(f"{value:.4f}" if isinstance(value, float) else escape(str(value)) for value in line.values()))
    console.print(table)


@contextmanager
def _told(status: "Status") -> Iterator[None]:
    """Show each step of an experiment as it is told."""
    from assets.experiment import PROGRESS

    class Shown(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            status.update(record.getMessage())

    logger, handler = logging.getLogger(PROGRESS), Shown()
    before = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
