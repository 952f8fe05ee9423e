"""A smoke test: a process of its own, as scoring will be, finds a model and scores rows, while this one goes on."""

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pandas as pd

from evergreen.errors import ModelError
from evergreen.tasks import Floats

SECONDS = 120


@contextmanager
def new_process(
    module: str, arguments: list[str], rows: pd.DataFrame, environment: Mapping[str, str]
) -> Iterator[Callable[[], Floats]]:
    """Start `python -m MODULE ARGUMENTS ROWS SCORES`, which reads rows (Parquet) and writes their scores (NumPy).

    Gives what waits for the scores, and raises ModelError where the process fails, or is not done within SECONDS of being waited
    for. A process that nobody waited for ends with the block.
    """
    with tempfile.TemporaryDirectory() as folder:
        given, answered, said = (Path(folder) / name for name in ("rows.parquet", "scores.npy", "errors.txt"))
        rows.to_parquet(given)
        command = [sys.executable, "-m", module, *arguments, str(given), str(answered)]
        with (
            said.open("wb") as errors,
            subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=errors) as process,
        ):

            def scores() -> Floats:
                try:
                    process.wait(SECONDS)
                except subprocess.TimeoutExpired:
                    raise ModelError(f"no answer within {SECONDS} s") from None
                if process.returncode or not answered.exists():
                    raise ModelError((said.read_text().strip().splitlines() or ["it ended without a word"])[-1])
                return np.load(answered)

            try:
                yield scores
            finally:
                process.kill()
