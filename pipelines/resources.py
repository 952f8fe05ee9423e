"""What assets are given: the home with its stores and ledgers, and the model registry."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import dagster as dg

from evergreen.config import Product
from evergreen.ledger import Ledger
from evergreen.sources import Source, open_source
from evergreen.storage import Store
from pipelines import places
from pipelines.alive import alive


class Home(dg.ConfigurableResource):
    """The folder in which everything lies; the only way from an asset to a path."""

    path: str

    @contextmanager
    def yield_for_execution(self, context: dg.InitResourceContext) -> "Iterator[Home]":
        """The home, for a run: while it is in use, the run shows that it is alive."""
        if context.run is None:
            yield self
            return
        with alive(context.run.run_id):
            yield self

    def store(self, product: Product) -> Store:
        return Store(Path(self.path) / product.name)

    def promotions(self, product: Product) -> Ledger:
        """The promotion ledger: the truth about who serves when."""
        return self._ledger(product, "promotions")

    def evaluation_sets(self, product: Product) -> Ledger:
        return self._ledger(product, "evaluation_sets")

    def failed_runs(self, product: Product) -> Ledger:
        """Failed runs, and which of them are mended."""
        return self._ledger(product, "failed_runs")

    def incidents(self, product: Product) -> Ledger:
        """What was found to ask for a person, and who was told when."""
        return self._ledger(product, "incidents")

    def ledgers(self, product: Product) -> list[Ledger]:
        """All that the product has."""
        return [Ledger(path) for path in sorted((Path(self.path) / product.name / "ledgers").glob("*.jsonl"))]

    def source(self, product: Product) -> Source:
        return open_source(product, Path(self.path))

    def _ledger(self, product: Product, name: str) -> Ledger:
        return self.store(product).ledger(name)


@cache
def git_commit() -> str:
    """The commit of this checkout, `-dirty` where files were changed; `unknown` outside git."""
    try:
        command = ["git", "-C", str(places.REPOSITORY), "describe", "--always", "--dirty", "--abbrev=12"]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return "unknown"
