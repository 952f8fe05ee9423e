"""What is measured of the machine and beside the days: the disk's latency, what importing costs, how much a home holds."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from statistics import median

SYNCS, IMPORTS = 200, 5
MEASURED = (
    "import json, resource, time; import {module}; "
    "print(json.dumps([time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))"
)


def sync_milliseconds(folder: Path) -> float:
    """The median of an fsync after 4 KiB."""
    seconds = []
    with (folder / "probe").open("wb") as file:
        for _ in range(SYNCS):
            file.write(b"x" * 4096)
            file.flush()
            began = time.perf_counter()
            os.fsync(file.fileno())
            seconds.append(time.perf_counter() - began)
    return median(seconds) * 1000


def imports(modules: list[str]) -> dict[str, tuple[float, float, float]]:
    """For each module the medians of fresh interpreters that import it, taken in turns: wall seconds, CPU seconds, peak memory in MiB
    (on Linux: elsewhere the kernel counts in other units). Call it before this process grows: a child starts with its memory."""
    taken: dict[str, list[tuple[float, float, float]]] = {module: [] for module in modules}
    for module in modules * IMPORTS:
        began = time.perf_counter()
        run = subprocess.run([sys.executable, "-c", MEASURED.format(module=module)], check=True, capture_output=True)
        taken[module].append((time.perf_counter() - began, *json.loads(run.stdout)))
    return {module: tuple(map(median, zip(*runs, strict=True))) for module, runs in taken.items()}


def disk(home: Path, product: str) -> dict[str, int]:
    """Bytes that the files of a home take on the disk, by what they are; the landing zone is not ours."""
    own = home / product
    ledgers, models = _size(own / "ledgers"), _size(own / "models")
    return {
        "data and reports": _size(own) - ledgers - models,
        "ledgers": ledgers,
        "models": models,
        "Dagster": _size(home / "dagster"),
        "MLflow": _size(home / "mlflow"),
    }


def _size(folder: Path) -> int:
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
