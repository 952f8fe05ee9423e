"""A clone's own functions, as the product file names them: `my_package.my_module:function`."""

import ast
import sys
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import Field, model_validator

from evergreen.config.section import Section
from evergreen.digests import digest_json
from evergreen.own_modules import reach_own_modules


class OwnCode(Section):
    """A function, with the source of its module as it was when the product file was loaded.

    The source is part of the recipe and is recorded with every model, and what runs is always that source: whoever feeds a model, or
    fits its recipe again, does it as it was trained, also after the module was edited. Other modules of the clone that it imports
    are as they are today.
    """

    function: str = Field(pattern=r"^\w+(\.\w+)+:\w+$", description="module:function")
    source: str

    @model_validator(mode="before")
    @classmethod
    def read_source(cls, value: Any) -> Any:
        """In a product file the function's name stands alone; what is recorded has the source beside it."""
        return {"function": value, "source": _source_of(value)} if isinstance(value, str) else value

    @property
    def package(self) -> str:
        return self.function.partition(".")[0]

    @property
    def digest(self) -> str:
        return digest_json(self.model_dump())[:8]

    def load(self) -> Callable[..., Any]:
        """The function; whatever the module raises comes through."""
        return _loaded(self.function, self.source)


def _source_of(function: str) -> str:
    module, _, name = function.partition(":")
    place = Path(*module.split(".")).with_suffix(".py")
    reach_own_modules()
    found = [Path(folder) / place for folder in sys.path if (Path(folder) / place).is_file()]
    if not found:
        raise ValueError(f"{function}: there is no {place} in the repository; write module:function")
    source = found[0].read_text(encoding="utf-8")
    try:
        functions = [node.name for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
    except SyntaxError as problem:
        raise ValueError(f"{function}: {found[0]} is not Python ({problem})") from None
    if name not in functions:
        raise ValueError(f"{function}: {found[0]} has no function {name} (it has: {', '.join(functions) or 'none'})")
    return source


@lru_cache(maxsize=64)
def _loaded(function: str, source: str) -> Callable[..., Any]:
    reach_own_modules()
    name, _, attribute = function.partition(":")
    module = ModuleType(name)
    module.__package__ = name.rpartition(".")[0]
    exec(compile(source, f"<{name} as recorded>", "exec"), module.__dict__)
    loaded: Callable[..., Any] = getattr(module, attribute)
    return loaded
