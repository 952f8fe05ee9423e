"""Labels: an expression over delivered outcomes, used when they are due and not before.

The table `labels` is a log. Its partition for day D says what D taught: each outcome delivered on D, and each row that fell due on D
without one (`pending`, label missing). The label of a row as of D is the last entry up to D, so that a correction wins from the day
when it was known.
"""

import ast
import re
from dataclasses import dataclass
from datetime import date

import pandas as pd

from evergreen.config import Product
from evergreen.errors import SourceError
from evergreen.periods import Periods
from evergreen.validation import to_text, to_utc

COLUMNS = ["id", "event_time", "matures_at", "known_at", "label", "origin"]


@dataclass(frozen=True)
class DayLabels:
    """What one day taught about labels.

    `entries` has COLUMNS (label 0.0, 1.0 or missing); `orphans` counts outcomes without an accepted event, `undetermined`
    those on which the expression has no value, `untimely` those whose known_at is missing or lies after the day.
    """

    entries: pd.DataFrame
    orphans: int
    undetermined: int
    untimely: int

    @property
    def pending(self) -> int:
        return int(self.entries.label.isna().sum())


def due_times(events: pd.DataFrame, product: Product) -> pd.DataFrame:
    """`id`, `event_time` and `matures_at` (UTC) of events: all known when the prediction was made."""
    event_time = events[product.time.event]
    label = product.label
    matures_at = events[label.matures_at] if label.matures_at else event_time + pd.Timedelta(label.matures_after or 0)
    return pd.DataFrame({"id": events[product.id], "event_time": event_time, "matures_at": matures_at})


def due_columns(product: Product) -> list[str]:
    """The event columns that `due_times` needs."""
    return [product.id, product.time.event, *([product.label.matures_at] if product.label.matures_at else [])]


def label_day(
    outcomes: pd.DataFrame, recent: pd.DataFrame, labelled: set[str], product: Product, day: date
) -> DayLabels:
    """The label entries of one day.

    `outcomes` were delivered on the day; `recent` are the due times of the events that they may belong to; `labelled` are the ids
    that earlier days labelled. Raises SourceError where the outcomes lack a column that the label needs.
    """
    periods = Periods.of(product.time)
    found = _evaluate(outcomes, product)
    timely = found.known_at < periods.ends(day)
    determined = found.label.notna()
    usable = found[timely & determined].sort_values("known_at", kind="stable").drop_duplicates("id", keep="last")
    matched = recent.merge(usable, on="id").assign(origin="outcome")
    due = (recent.matures_at >= periods.begins(day)) & (recent.matures_at < periods.ends(day))
    pending = recent[due & ~recent.id.isin(labelled | set(matched.id))].assign(label=float("nan"), origin="none")
    pending["known_at"] = pd.Series(pd.NaT, index=pending.index, dtype="datetime64[us, UTC]")
    entries = pd.concat([matched[COLUMNS], pending[COLUMNS]], ignore_index=True) if len(pending) else matched[COLUMNS]
    entries = entries.astype({"label": "float64", "origin": "str"})
    return DayLabels(entries, len(usable) - len(matched), int((timely & ~determined).sum()), int((~timely).sum()))


def latest_labels(log: pd.DataFrame) -> pd.DataFrame:
    """The label log with one entry an id: the last one written."""
    return log.drop_duplicates("id", keep="last")


def _evaluate(outcomes: pd.DataFrame, product: Product) -> pd.DataFrame:
    """`id`, `known_at`, `label` of each outcome. Three-valued logic: a missing operand that matters makes a missing label.

    pandas takes a missing text for unequal to any other: where a column that is compared with text is missing, so is the label.
    """
    label = product.label
    absent = [name for name in (product.id, label.known_at) if name not in outcomes.columns]
    if absent:
        raise SourceError(
            f"outcomes lack the column(s) {', '.join(absent)}: correct the delivery, or id and label.known_at in the config"
        )
    if outcomes.empty:
        return pd.DataFrame(
            {
                "id": pd.Series(dtype="str"),
                "known_at": pd.Series(dtype="datetime64[us, UTC]"),
                "label": pd.Series(dtype="float64"),
            }
        )
    try:
        values = _operands(outcomes, product).eval(label.when, engine="python")
    except (
        pd.errors.UndefinedVariableError,
        TypeError,
        ValueError,
        SyntaxError,
        AttributeError,
        NotImplementedError,
    ) as problem:
        raise SourceError(
            f"label.when: {label.when!r} cannot be computed on the delivered outcomes ({problem})"
        ) from None
    if not isinstance(values, pd.Series) or not pd.api.types.is_bool_dtype(values):
        raise SourceError(f"label.when: {label.when!r} must be true or false for each outcome row")
    texts = [name for name, use in _uses(outcomes, label.when).items() if use == "string"]
    values = values.astype("boolean").mask(outcomes[texts].isna().any(axis=1))
    return pd.DataFrame(
        {
            "id": to_text(outcomes[product.id]),
            "known_at": to_utc(outcomes[label.known_at], product.time.timezone),
            "label": values.astype("float64"),
        }
    )


def _operands(outcomes: pd.DataFrame, product: Product) -> pd.DataFrame:
    """The outcomes in types that know missing values, and text that spells numbers or booleans as those; the id stays as it is."""
    typed = outcomes.convert_dtypes()
    for name, use in _uses(outcomes, product.label.when).items():
        if name != product.id:
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


def _uses(outcomes: pd.DataFrame, when: str) -> dict[str, str]:
    """How the expression uses each column: `string` beside quoted text, `Int64` in a calculation, else `boolean`.

    A missing boolean is missing in a comparison with a number too.
    """
    uses = dict.fromkeys(outcomes.columns, "boolean")
    named = {_identifier(name): name for name in outcomes.columns}
    parts = [(part, list(ast.walk(part))) for part in ast.walk(_parsed(when))]
    calculations = [nodes for part, nodes in parts if isinstance(part, ast.BinOp)]
    texts = [nodes for part, nodes in parts if isinstance(part, ast.Compare | ast.Call) and any(map(_is_text, nodes))]
    for use, places in (("Int64", calculations), ("string", texts)):
        names = {node.id for nodes in places for node in nodes if isinstance(node, ast.Name)}
        uses |= {named[name]: use for name in names & named.keys()}
    return uses


def _parsed(when: str) -> ast.Expression:
    """The expression as pandas reads it: `&` and `|` bind like `and` and `or`, and a name with blanks stands in backticks."""
    plain = re.sub(r"`([^`]*)`", lambda quoted: _identifier(quoted[1]), when.strip())
    return ast.parse(plain.replace("&", " and ").replace("|", " or "), mode="eval")


def _identifier(name: object) -> str:
    return str(name) if str(name).isidentifier() else "_" + re.sub(r"\W", "_", str(name))


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str)
