"""What the studies share: their options, their rates and their tables."""

import argparse
import tempfile
from collections.abc import Iterable
from pathlib import Path

import pandas as pd
from scipy.stats import binomtest


def arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "--quick", action="store_true", help="sabotage every eighth week, no other recipes and no year-long lives"
    )
    parser.add_argument("--share", type=float, default=1.0, help="of the rows that models learn from (default all)")
    parser.add_argument("--out", type=Path, help="folder for the tables as CSV")
    parser.add_argument(
        "--cache", type=Path, help="folder that keeps the scores of fitted models (default under TMPDIR)"
    )
    return parser.parse_args()


def scores_folder(given: argparse.Namespace) -> Path:
    """Where the scores of fitted models are kept, for one share of the rows; a run that was stopped goes on from there."""
    folder = given.cache or Path(tempfile.gettempdir()) / "evergreen-bench"
    made = Path(folder) / f"{given.share:g}"
    made.mkdir(parents=True, exist_ok=True)
    print(f"scores are kept in {made}: delete it where code or recipe has changed", flush=True)
    return made


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
        table.to_csv(out / f"{name.partition(':')[0].replace(',', '').replace(' ', '_')}.csv")
