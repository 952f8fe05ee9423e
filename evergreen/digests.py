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
    return hashlib.sha256(path.read_bytes()).hexdigest()


def digest_frame(frame: "pd.DataFrame") -> str:
    """SHA-256 over column names, types and row hashes in their order, as 16 hex digits; the index does not count."""
    from pandas.util import hash_pandas_object

    digest = hashlib.sha256(repr([(str(name), str(kind)) for name, kind in frame.dtypes.items()]).encode())
    digest.update(hash_pandas_object(frame, index=False).to_numpy().tobytes())
    return digest.hexdigest()[:16]
