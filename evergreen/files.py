"""Files that outlive a power cut."""

import os
from pathlib import Path


def sync_folder(path: Path) -> None:
    """Make the names in a folder durable; `os.fsync` of a file does not speak of its name."""
    folder = os.open(path, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
