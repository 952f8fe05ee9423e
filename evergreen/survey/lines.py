"""Lines of a product file: comments that wrap, values in one line, and how sure a guess is."""

from textwrap import wrap
from typing import Any

import yaml

from evergreen.survey.guess import Guess

WIDTH = 118


def because(guess: Guess[Any] | None) -> str:
    return f" # {guess.sure}: {_one_line(guess.why)}" if guess is not None else ""


def comment(text: str, indent: int = 0) -> list[str]:
    margin = " " * indent
    return [f"{margin}# {line}" for line in wrap(_one_line(text), WIDTH - indent)]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def scalar(value: Any) -> str:
    """A value as YAML in one line."""
    return (
        yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10_000, sort_keys=False)
        .removesuffix("\n")
        .removesuffix("\n...")
    )
