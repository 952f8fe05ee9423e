"""Reading product files and overlays, with errors that name the file, the key and the near miss."""

import difflib
import logging
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_args

import yaml
from pydantic import BaseModel, ValidationError

from evergreen.config import Product
from evergreen.databases import hidden
from evergreen.errors import ConfigError
from evergreen.migrations import is_earlier, migrated, present_name

S = TypeVar("S", bound=BaseModel)
THE_FILE = "the file"
SAFE_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The one in C, where libyaml was there when PyYAML was built: ten times as fast."""


def read_yaml(path: Path) -> dict[str, Any]:
    """One YAML mapping. Raises ConfigError where the file is absent, unreadable or no mapping."""
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader=SAFE_LOADER)
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file") from None
    except (yaml.YAMLError, UnicodeDecodeError) as problem:
        raise ConfigError(f"{path}: not readable as YAML: {problem}") from None
    if not isinstance(content, dict):
        raise ConfigError(f"{path}: a mapping of keys is expected, not {type(content).__name__}")
    return content


def read_config(path: Path) -> dict[str, Any]:
    """A product or experiment file in the words of today's version; of an earlier one the log says, once, how it is rewritten."""
    content = read_yaml(path)
    if is_earlier(content):
        _tell_of_earlier(path, content["version"])
    return migrated(content, str(path))


@cache
def _tell_of_earlier(path: Path, version: int) -> None:
    logging.getLogger("evergreen").warning(
        f"{path}: version {version} of the schema, read as today's; `evergreen migrate-config {path}` rewrites the file"
    )


def parse(kind: type[S], content: dict[str, Any], origin: str) -> S:
    """Validate a mapping; ConfigError lists every broken rule, one a line, prefixed with its origin."""
    try:
        return kind.model_validate(content)
    except ValidationError as invalid:
        lines = [f"{origin}: {_describe(kind, content, error)}" for error in invalid.errors()]
        raise ConfigError("\n".join(lines)) from None


def load_product(path: Path) -> Product:
    """One product file; its name must be the file's."""
    product = parse(Product, read_config(path), str(path))
    if product.name != path.stem:
        raise ConfigError(f"{path}: name is {product.name!r}, but the file is called {path.name}: make them the same")
    return product


def load_products(folder: Path) -> dict[str, Product]:
    """Every `*.yaml` of a folder that is not left out, by product name. Raises ConfigError where there is none."""
    left_out = _left_out(folder)
    paths = [path for path in sorted(folder.glob("*.yaml")) if path.stem not in left_out]
    if not paths:
        raise ConfigError(f"{folder}: no product file (*.yaml) here; copy configs/products/flights.yaml to begin")
    return {path.stem: load_product(path) for path in paths}


def _left_out(folder: Path) -> set[str]:
    """The products that `leave_out.txt` beside the folder names, a line each: a clone lets shipped examples lie without deleting them,
    which the next merge would stumble over. Raises ConfigError where there is no such product."""
    path = folder.parent / "leave_out.txt"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    names = {line.partition("#")[0].strip() for line in lines} - {""}
    known = {file.stem for file in folder.glob("*.yaml")}
    for name in sorted(names - known):
        raise ConfigError(f"{path}: there is no product {name!r} to leave out{near_miss(name, sorted(known))}")
    return names


def find_product(folder: Path, name: str) -> Product:
    """The product of that name. Raises ConfigError with the near miss."""
    products = load_products(folder)
    if name not in products:
        raise ConfigError(
            f"{folder}: no product {name!r}{near_miss(name, sorted(products))} (known: {', '.join(sorted(products))})"
        )
    return products[name]


def overlay(base: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """A copy of `base` with `changes` laid over it: mappings merge, everything else is replaced."""
    merged = dict(base)
    for key, value in changes.items():
        mergeable = isinstance(value, dict) and isinstance(base.get(key), dict)
        if mergeable and value.get("kind", base[key].get("kind")) == base[key].get("kind"):
            merged[key] = overlay(base[key], value)
        else:
            merged[key] = value
    return merged


def near_miss(word: str, known: list[str]) -> str:
    """`; did you mean X?`, or nothing where no known word is close."""
    close = difflib.get_close_matches(word, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _describe(kind: type[BaseModel], content: dict[str, Any], error: Any) -> str:
    """One validation error in words: the dotted key, what is wrong, and the way out."""
    where = _dotted_key(error["loc"], content)
    if error["type"] == "extra_forbidden":
        *place, name = where.split(".")
        if today := present_name(".".join(place), name):
            return f"{where}: unknown key; it is called {today} today"
        known = sorted(_fields_at(kind, error["loc"][:-1]))
        return f"{where}: unknown key{near_miss(str(error['loc'][-1]), known)} (known here: {', '.join(known)})"
    if error["type"] == "missing":
        missing = str(error["loc"][-1])
        return f"{missing if where == THE_FILE else f'{where}.{missing}'}: this key is required"
    message = f"{where}: {error['msg'].removeprefix('Value error, ')}"
    if where.endswith("_from"):  # whoever writes the secret itself there must not find it in a log
        return f"{message}: the name of an environment variable is expected, never the secret"
    by_a_rule, received = error["type"] == "value_error", error["input"]
    if by_a_rule and isinstance(received, dict):  # a rule of several keys names what it received
        return message
    return f"{message} (got {hidden(repr(received)):.80})"


def _dotted_key(loc: tuple[Any, ...], content: Any) -> str:
    """The part of a location that the file has too: the schema's own names (a union's tag, a validator) are stepped over."""
    keys = []
    for part in loc:
        if (isinstance(content, dict) and part in content) or (isinstance(content, list) and isinstance(part, int)):
            keys.append(str(part))
            content = content[part]
    return ".".join(keys) or THE_FILE


def _fields_at(kind: type[BaseModel], loc: tuple[str | int, ...]) -> set[str]:
    """The field names that are allowed at a location of the schema; union tags and list positions are stepped over."""
    models = [kind]
    for part in loc:
        inner = [
            model
            for outer in models
            for model in _models_in(getattr(outer.model_fields.get(str(part)), "annotation", None))
        ]
        tagged = [model for model in models if part in (model.__name__, *_kinds(model))]
        models = inner or tagged or models
    return {name for model in models for name in model.model_fields}


def _kinds(model: type[BaseModel]) -> tuple[Any, ...]:
    return get_args(getattr(model.model_fields.get("kind"), "annotation", None))


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)
