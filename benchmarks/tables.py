"""What the studies share: their options, their rates and their tables."""

import argparse
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pandas as pd
from scipy.stats import binomtest


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a decision every eighth week, and no year-long lives")
    parser.add_argument("--share", type=float, default=0.25, help="of the rows that models learn from (default .25)")
    parser.add_argument("--out", type=Path, help="folder for the tables as CSV")
    parser.add_argument(
        "--cache", type=Path, help="folder that keeps the scores of fitted models, for this code and share"
    )
    return parser.parse_args()


@contextmanager
def scores_folder(cache: Path | None) -> Iterator[Path]:
    """The folder for the scores of fitted models: the one that was given, or one that goes with the run."""
    with tempfile.TemporaryDirectory() as temporary:
        folder = cache or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        yield folder


def rate(hits: Iterable[bool]) -> str:
    """`share [Wilson 95%] k/n`; nothing to count is said so."""
    found = [bool(hit) for hit in hits]
    if not found:
        return "none"
    interval = binomtest(sum(found), len(found)).proportion_ci(method="wilson")
    return f"{sum(found) / len(found):.0%} [{interval.low:.0%}, {interval.high:.0%}] {sum(found)}/{len(found)}"


def show(name: str, table: pd.DataFrame, out: Path | None) -> None:
    """Print a table, and write it under its name where a folder is given."""
    print(f"\n{name}\n{table.to_string()}", flush=True)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        table.to_csv(out / f"{name.partition(':')[0].replace(' ', '_')}.csv")
