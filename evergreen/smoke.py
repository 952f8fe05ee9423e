"""A smoke test: a process of its own, as scoring will be, reads a model file and scores rows.

    python -m evergreen.smoke MODEL DIGEST ROWS SCORES

reads the rows (Parquet) and writes the scores (NumPy). A model that only answers where it was trained does not get past it.
"""

import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from evergreen.errors import ModelError
from evergreen.tasks import Floats

SECONDS = 120


def scores_in_new_process(model: Path, digest: str, rows: pd.DataFrame) -> Floats:
    """The scores that a new process gives. Raises ModelError where it fails, or is not done within SECONDS."""
    with tempfile.TemporaryDirectory() as folder:
        given, answered = Path(folder) / "rows.parquet", Path(folder) / "scores.npy"
        rows.to_parquet(given)
        command = [sys.executable, "-m", "evergreen.smoke", str(model), digest, str(given), str(answered)]
        try:
            ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
        except subprocess.TimeoutExpired:
            raise ModelError(f"no answer within {SECONDS} s") from None
        if ended.returncode or not answered.exists():
            raise ModelError((ended.stderr.strip().splitlines() or ["it ended without a word"])[-1])
        return np.load(answered)


def main(model: str, digest: str, rows: str, scores: str) -> None:
    from evergreen import models

    np.save(scores, models.predict(models.load(Path(model), digest), pd.read_parquet(rows)))


if __name__ == "__main__":
    main(*sys.argv[1:])
