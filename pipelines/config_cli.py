"""The command line's care of configuration files: `evergreen migrate-config | validate-config`."""

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from evergreen.config import Product

config_app = typer.Typer()


@config_app.command("migrate-config")
def migrate_config(
    files: Annotated[
        list[Path] | None, typer.Argument(help="product and experiment files; default: all of this repository's")
    ] = None,
    check: Annotated[bool, typer.Option("--check", help="only name the files of an earlier version; 1 if any")] = False,
) -> None:
    """Rewrite files of an earlier version of the schema in today's words; comments and layout stay."""
    from evergreen.migrations import VERSION, is_earlier, migrated_text
    from evergreen.product_files import read_yaml
    from evergreen.storage import write_bytes
    from pipelines.screen import console

    earlier = [path for path in files or _shipped() if is_earlier(read_yaml(path))]
    rewritten = {path: migrated_text(path.read_bytes().decode(), str(path)) for path in earlier}
    for path, text in rewritten.items():
        if not check:
            write_bytes(text.encode(), path.resolve())
        console.print(f"{path}: {'to be rewritten' if check else 'rewritten'} as version {VERSION}", soft_wrap=True)
    if not rewritten:
        console.print(f"Nothing to rewrite: every file is of version {VERSION}.")
    elif check:
        raise typer.Exit(1)


def _shipped() -> list[Path]:
    from pipelines import places

    return sorted(path for kind in ("products", "experiments") for path in (places.configs() / kind).glob("*.yaml"))


@config_app.command("validate-config")
def validate_config(
    path: Annotated[
        Path | None, typer.Argument(help="a product or experiment file; default: every shipped one")
    ] = None,
    schema_only: Annotated[bool, typer.Option("--schema-only", help="leave the data alone")] = False,
) -> None:
    """Check product files against schema and data, and experiments; a broken rule is named with its file, key and near miss.

    Exit code 1 where something is wrong.
    """
    from evergreen.config_check import check_against_data
    from evergreen.product_files import load_product, load_products, read_yaml
    from pipelines import places
    from pipelines.screen import console
    from pipelines.survey_screen import print_findings

    if path and "hypothesis" in read_yaml(path):
        _validate_experiment(path)
        return
    chosen = {path: load_product(path)} if path else {}
    if path is None:
        folder = places.configs() / "products"
        chosen = {folder / f"{name}.yaml": product for name, product in load_products(folder).items()}
    wrong = False
    for file, product in chosen.items():
        _rehearse(product)
        console.print(f"{file if path else f'products/{file.name}'}: valid, product {product.name}", soft_wrap=True)
        findings = [] if schema_only else check_against_data(product, places.home(), datetime.now(UTC))
        print_findings(findings)
        wrong |= any(finding.how == "wrong" for finding in findings)
    if path is None:
        for file in sorted((places.configs() / "experiments").glob("*.yaml")):
            _validate_experiment(file)
    if wrong:
        raise typer.Exit(1)


def _validate_experiment(file: Path) -> None:
    from evergreen.experiments import load_experiment, trials
    from evergreen.product_files import find_product
    from pipelines import places
    from pipelines.screen import console

    declared = load_experiment(file.parent, file.stem)
    base = find_product(places.configs() / "products", declared.product)
    made = trials(declared, base, str(file))
    for _, changed in made:
        _rehearse(changed)
    console.print(f"experiments/{file.name}: valid" + ("" if made else f"; {declared.product} is declared so already"))


def _rehearse(product: "Product") -> None:
    """Fit a model that is named by its import path to made-up rows: only its package, or the clone, knows what it takes."""
    if product.training.model.kind in ("sklearn", "module"):
        from evergreen.rehearsal import rehearse

        rehearse(product)
