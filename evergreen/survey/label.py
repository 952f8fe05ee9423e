"""The label: which column, which task it makes, and the expression over it that the product file holds."""

import re
from dataclasses import dataclass

import pandas as pd

from evergreen.errors import ConfigError, SourceError
from evergreen.expressions import columns_in, evaluate, identifier, names_in
from evergreen.product_files import near_miss
from evergreen.survey.columns import Column
from evergreen.survey.guess import Guess, said
from evergreen.survey.leaks import Truth
from evergreen.validation import to_text

CERTAIN_NAMES = re.compile(r"^(label|target|y|outcome|class)$", re.IGNORECASE)
LIKELY_NAMES = re.compile(
    r"^(is|was|has)_|churn|fraud|default(ed)?$|late$|return(ed)?$|cancell?ed$|survived|converted|clicked|passed|failed|"
    r"(^|_)(price|sales|demand|count|cnt|amount|revenue|cost|load|consumption|total)$",
    re.IGNORECASE,
)
POSITIVES = {
    "yes",
    "y",
    "true",
    "t",
    "1",
    "positive",
    "pos",
    "bad",
    "late",
    "failed",
    "fraud",
    "churn",
    "churned",
    "default",
}
CLASSES_AT_MOST = 20
CLASSES_OF_NUMBERS_AT_MOST = 10


@dataclass(frozen=True)
class LabelFound:
    """`expression` is label.when (binary) or label.value; `classes` names those of a multiclass label, else it is empty."""

    columns: list[str]
    task: Guess[str]
    expression: Guess[str]
    classes: list[str]
    truth: Truth


def guess_label(columns: dict[str, Column]) -> Guess[str] | None:
    """The column that is named like a label, if there is one."""
    usable = [name for name, column in columns.items() if column.kind in ("numeric", "boolean", "categorical")]
    for pattern, sure in ((CERTAIN_NAMES, "likely"), (LIKELY_NAMES, "guess")):
        named = [name for name in usable if pattern.search(name)]
        if len(named) == 1 or (named and sure == "likely"):
            return Guess(named[-1], sure, "its name")  # type: ignore[arg-type]
    return None


def find_label(
    asked: str, task: str | None, positive: str | None, columns: dict[str, Column], rows: pd.DataFrame
) -> LabelFound:
    """The label of a column, or of a condition over columns. Raises ConfigError or SourceError where it makes none."""
    if asked in columns:
        return _of_column(columns[asked], task, positive)
    try:
        used = columns_in(asked, columns)
        strangers = names_in(asked) - set(map(identifier, used))
    except ValueError:
        used, strangers = [], {asked}
    if not used or strangers:
        wrong = sorted(strangers)[0] if strangers else asked
        raise ConfigError(
            f"--label {asked}: the table has no column {wrong}{near_miss(wrong, list(columns))} (it has: {', '.join(columns)}); "
            'name a column, or a condition over columns such as "delay >= 15"'
        )
    return _of_condition(asked, used, task, rows)


def _of_condition(asked: str, used: list[str], task: str | None, rows: pd.DataFrame) -> LabelFound:
    if task not in (None, "binary"):
        raise ConfigError(f"--label {asked}: a condition makes a binary label; for --task {task} name a column")
    values = evaluate(asked, rows[used], "--label", "table").astype("float64")
    _refuse_constant(asked, values)
    return LabelFound(used, said("binary"), said(asked), [], Truth(values, "binary"))


