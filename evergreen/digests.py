"""Content digests: the same content gives the same digest, whenever and wherever it was written."""

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd


def digest_json(content: object) -> str:
    """SHA-256 of canonical JSON (sorted keys, no spaces), as 16 hex digits."""
    text = json.dumps(content, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def digest_file(path: Path) -> str:
    """SHA-256 of a file's bytes, as 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest_frame(frame: "pd.DataFrame") -> str:
    """SHA-256 over column names, types and row hashes in their order, as 16 hex digits; the index does not count."""
    digest = FrameDigest()
    digest.add(frame)
    return str(digest)


class FrameDigest:
    """`digest_frame` of a frame that comes in parts: where they end does not count, as long as wide ones end at whole chunks."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._begun = False

    def add(self, frame: "pd.DataFrame") -> None:
        from pandas.util import hash_pandas_object

        from evergreen import wide

        if not self._begun:
            self._digest.update(repr([(str(name), str(kind)) for name, kind in frame.dtypes.items()]).encode())
            self._begun = True
        for part in wide.slices(frame):
            self._digest.update(hash_pandas_object(part, index=False).to_numpy().tobytes())

    def __str__(self) -> str:
        return self._digest.hexdigest()[:16]
