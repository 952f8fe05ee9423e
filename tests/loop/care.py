"""A home that was restored from a backup: what the tests of care damage, prune and back up again."""

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from evergreen.checkup import Finding
from evergreen.product_files import load_product
from pipelines import places
from pipelines.backup import write_backup
from pipelines.doctor import cure, examine_home, visit
from pipelines.registry import Registry
from pipelines.restore import restore_backup
from tests.loop.life import NO_NEW_PROCESS, Loop, enter, make_loop

LAST = "2013-01-12"  # refused on the 9th and 10th, promoted on the 11th and 12th
TWO_PROMOTIONS = {
    "training": {"at_least": "4d", "model": {"kind": "logistic", "C": 0.02}},
    "evaluation": {"window": "4d"},
    "retraining": {"schedule": "daily", "triggers": []},
    **NO_NEW_PROCESS,
}
NO_RETRAIN = {"retraining": {"schedule": "0 4 1 * *"}}
DAY = date(2013, 1, 5)
MLFLOW = Path("home", "mlflow", "mlflow.db")


def silently(items: Any, what: str) -> Any:
    return items


@dataclass(frozen=True)
class Kept:
    """The backup and the configs of a life whose own home is gone: nothing can still lean on it."""

    backup: Path
    configs: Path


def keep_a_life(folder: Path, landing: Path) -> None:
    """Live, back up, and lose the home."""
    with pytest.MonkeyPatch.context() as patch:
        loop = make_loop(folder / "life", landing, patch, TWO_PROMOTIONS)
        loop.live(LAST)
        write_backup(folder / "backup.tar.gz", {"flights": loop.product}, False, silently)
    shutil.rmtree(folder / "life" / "home")


class Restored:
    """The life as its backup gives it back, again and again in one folder, since MLflow keeps whole paths; and its database
    in one file, since MLflow keeps it open."""

    def __init__(self, kept: Kept, folder: Path) -> None:
        self.folder, self.untouched = folder / "life", folder / "untouched"
        shutil.copytree(kept.configs, self.folder / "configs")
        restore_backup(kept.backup, self.folder / "home", False, silently)
        shutil.copytree(self.folder, self.untouched)

    def anew(self, monkeypatch: pytest.MonkeyPatch) -> Loop:
        database, aside = self.folder / MLFLOW, self.folder.with_name("mlflow.db")
        database.rename(aside)
        shutil.rmtree(self.folder)
        shutil.copytree(self.untouched, self.folder, ignore=shutil.ignore_patterns(database.name))
        aside.rename(database)
        with (
            closing(sqlite3.connect(self.untouched / MLFLOW)) as was,
            closing(sqlite3.connect(database)) as now,
        ):
            was.backup(now)
        enter(self.folder, monkeypatch)
        return Loop(self.folder, load_product(self.folder / "configs" / "products" / "flights.yaml"))


def examined(loop: Loop, mend: bool = False) -> list[Finding]:
    found = examine_home(places.home())
    if mend:
        cure(found)
    return found + visit(loop.product, silently, mend)


def registry() -> Registry:
    return Registry(home=str(places.home()), tracking_uri=places.tracking_uri())


def lose_labels(loop: Loop) -> None:
    loop.store.path("labels", DAY).unlink()
