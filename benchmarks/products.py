"""What loading the code location costs: its definitions with one product, and with twenty.

    python benchmarks/products.py [PRODUCTS]

Each load is a process of its own, as every Dagster process pays for it; the median of three, in turns, in processor time (which
other work on the machine does not change) and on the clock. Aim: twenty products in under 3 s.
"""

import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
LOAD = """
import resource, sys, json
import dagster
imported = resource.getrusage(resource.RUSAGE_SELF)
from pipelines.definitions import defs
repository = defs.get_repository_def()
repository.get_all_jobs()
assets = len(list(defs.resolve_asset_graph().get_all_asset_keys()))
print(json.dumps({"assets": assets, "dagster": imported.ru_utime + imported.ru_stime}))
"""


def main(products: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        configs = {count: _configs(Path(folder) / str(count), count) for count in (1, products)}
        runs = [(count, *_load(configs[count])) for _ in range(3) for count in configs]
    for count in configs:
        of_count = [run for run in runs if run[0] == count]
        clock, processor, dagster = (median(run[place] for run in of_count) for place in (1, 2, 3))
        print(
            f"{count:3} product(s), {of_count[0][4]:4} assets: {clock:.2f} s on the clock, {processor:.2f} s of a processor "
            f"(importing dagster alone: {dagster:.2f} s)"
        )


def _configs(folder: Path, count: int) -> Path:
    """The flights under so many names, with the shipped experiments on the first of them."""
    (folder / "products").mkdir(parents=True)
    (folder / "experiments").mkdir()
    shipped = yaml.safe_load((REPOSITORY / "configs" / "products" / "flights.yaml").read_text())
    for number in range(count):
        name = f"product_{number:02}"
        content = {**shipped, "name": name, "owner": f"team:of_{name}"}
        (folder / "products" / f"{name}.yaml").write_text(json.dumps(content, default=str))
    for path in (REPOSITORY / "configs" / "experiments").glob("*.yaml"):
        declared = {**yaml.safe_load(path.read_text()), "product": "product_00"}
        (folder / "experiments" / path.name).write_text(yaml.safe_dump(declared))
    return folder


def _load(configs: Path) -> tuple[float, float, float, int]:
    """Seconds on the clock and of a processor, those of importing dagster among the latter, and how many assets came."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    environment = {**os.environ, "EVERGREEN_CONFIGS": str(configs)}
    done = subprocess.run(
        [sys.executable, "-c", LOAD], cwd=REPOSITORY, env=environment, capture_output=True, text=True, check=True
    )
    clock, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    found = json.loads(done.stdout)
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return clock, processor, found["dagster"], found["assets"]


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 20)
