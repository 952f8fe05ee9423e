"""Expressions in a product file, with three-valued logic: a missing operand that matters makes a missing value.

pandas evaluates; what is here keeps it from taking a missing value for a false one.
"""

import ast
import re
from collections.abc import Iterable

import pandas as pd

from evergreen.errors import SourceError


def names_in(when: str) -> set[str]:
    """The columns that an expression speaks of, as identifiers. Raises ValueError where it is none."""
    try:
        return {node.id for node in ast.walk(_parsed(when)) if isinstance(node, ast.Name)}
    except SyntaxError:
        raise ValueError(f"{when!r} is not an expression such as distance > 4000 and origin == 'JFK'") from None


def columns_in(when: str, columns: Iterable[str]) -> list[str]:
    """Those of the columns that an expression speaks of; one whose name is no identifier stands in backticks there."""
    names = names_in(when)
    return [column for column in columns if identifier(column) in names]


def evaluate(when: str, rows: pd.DataFrame, key: str = "label.when", of: str = "delivered outcomes") -> pd.Series:
    """True, false or missing (dtype boolean) for each row; `key` and `of` say in errors where it stands and what the rows are.

    pandas takes a missing text for unequal to any other: where a column that is compared with text is missing, so is the value.
    Raises SourceError where the expression cannot be computed on these columns, or is not a condition.
    """
    values = _computed(when, rows, key, of)
    if not isinstance(values, pd.Series) or not pd.api.types.is_bool_dtype(values):
        raise SourceError(f"{key}: {when!r} must be true or false for each row of the {of}")
    return _without_lost_texts(values.astype("boolean"), when, rows)


def compute(expression: str, rows: pd.DataFrame, key: str, of: str = "delivered outcomes") -> pd.Series:
    """What an expression gives for each row, a number or a text; what is missing as in `evaluate`.

    Raises SourceError where the expression cannot be computed on these columns, or gives one value for all rows.
    """
    values = _computed(expression, rows, key, of)
    if not isinstance(values, pd.Series):
        raise SourceError(f"{key}: {expression!r} must give a value for each row of the {of}")
    return _without_lost_texts(values, expression, rows)


def _computed(expression: str, rows: pd.DataFrame, key: str, of: str) -> object:
    try:
        return _operands(rows, _uses(rows.columns, expression)).eval(expression, engine="python")
    except (TypeError, ValueError, SyntaxError, AttributeError, NotImplementedError, NameError) as problem:
        raise SourceError(f"{key}: {expression!r} cannot be computed on the {of} ({problem})") from None


def _without_lost_texts(values: pd.Series, expression: str, rows: pd.DataFrame) -> pd.Series:
    """The values, missing where a column that is compared with text is missing."""
    texts = [name for name, use in _uses(rows.columns, expression).items() if use == "string"]
    return values.mask(rows[texts].isna().any(axis=1)) if texts else values


def _operands(rows: pd.DataFrame, uses: dict[str, str]) -> pd.DataFrame:
    """The rows in types that know missing values, and text that spells numbers or booleans as those."""
    typed = rows.convert_dtypes()
    for name, use in uses.items():
        typed[name] = _operand(typed[name], use)
    return typed


def _operand(values: pd.Series, use: str) -> pd.Series:
    """A column without a single value in the type of its use; text, unless compared with text, as what all its values spell."""
    if values.isna().all() and not pd.api.types.is_datetime64_any_dtype(values):
        return pd.Series(pd.NA, index=values.index, dtype=use)
    if use == "string" or not pd.api.types.is_string_dtype(values):
        return values
    numbers, lower = pd.to_numeric(values, errors="coerce"), values.str.lower()
    if numbers.notna().equals(values.notna()):
        return numbers.convert_dtypes()
    if lower.isin(["true", "false"]).equals(values.notna()):
        return (lower == "true").astype("boolean")
    return values


def _uses(columns: pd.Index, when: str) -> dict[str, str]:
    """How the expression uses each column: `string` beside quoted text, `Int64` in a calculation, else `boolean`.

    A missing boolean is missing in a comparison with a number too.
    """
    uses = dict.fromkeys(columns, "boolean")
    named = {identifier(name): name for name in columns}
    parts = [(part, list(ast.walk(part))) for part in ast.walk(_parsed(when))]
    calculations = [nodes for part, nodes in parts if isinstance(part, ast.BinOp)]
    texts = [nodes for part, nodes in parts if isinstance(part, ast.Compare | ast.Call) and any(map(_is_text, nodes))]
    for use, places in (("Int64", calculations), ("string", texts)):
        names = {node.id for nodes in places for node in nodes if isinstance(node, ast.Name)}
        uses |= {named[name]: use for name in names & named.keys()}
    return uses


def _parsed(when: str) -> ast.Expression:
    """The expression as pandas reads it: `&` and `|` bind like `and` and `or`, and a name with blanks stands in backticks."""
    plain = re.sub(r"`([^`]*)`", lambda quoted: identifier(quoted[1]), when.strip())
    return ast.parse(plain.replace("&", " and ").replace("|", " or "), mode="eval")


def identifier(name: object) -> str:
    return str(name) if str(name).isidentifier() else "_" + re.sub(r"\W", "_", str(name))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
