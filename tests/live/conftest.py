"""The fixtures of the whole-loop tests, for those on real servers."""

from tests.loop.conftest import landing, new_loop

__all__ = ["landing", "new_loop"]