def _of_column(column: Column, task: str | None, positive: str | None) -> LabelFound:
    name, given = column.name, column.values.dropna()
    _refuse_constant(name, given)
    if column.kind in ("time", "text", "identifier"):
        raise SourceError(
            f"the label {name} {KINDS[column.kind]} ({column.why}): choose another column with --label, or a condition over it"
        )
    numeric, distinct = pd.api.types.is_numeric_dtype(given), given.nunique()
    found = said(task) if task else _guess_task(column, numeric, distinct)
    if found.value == "regression":
        if not numeric:
            raise ConfigError(
                f"--task regression: the label {name} holds no numbers ({column.why}); use --task multiclass"
            )
        return LabelFound(
            [name], found, Guess(quoted(name), "sure", "the column"), [], Truth(column.values, "regression")
        )
    if found.value == "multiclass":
        return _classes(column, found)
    if distinct != 2 and positive is None:
        raise ConfigError(
            f"--task binary: the label {name} has {distinct:,} values ({column.why}); say which one is the positive with "
            f'--positive VALUE, or give a condition, --label "{quoted(name)} > ..."'
        )
    return _binary(column, found, positive)


def _binary(column: Column, task: Guess[str], positive: str | None) -> LabelFound:
    values = column.values
    shown = sorted(to_text(values.dropna()).unique())
    if positive is not None and positive not in shown:
        raise ConfigError(f"--positive {positive}: {column.name} has no such value (it has: {', '.join(shown[:10])})")
    chosen = said(positive) if positive else _guess_positive(to_text(values))
    literal = chosen.value if pd.api.types.is_numeric_dtype(values) else f'"{chosen.value}"'
    if set(shown) == {"False", "True"}:
        literal = chosen.value
    expression = Guess(f"{quoted(column.name)} == {literal}", chosen.sure, chosen.why)
    truth = (to_text(values) == chosen.value).astype("float64").where(values.notna())
    return LabelFound([column.name], task, expression, [], Truth(truth, "binary"))


def _classes(column: Column, task: Guess[str]) -> LabelFound:
    shown = to_text(column.values)
    classes = sorted(shown.dropna().unique())
    codes = pd.Series(pd.Index(classes).get_indexer(shown), index=shown.index).astype("float64").where(shown.notna())
    return LabelFound(
        [column.name], task, Guess(quoted(column.name), "sure", "the column"), classes, Truth(codes, "multiclass")
    )


def _guess_task(column: Column, numeric: bool, distinct: int) -> Guess[str]:
    if distinct == 2:
        return Guess("binary", "sure", "two values")
    if not numeric:
        if distinct > CLASSES_AT_MOST:
            raise SourceError(
                f"the label {column.name} has {distinct} classes, and at most {CLASSES_AT_MOST} are useful: choose another column, "
                "or a condition over it, with --label"
            )
        return Guess("multiclass", "sure", f"{distinct} classes of text")
    whole = (column.values.dropna() % 1 == 0).all()
    if whole and distinct <= CLASSES_OF_NUMBERS_AT_MOST:
        return Guess("regression", "guess", f"{distinct} whole numbers: --task multiclass if they are names of classes")
    return Guess("regression", "sure" if distinct > 50 else "likely", f"{distinct:,} different numbers")


def _guess_positive(shown: pd.Series) -> Guess[str]:
    counts = shown.value_counts()
    named = [value for value in counts.index if value.lower() in POSITIVES]
    if len(named) == 1:
        return Guess(named[0], "likely", f"{named[0]} is the positive, {counts[named[0]] / counts.sum():.1%} of rows")
    rarer = str(counts.index[-1])
    return Guess(
        rarer, "guess", f"{rarer} is the rarer of two, {counts.iloc[-1] / counts.sum():.1%} of rows: else --positive"
    )


def quoted(name: str) -> str:
    """A column's name as an expression has it."""
    return name if name.isidentifier() else f"`{name}`"


def _refuse_constant(name: str, values: pd.Series) -> None:
    if not values.notna().any():
        raise SourceError(f"the label {name} has no value in any row: choose another with --label")
    if values.nunique() == 1:
        raise SourceError(
            f"the label {name} is always {values.dropna().iloc[0]}: there is nothing to predict; choose another with --label"
        )


KINDS = {"time": "holds times", "text": "holds sentences", "identifier": "names nearly every row differently"}
