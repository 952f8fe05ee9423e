"""The command line's care of a home: `evergreen backup | restore | prune | backfill | doctor`."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from evergreen.checkup import Finding
    from evergreen.config import Product

care_app = typer.Typer()
MIB = 1024**2


@care_app.command()
def backup(
    to: Annotated[
        Path | None,
        typer.Option(help="a file, or a folder that exists; default: a dated file in EVERGREEN_HOME/backups"),
    ] = None,
    with_landing: Annotated[bool, typer.Option("--with-landing", help="the deliveries in the home too")] = False,
) -> None:
    """Put data, ledgers, Dagster's and MLflow's stores and the configs in one archive, while everything runs."""
    from evergreen.product_files import load_products
    from pipelines import places
    from pipelines.backup import default_name, write_backup
    from pipelines.screen import console

    place = to or places.home() / "backups"
    target = place / default_name(datetime.now()) if to is None or place.is_dir() else place
    made = write_backup(target.resolve(), load_products(places.configs() / "products"), with_landing, _progress)
    console.print(f"{target}: {len(made['files'])} files, {target.stat().st_size / MIB:.1f} MiB", soft_wrap=True)
    for sentence in made["not_included"]:
        console.print(f"not included: {sentence}", soft_wrap=True)


@care_app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="what `evergreen backup` wrote")],
    into: Annotated[Path | None, typer.Option(help="the home to make; default: EVERGREEN_HOME")] = None,
    replace: Annotated[bool, typer.Option("--replace", help="move a home that is there aside first")] = False,
) -> None:
    """Verify a backup and put it in a home's place; a home that is not empty is never deleted."""
    from pipelines import places
    from pipelines.backup import RESTORED_CONFIGS
    from pipelines.restore import restore_backup
    from pipelines.screen import console

    home = into.resolve() if into else places.home()
    manifest, aside = restore_backup(file, home, replace, _progress)
    console.print(
        f"{home}: {len(manifest['files'])} files as of {manifest['made_at']}, every digest verified", soft_wrap=True
    )
    if aside:
        console.print(f"The former home is {aside}", soft_wrap=True)
    console.print(
        f"The configs of that moment, to compare: {home / RESTORED_CONFIGS} (commit {manifest['commit']})",
        soft_wrap=True,
    )
    if home != places.home():
        console.print(f"To use it: export EVERGREEN_HOME={home}", soft_wrap=True)


@care_app.command()
def prune(
    product: Annotated[
        str, typer.Argument(metavar="PRODUCT", help="the name of a file in configs/products")
    ] = "flights",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="only say what would go")] = False,
) -> None:
    """Remove what the product's retention lets go; never what a serving version or the ledger needs."""
    from evergreen.product_files import find_product
    from pipelines import places
    from pipelines.instance import opened_instance
    from pipelines.registry import Registry
    from pipelines.resources import Home
    from pipelines.retention import prunable, remove
    from pipelines.screen import console

    found = find_product(places.configs() / "products", product)
    if not found.retention.spares:
        console.print(
            f"{product} declares no retention: everything is kept for ever (see retention in configs/reference.yaml)",
            soft_wrap=True,
        )
        return
    home, registry = (
        Home(path=str(places.home())),
        Registry(home=str(places.home()), tracking_uri=places.tracking_uri()),
    )
    with opened_instance() as instance:
        gone = prunable(found, home, registry, instance, date.today())
    for held in gone:
        console.print(f"{held.kind:17} {held.name[:16]:16} {held.bytes:>11,} bytes  {held.why}", soft_wrap=True)
        if not dry_run:
            remove(held, found, home, registry)
    total = sum(held.bytes for held in gone) / MIB
    console.print(
        f"{len(gone)} {'would go' if dry_run else 'removed'}, {total:.1f} MiB"
        if gone
        else "Nothing is old enough to go."
    )


@care_app.command()
def backfill(
    product: Annotated[
        str, typer.Argument(metavar="PRODUCT", help="the name of a file in configs/products")
    ] = "flights",
    first: Annotated[str | None, typer.Option("--from", help="a date or an hour; default: the product's start")] = None,
    to: Annotated[str | None, typer.Option(help="a date or an hour; default: the newest that was ingested")] = None,
    select: Annotated[
        str, typer.Option(help="assets of the daily job, separated by commas; batch holds the features")
    ] = "batch",
    again: Annotated[
        bool, typer.Option("--again", help="also where nothing is missing or made for other features")
    ] = False,
) -> None:
    """Make past days again where features changed or something is lost; decisions and what was answered stay."""
    from evergreen.product_files import find_product
    from pipelines import places
    from pipelines.backfill import backfill as fill
    from pipelines.backfill import chosen_assets, span
    from pipelines.resources import Home
    from pipelines.screen import console

    found = find_product(places.configs() / "products", product)
    days = span(found, Home(path=str(places.home())).store(found), first, to)
    for sentence in fill(found, chosen_assets(found, select), days, again, _progress):
        console.print(sentence, soft_wrap=True, markup=False)


@care_app.command()
def doctor(
    product: Annotated[str | None, typer.Argument(metavar="PRODUCT", help="default: every product")] = None,
    mend: Annotated[bool, typer.Option("--mend", help="mend what needs no decision")] = False,
) -> None:
    """Say what is wrong with a home, how bad it is, and how to mend it; exit code 1 where anything is."""
    from evergreen.product_files import find_product
    from pipelines import places
    from pipelines.doctor import cure, examine_home, load_each, visit

    products, found = load_each(places.configs() / "products")
    if product:
        products = {product: find_product(places.configs() / "products", product)}
    found += examine_home(places.home())
    if mend:
        cure(found)
    for chosen in products.values():
        found += visit(chosen, _progress, mend)
    _print_findings(found, products, mend)
    if any(not (mend and finding.cure) for finding in found):
        raise typer.Exit(1)


def _print_findings(found: "list[Finding]", products: "dict[str, Product]", mended: bool) -> None:
    from pipelines import places
    from pipelines.screen import console

    for finding in found:
        console.print(f"{finding.bad}: {finding.what}", soft_wrap=True, markup=False)
        done = mended and finding.cure
        console.print("    mended" if done else f"    to mend: {finding.mend}", soft_wrap=True, markup=False)
    checked = (
        "partitions and documents are there, readable and as written; ledgers, models, aliases, runs, daemon, deliveries, "
        "settings, disk"
    )
    verdict = f"{len(found)} finding(s)" if found else "All is well"
    console.print(f"{verdict} on {places.home()}, products {', '.join(products)}. Checked: {checked}.", soft_wrap=True)


def _progress(items: Sequence[Any], what: str) -> Iterable[Any]:
    from rich.progress import track

    from pipelines.screen import console

    return track(items, what, console=console, transient=True) if console.is_terminal else items
