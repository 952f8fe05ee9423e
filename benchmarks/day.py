"""What a day costs here, the disk beside it, and what importing the definitions costs.

    python benchmarks/day.py

Replays the first five weeks of the flights in a temporary home: ordinary days, and the first retrain.
"""

import os
import subprocess
import sys
import tempfile
import time
from datetime import date
from pathlib import Path
from statistics import median

SYNCS = 200


class Stopwatch:
    """A watcher that times each day."""

    def __init__(self) -> None:
        self.seconds: list[tuple[float, bool]] = []
        self._since = time.perf_counter()

    def starts(self, days: int) -> None:
        self._since = time.perf_counter()

    def day(self, day: date, serving: str, happened: str) -> None:
        now = time.perf_counter()
        self.seconds.append((now - self._since, bool(happened)))
        self._since = now

    def note(self, text: str) -> None:
        print(text)


def sync_latency(folder: Path) -> float:
    """Median milliseconds of an fsync after 4 KiB."""
    seconds = []
    with (folder / "probe").open("wb") as file:
        for _ in range(SYNCS):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - began)
    return median(seconds) * 1000


def import_seconds(module: str) -> float:
    """Median seconds of a fresh interpreter that imports a module, of three."""
    seconds = []
    for _ in range(3):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
        seconds.append(time.perf_counter() - began)
    return median(seconds)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        os.environ["EVERGREEN_HOME"] = folder
        from evergreen.product_files import load_product
        from pipelines import places
        from pipelines.replay import deliver_sample, opened_replay

        product = load_product(places.REPOSITORY / "configs" / "products" / "flights.yaml")
        deliver_sample(product)
        watch = Stopwatch()
        with opened_replay(product) as replay:
            replay.run(date(2013, 2, 4), watch)
        latency = sync_latency(Path(folder))
    ordinary = [seconds for seconds, retrained in watch.seconds[1:] if not retrained]
    retrained = [seconds for seconds, retrained in watch.seconds if retrained]
    print(f"fsync {latency:.2f} ms (median of {SYNCS})")
    print(
        f"an ordinary day {median(ordinary):.2f} s (median of {len(ordinary)}, {min(ordinary):.2f} to {max(ordinary):.2f})"
    )
    print(f"the first day with a retrain {retrained[0]:.2f} s, imports of MLflow, scikit-learn and XGBoost included")
    print(
        f"importing pipelines.definitions {import_seconds('pipelines.definitions'):.2f} s, dagster alone {import_seconds('dagster'):.2f} s"
    )


if __name__ == "__main__":
    main()
