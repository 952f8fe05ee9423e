"""The command line's care of configuration files: `evergreen migrate-config`."""

from pathlib import Path
from typing import Annotated

import typer

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
