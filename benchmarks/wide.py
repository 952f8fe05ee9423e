"""What wide days cost: the daily job on days of millions of rows, resampled from a real one: time a row and peak memory.

    python benchmarks/wide.py [MILLIONS ...]

For each size (1, 3 and 10 where none is given) a product of its own lives ten ordinary days, with a first decision on them, then one
wide day and the day after it, on which the wide day's labels fall due. Each of the two runs in a process of its own; a process that has
only imported what the job needs is shown beside them. Needs about 3 GB of disk for 10 million rows, in TMPDIR.
"""

import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

MILLION, GIB = 1_000_000, 2**30
CHUNK = 200_000
DECIDED, WIDE, AFTER = date(2013, 1, 9), date(2013, 1, 10), date(2013, 1, 11)
CHANGES = {
    "name": "wide",
    "source": {"events": "landing/events/{day}.parquet", "outcomes": "landing/outcomes/{day}.parquet", "sample": None},
    "validation": {"rows_per_period": {"at_most": None}},
    "training": {"at_least": "4d"},
    "evaluation": {"window": "4d"},
}


def main(sizes: list[float]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        started = Path(folder) / "started"
        print("ten ordinary days and a first decision", flush=True)
        _in_process(started, "start")
        lines = []
        for millions in sizes:
            home, rows = Path(folder) / "home", int(millions * MILLION)
            shutil.copytree(started, home)
            deliver_wide(home, rows)
            for day, name in ((WIDE, "wide day"), (AFTER, "day after it")):
                print(f"{rows:,} rows: {name}", flush=True)
                lines.append((rows, name, _in_process(home, str(day))))
            shutil.rmtree(home)
        print_table(lines)


def print_table(lines: list[tuple[int, str, dict[str, Any]]]) -> None:
    print(f"\n{'rows':>12}  {'day':14}{'seconds':>9}{'µs a row':>10}{'peak GiB':>10}")
    for rows, name, measured in lines:
        seconds = measured["seconds"]
        print(f"{rows:12,}  {name:14}{seconds:9.1f}{seconds / rows * 1e6:10.2f}{measured['peak'] / GIB:10.2f}")
        stages = [
            f"{step} {line['seconds']:.1f} s {line['peak'] / GIB:.2f}" for step, line in measured["steps"].items()
        ]
        print(f"{'':14}{'; '.join(stages)}")


def deliver_wide(home: Path, rows: int) -> None:
    """Replace the delivery of the wide day by `rows` flights drawn from it, with ids of their own, and add their outcomes to those
    of both days, by when each was known."""
    import numpy as np
    import pandas as pd

    places = {
        (kind, day): home / "landing" / kind / f"{day}.parquet"
        for kind in ("events", "outcomes")
        for day in (WIDE, AFTER)
    }
    real = {place: pd.read_parquet(path) for place, path in places.items()}
    events = real["events", WIDE]
    drawn = np.random.default_rng(7).integers(0, len(events), rows)
    _write_chunks(
        places["events", WIDE], (_numbered(events.iloc[drawn[first : first + CHUNK]], first) for first in _firsts(rows))
    )
    for day in (WIDE, AFTER):
        told = real["outcomes", day].set_index("flight_id")
        others = told[~told.index.isin(events.flight_id)].reset_index()

        def chunks(told: pd.DataFrame = told, others: pd.DataFrame = others) -> Iterator[pd.DataFrame]:
            yield others
            for first in _firsts(rows):
                asked = events.flight_id.iloc[drawn[first : first + CHUNK]]
                known = asked.isin(told.index).to_numpy()
                numbered = _numbered(asked.to_frame(), first).flight_id[known]
                yield (
                    told.loc[asked[known]].reset_index(drop=True).assign(flight_id=numbered.to_numpy())[others.columns]
                )

        _write_chunks(places["outcomes", day], chunks())


def _firsts(rows: int) -> range:
    return range(0, rows, CHUNK)


def _numbered(rows: Any, first: int) -> Any:
    """The rows with ids that no other row has."""
    numbers = [f"-{number}" for number in range(first, first + len(rows))]
    return rows.reset_index(drop=True).assign(flight_id=lambda table: table.flight_id + numbers)


def _write_chunks(path: Path, chunks: Iterator[Any]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    for chunk in chunks:
        table = pa.Table.from_pandas(chunk, preserve_index=False)
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table.cast(writer.schema))
    assert writer
    writer.close()


def _in_process(home: Path, what: str) -> dict[str, Any]:
    """Run this file's other half in a process of its own; returns what it measured."""
    environment = {**os.environ, "EVERGREEN_HOME": str(home), "EVERGREEN_CONFIGS": str(home / "configs")}
    environment.pop("MLFLOW_TRACKING_URI", None)
    done = subprocess.run(
        [sys.executable, __file__, what], env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return dict(json.loads(done.stdout.splitlines()[-1]))


def start() -> None:
    """Ten ordinary days, delivered, and lived up to the first decision."""
    import yaml

    from evergreen.periods import days_between
    from evergreen.product_files import overlay, read_yaml
    from evergreen.samples import nycflights
    from evergreen.storage import write_parquet
    from pipelines import places

    content = overlay(read_yaml(places.REPOSITORY / "configs" / "products" / "flights.yaml"), CHANGES)
    config = places.configs() / "products" / "wide.yaml"
    config.parent.mkdir(parents=True)
    config.write_text(yaml.safe_dump(json.loads(json.dumps(content, default=str))))
    flights = nycflights.load(nycflights.package_folder())
    for kind, column, names in (
        ("events", "scheduled_departure", nycflights.EVENT_COLUMNS),
        ("outcomes", "outcome_at", nycflights.OUTCOME_COLUMNS),
    ):
        on = flights[column].dt.tz_convert(nycflights.TIMEZONE).dt.date
        for day in days_between(date(2013, 1, 1), AFTER):
            write_parquet(
                flights.loc[on == day, names].reset_index(drop=True),
                places.home() / "landing" / kind / f"{day}.parquet",
            )
    for day in days_between(date(2013, 1, 1), DECIDED):
        run("daily", day)
    run("retrain", DECIDED)
    print("{}")


def run(job: str, day: date) -> Any:
    """One run of a job, in this process; returns what it logged. Raises RuntimeError where it fails."""
    from evergreen.product_files import find_product
    from pipelines import places
    from pipelines.replay import QUIET, opened_replay

    product = find_product(places.configs() / "products", "wide")
    with opened_replay(product) as replay:
        result = replay.definitions.resolve_job_def(f"wide_{job}").execute_in_process(
            instance=replay.instance, partition_key=str(day), run_config=QUIET, raise_on_error=False
        )
        if not result.success:
            raise RuntimeError(
                "\n".join(str(event.step_failure_data.error) for event in result.all_events if event.is_step_failure)
            )
        return replay.instance.all_logs(result.run_id)


def measure(day: date) -> None:
    """Live a day; print seconds, peak bytes, and both for each step, as JSON."""
    with watched_memory() as samples:
        began = time.perf_counter()
        logged = run("daily", day)
        seconds = time.perf_counter() - began
    steps, started = {}, {}
    for record in logged:
        event = record.dagster_event
        if event and event.is_step_start:
            started[event.step_key] = record.timestamp
        elif event and event.is_step_success:
            begin, end = started[event.step_key], record.timestamp
            held = [memory for moment, memory in samples if begin <= moment <= end]
            name = event.step_key.split("__")[-1]
            steps[name] = {"seconds": end - begin, "peak": max(held, default=0)}
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({"seconds": seconds, "peak": peak, "steps": steps}))


@contextmanager
def watched_memory(every: float = 0.02) -> Iterator[list[tuple[float, int]]]:
    """(time, resident bytes) of this process while the block runs."""
    samples: list[tuple[float, int]] = []
    over = threading.Event()

    def watch() -> None:
        while not over.wait(every):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            samples.append((time.time(), pages * resource.getpagesize()))

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


if __name__ == "__main__":
    if sys.argv[1:] == ["start"]:
        start()
    elif len(sys.argv) == 2 and "-" in sys.argv[1]:
        measure(date.fromisoformat(sys.argv[1]))
    else:
        main([float(size) for size in sys.argv[1:]] or [1, 3, 10])
