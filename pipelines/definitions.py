"""The code location: what Dagster loads. Importing it loads neither mlflow nor xgboost nor scikit-learn."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def made_to_stay() -> Iterator[None]:
    """While this lasts the garbage collector rests: modules and definitions live as long as the process, yet it would go through
    them again and again, a fifth of the whole load. What is there at the end it leaves alone for good."""
    gc.disable()
    try:
        yield
        gc.freeze()
    finally:
        gc.enable()


with made_to_stay():
    from pipelines.products import build_definitions

    defs = build_definitions()
