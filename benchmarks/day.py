"""What a day costs here: the replay against a script that does the same by hand, a day at a time, in turns.

    python benchmarks/day.py [LAST_DAY]

Replays the flights in a temporary home, by default nine weeks with five retrains (about two minutes); `make bench-year` gives
2013-12-31, a quarter of an hour. After each day the script (by_hand.py, a process of its own) does the same day: both meet the same
machine, and must give the same scores.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import costs

LAST_DAY = "2013-03-03"
REFERENCE = """
For comparison, measured when this was designed: 8 small steps a day, seconds over a plain script that logs to MLflow, fsync 0.1 ms
  Kedro 0.1 · Dagster in process 0.8 (0.3 of it without a disk; 2.9 with an fsync of 4 ms) · ZenML 1.8 · Prefect 2.0 · Metaflow 7.6
  Dagster's default executor 20; importing dagster alone took 0.64 s there
Aims: an ordinary day at most 0.8 s over the script at 0.1 ms; a year within 2 times the script's; the import within 1.5 s
"""


@dataclass(frozen=True)
class Day:
    """Seconds of one day, (wall, CPU), of the replay and of the script."""

    retrained: bool
    loop: tuple[float, float]
    hand: tuple[float, float]


class Turns:
    """Watches a replay: times each day, and has the script do the same one before the next begins."""

    def __init__(self, replay: Any, script: "subprocess.Popen[str]", bar: Any) -> None:
        self.days: list[Day] = []
        self._replay, self._script, self._bar = replay, script, bar
        self._since = _clocks()

    def starts(self, days: int) -> None:
        self._bar.starts(days)
        self._since = _clocks()

    def day(self, day: date, serving: str, happened: str) -> None:
        loop = _spent(self._since)
        home, product = self._replay.home, self._replay.product
        decision = home.promotions(product).find(f"{product.name}/{day}")
        manifest = home.store(product).read_document("training_set", day) if decision else None
        answer = self._order({"day": str(day), "decision": decision, "manifest": manifest})
        scores = home.store(product).read("predictions", day, ["score"]).score
        assert abs(scores.mean() - answer["mean_score"]) < 1e-9, f"{day}: the script's scores differ"
        self.days.append(Day(decision is not None, loop, (answer["wall"], answer["cpu"])))
        self._bar.day(day, serving, happened)
        self._since = _clocks()

    def note(self, text: str) -> None:
        self._bar.note(text)

    def _order(self, order: dict[str, Any]) -> dict[str, Any]:
        print(json.dumps(order), file=self._script.stdin, flush=True)
        return dict(json.loads(self._script.stdout.readline()))


def _clocks() -> tuple[float, float]:
    return time.perf_counter(), time.process_time()


def _spent(since: tuple[float, float]) -> tuple[float, float]:
    return time.perf_counter() - since[0], time.process_time() - since[1]


def live(last: date, home: Path) -> list[Day]:
    """Both lives up to `last`, in a new home; ends with what they gave."""
    os.environ["EVERGREEN_HOME"] = str(home)
    from evergreen.product_files import load_product
    from pipelines import places
    from pipelines.replay import deliver_sample, opened_replay
    from pipelines.screen import Bar, print_summary

    product = load_product(places.REPOSITORY / "configs" / "products" / "flights.yaml")
    deliver_sample(product)
    command = [sys.executable, Path(__file__).with_name("by_hand.py"), home, home / "by_hand"]
    with (
        Bar(product.name) as bar,
        opened_replay(product) as replay,
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as script,
    ):
        turns = Turns(replay, script, bar)
        replay.run(last, turns)
        script.stdin.close()
        assert script.wait() == 0
    print_summary(product, replay.home, last)
    return turns.days


def report(days: list[Day]) -> None:
    """Medians of a day, and the sums; the first of each kind pays for imports and is left out of its median."""
    kinds = {
        "an ordinary day": [day for day in days if not day.retrained][1:],
        "a day with a retrain": [day for day in days if day.retrained][1:],
    }
    print(f"{'':28}{'':5}{'replay':>10}{'by hand':>10}{'ratio':>8}{'difference':>12}")
    for clock, name in enumerate(("wall", "CPU")):
        for kind, some in kinds.items():
            if some:
                _line(
                    f"{kind} ({len(some)})",
                    name,
                    median(day.loop[clock] for day in some),
                    median(day.hand[clock] for day in some),
                )
        _line(f"all {len(days)} days", name, sum(day.loop[clock] for day in days), sum(day.hand[clock] for day in days))


def _line(what: str, clock: str, loop: float, hand: float) -> None:
    print(f"{what:28}{clock:5}{loop:8.2f} s{hand:8.2f} s{loop / hand:8.1f}{loop - hand:10.2f} s")


def report_imports(measured: dict[str, tuple[float, float, float]]) -> None:
    for module, (wall, cpu, memory) in measured.items():
        print(f"importing {module}: {wall:.2f} s ({cpu:.2f} s CPU), {memory:.0f} MiB")
    (alone, _, _), (ours, _, _) = measured.values()
    print(f"  {ours / alone:.2f} times dagster alone; the aim is 1.5 s where dagster takes 0.64 s, 2.34 times")


def main(last: date) -> None:
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        before, imported = costs.sync_milliseconds(home), costs.imports(["dagster", "pipelines.definitions"])
        days = live(last, home)
        print(f"fsync {before:.2f} ms before, {costs.sync_milliseconds(home):.2f} ms after (medians of {costs.SYNCS})")
        report(days)
        report_imports(imported)
        sizes = costs.disk(home, "flights")
    parts = ", ".join(f"{name} {size / len(days) / 1024:.0f}" for name, size in sizes.items())
    print(f"disk a day, KiB: {parts}; together {sum(sizes.values()) / len(days) / 1024:.0f}")
    print(REFERENCE)


if __name__ == "__main__":
    main(date.fromisoformat(sys.argv[1] if sys.argv[1:] else LAST_DAY))
