"""The fixtures of the whole-loop tests, for those on real servers."""

from tests.loop.conftest import new_loop

__all__ = ["new_loop"]
