"""The command `evergreen evaluation-set`: the portions as of a day, and what changed since another version."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    import pandas as pd

    from evergreen.evaluation_changes import Version

evaluation_app = typer.Typer()


@evaluation_app.command("evaluation-set")
def evaluation_set(
    product: Annotated[str, typer.Argument(metavar="PRODUCT", help="the name of a file in configs/products")],
    as_of: Annotated[str | None, typer.Option(help="a date or an hour; default: the newest version")] = None,
    against: Annotated[str | None, typer.Option(help="a date or an hour; default: the version before it")] = None,
    rows: Annotated[bool, typer.Option("--rows", help="list the id of every row that came or went")] = False,
) -> None:
    """Which rows judge as of a day, in which portion and why; which came and went since another version."""
    from evergreen.evaluation_changes import compare, read_version
    from evergreen.periods import Periods
    from evergreen.product_files import find_product
    from pipelines import places
    from pipelines.resources import Home
    from pipelines.screen import console

    found = find_product(places.configs() / "products", product)
    store = Home(path=str(places.home())).store(found)
    days = store.document_days("evaluation_set")
    day = Periods.of(found.time).asked_for(as_of) if as_of else (days[-1] if days else found.time.start)
    earlier = [known for known in days if known < day]
    version = read_version(store, day)
    console.print(_portions(found.name, version), *_withheld(version), sep="\n", soft_wrap=True)
    if against is None and not earlier:
        console.print(f"There is no version before {day} to compare with.")
        return
    other = read_version(store, Periods.of(found.time).asked_for(against) if against else earlier[-1])
    before, after = sorted((other, version), key=lambda one: one.view.day)
    _print_changes(before, after, compare(before, after), rows)


def _portions(product: str, version: "Version") -> Any:
    from rich.table import Table

    document = version.document
    title = f"{product}, evaluation set as of {version.view.day}: version {document['version']}, digest {document['version_digest']}"
    table = Table("portion", "rows", "days", "digest", "origin", title=title)
    for name, portion in {"fresh": document, **document["portions"]}.items():
        days = portion["days"]
        span = f"{len(days)}, {days[0]} to {days[-1]}" if days else "0"
        table.add_row(name, f"{portion['rows']:,}", span, portion["digest"], portion["origin"])
    return table


def _withheld(version: "Version") -> list[str]:
    """What the training set beside this version went without, and which slices cannot say anything."""
    made, slices = version.training, version.document["portions"]["slices"]["slices"]
    least = version.view.product.evaluation.slice_rows_at_least
    lost, total = sum(made["withheld"].values()), made["rows"] + sum(made["withheld"].values())
    listed = ", ".join(f"{rows:,} {reason}" for reason, rows in made["withheld"].items())
    small = [
        f"{line['slice']} (n={line['fresh'] + line['added']})"
        for line in slices
        if line["fresh"] + line["added"] < least
    ]
    return [
        f"Withheld from training: {lost:,} of {total:,} rows, {lost / total:.1%} ({listed}).",
        f"Not enough evidence for {', '.join(small)}." if small else f"Every declared slice has {least} rows.",
    ]


def _print_changes(before: "Version", after: "Version", changes: "pd.DataFrame", rows: bool) -> None:
    from rich.table import Table

    from evergreen.evaluation_changes import COLUMNS
    from pipelines.screen import console

    if changes.empty:
        console.print(f"From {before.view.day} to {after.view.day} no row came or went.")
        return
    changes = changes.assign(day=[str(after.view.periods.at(day)) for day in changes.day])
    table = Table(
        "portion",
        "change",
        "day",
        "rows",
        "reason",
        title=f"from {before.view.day} (version {before.document['version']})",
    )
    for line in changes.groupby(COLUMNS[:-1], sort=False).size().rename("rows").reset_index().to_dict("records"):
        table.add_row(
            line["portion"],
            line["change"],
            line["day"],
            f"{line['rows']:,}",
            line["reason"],
        )
    console.print(table)
    if rows:
        for row in changes.itertuples():
            console.print(f"{row.portion}  {row.change}  {row.day}  {row.id}  {row.reason}", soft_wrap=True)
