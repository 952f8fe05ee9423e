"""A guess: what is believed of a table, how sure that is, and why."""

from dataclasses import dataclass
from typing import Generic, Literal, TypeVar

Sure = Literal["sure", "likely", "guess"]
T = TypeVar("T")


@dataclass(frozen=True)
class Guess(Generic[T]):
    """`sure` follows from the values, or was said; `likely` has a good reason; `guess` needs a look."""

    value: T
    sure: Sure
    why: str


def said(value: T) -> Guess[T]:
    """What the user said."""
    return Guess(value, "sure", "as you said")
