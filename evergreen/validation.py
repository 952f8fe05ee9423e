"""Which rows of a day are good: rules from the config, checked by pandera; bad rows leave with their reasons."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from evergreen import wide
from evergreen.config import ColumnRule, Product
from evergreen.errors import DayRefused
from evergreen.own_features import own_columns
from evergreen.periods import Periods

if TYPE_CHECKING:
    import pandera.pandas as pa

Reasons = list[tuple[int, str]]
Read = Callable[[list[str] | None], Iterable[pd.DataFrame]]
"""Reads a day's rows in parts, from the first again at each call: these columns, or all of them (None)."""

BOOLEANS = {
    **dict.fromkeys(["true", "t", "yes", "y", "on", "1", "1.0"], 1.0),
    **dict.fromkeys(["false", "f", "no", "n", "off", "0", "0.0"], 0.0),
}
OFFSET = r"[T ].*(?:Z|[+-]\d{2}(?::?\d{2})?)\s*$"


@dataclass(frozen=True)
class Validated:
    """A day split in two: rows in = accepted + quarantined, always.

    `refused` says why the whole day is refused (then `batch` is empty and every row is in quarantine); None means that it is not.
    """

    batch: pd.DataFrame
    quarantine: pd.DataFrame
    refused: str | None


def validate(events: pd.DataFrame, product: Product, day: date) -> Validated:
    """Type, check and split a day's events.

    The batch has the columns that the product names: the id (string), times (UTC), numeric features (float64), booleans (1.0 or 0.0),
    dates (in the product's zone), categories and texts (string). The quarantine has `id`, `reasons` and `row`, the original as JSON.
    """
    try:
        [validated] = validate_parts(lambda columns: [events[columns] if columns else events], product, day)
    except DayRefused as refusal:
        return refuse(events, product, str(refusal))
    return validated


def validate_parts(read: Read, product: Product, day: date) -> Iterator[Validated]:
    """The same for a day that is read in parts; raises DayRefused where the whole day is, at the latest after the last part."""
    rows = bad = 0
    ids: _Ids | None = None
    for delivered in read(None):
        part = delivered.reset_index(drop=True)
        made = with_own_features(part, product)
        ids = ids or _Ids(_repeated_ids(read, made, product))
        validated = _split(part, made, ids, product, day)
        rows, bad = rows + len(part), bad + len(validated.quarantine)
        yield validated
    refused = _refusal(rows, bad, product)
    if refused:
        raise DayRefused(refused)


def with_own_features(rows: pd.DataFrame, product: Product) -> pd.DataFrame:
    """Delivered rows with the columns that `features.module` adds, and with `features.marks`: which code made them.

    The function is given the columns that the product names in their types, the others as delivered. What was delivered stays.
    Raises SourceError where the function breaks its contract.
    """
    code = product.features.module
    if code is None:
        return rows
    named = [name for name in needed_columns(product) if name in rows.columns]
    typed = rows.assign(**{name: _converted(rows[name], name, product)[0] for name in named})
    return pd.concat([rows, own_columns(typed, code)], axis="columns").assign(
        **dict.fromkeys(product.features.marks, code.function)
    )


def _split(delivered: pd.DataFrame, rows: pd.DataFrame, ids: "_Ids", product: Product, day: date) -> Validated:
    typed, reasons = _typed(rows, product)
    reasons += _timing_reasons(typed, product, day) + _schema_reasons(typed, product)
    reasons += [
        (int(row), f"{product.id}: the id came before") for row in rows.index[ids.came_before(typed[product.id])]
    ]
    bad = sorted({row for row, _ in reasons})
    return Validated(typed.drop(index=bad).reset_index(drop=True), _quarantine(delivered, product, reasons), None)


def _repeated_ids(read: Read, first: pd.DataFrame, product: Product) -> wide.Hashes:
    """Hashes of the ids that may occur in several parts of a day. Raises DayRefused where columns are missing."""
    absent = [name for name in needed_columns(product) if name not in first.columns]
    if absent:
        present = ", ".join(map(str, first.columns))
        raise DayRefused(f"columns are missing: {', '.join(absent)} (delivered: {present})")
    parts = read([product.id]) if len(first) >= wide.CHUNK_ROWS else []
    hashes = [wide.hashes_of(to_text(part[product.id])) for part in parts]
    return wide.repeated(np.concatenate(hashes)) if hashes else np.empty(0, dtype="uint64")


class _Ids:
    """The ids of a day so far: those of them that may come again."""

    def __init__(self, repeated: wide.Hashes) -> None:
        self._repeated = repeated
        self._seen: set[str] = set()

    def came_before(self, ids: pd.Series) -> pd.Series:
        """Whether each id of the next part came before, in an earlier part or in this one; a missing one never did."""
        came = (ids.duplicated() | wide.among(ids, self._seen)) & ids.notna()
        if len(self._repeated):
            self._seen.update(ids[np.isin(wide.hashes_of(ids), self._repeated)].dropna())
        return came


def needed_columns(product: Product) -> list[str]:
    """Every event column that the config names, once, in a fixed order."""
    maturity = [product.label.matures_at] if product.label.matures_at else []
    features = [*product.features.names, *product.features.marks]
    names = [product.id, *_time_columns(product), *maturity, *features, *product.validation.columns]
    return list(dict.fromkeys(names))


def empty_batch(product: Product) -> pd.DataFrame:
    """A batch without rows, with the types that a batch has."""
    return pd.DataFrame({name: pd.Series(dtype=kind) for name, kind in column_kinds(product).items()})


def column_kinds(product: Product) -> dict[str, str]:
    """A batch's columns, and the type of each as pandas names it."""
    return {name: _kind(name, product) for name in needed_columns(product)}


def _time_columns(product: Product) -> list[str]:
    return [product.time.event, *product.time.known_at]


def _kind(name: str, product: Product) -> str:
    features = product.features
    if name in _time_columns(product) or name == product.label.matures_at:
        return "datetime64[us, UTC]"
    if name in features.date:
        return "datetime64[us]"
    rule = product.validation.columns.get(name, ColumnRule())
    return "float64" if name in (*features.numeric, *features.boolean) or rule.between else "str"


def _typed(rows: pd.DataFrame, product: Product) -> tuple[pd.DataFrame, Reasons]:
    """Each column in its type; a value that cannot be turned into it becomes missing and gives a reason."""
    typed = empty_batch(product).reindex(rows.index)
    reasons: Reasons = []
    for name in typed.columns:
        converted, wanted = _converted(rows[name], name, product)
        lost = rows.index[rows[name].notna() & converted.isna()]
        reasons += [(int(row), f"{name}: not {wanted}") for row in lost]
        typed[name] = converted
    return typed, reasons


def _converted(values: pd.Series, name: str, product: Product) -> tuple[pd.Series, str]:
    """A column in its type, and what its values have to be."""
    kind, timezone = _kind(name, product), product.time.timezone
    if name in product.features.boolean:
        return to_boolean(values), "true or false"
    if kind == "float64":
        return _finite(values), "a number"
    if kind == "str":
        return to_text(values), "a text"
    return (to_utc(values, timezone), "a time") if "UTC" in kind else (to_local(values, timezone), "a date")


def _finite(values: pd.Series) -> pd.Series:
    """Numbers as float64; what is none, or infinite, becomes missing: no model can score it."""
    numbers = pd.to_numeric(values, errors="coerce").astype("float64")
    return numbers.where(np.isfinite(numbers))


def to_text(values: pd.Series) -> pd.Series:
    """Ids and categories as text; missing stays missing.

    A whole number is written without a point, whichever type pandas chose for it: `3` beside a missing value too.
    """
    inferred = values.convert_dtypes()
    text = inferred.astype("str").where(values.notna())
    return text.str.removesuffix(".0") if pd.api.types.is_float_dtype(inferred) else text


def to_boolean(values: pd.Series) -> pd.Series:
    """1.0 or 0.0: of booleans, of 1 and 0, and of the words for them in any case; what is none of these becomes missing."""
    return to_text(values).str.strip().str.lower().map(BOOLEANS).astype("float64")


def to_utc(times: pd.Series, timezone: str) -> pd.Series:
    """Times as UTC; a naive time is local in the product's zone; what is no time, or no single moment, becomes missing.

    Offsets may differ within a column, and naive times may stand beside aware ones.
    """
    as_utc, aware = _parsed(times)
    local = as_utc.dt.tz_localize(None).dt.tz_localize(timezone, ambiguous="NaT", nonexistent="NaT")
    return as_utc.where(aware, local.dt.tz_convert("UTC")).astype("datetime64[us, UTC]")


def no_moment(column: str, timezone: str) -> str:
    """What `to_utc` made missing, in words."""
    skipped = "" if timezone == "UTC" else f", or one that the clocks of {timezone} skip or show twice"
    return f"no readable {column}{skipped}"


def to_local(dates: pd.Series, timezone: str) -> pd.Series:
    """Dates and times as a clock in the product's zone shows them, without a zone; what is no date becomes missing."""
    as_utc, aware = _parsed(dates)
    shown = as_utc.dt.tz_convert(timezone).dt.tz_localize(None)
    return shown.where(aware, as_utc.dt.tz_localize(None)).astype("datetime64[us]")


def _parsed(times: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Times read as if they were UTC, and which of them name a zone, so that they are."""
    if isinstance(times.dtype, pd.DatetimeTZDtype):
        return times.dt.tz_convert("UTC"), pd.Series(True, index=times.index)
    as_utc = pd.to_datetime(times, errors="coerce", utc=True, format="ISO8601" if times.dtype.kind != "M" else None)
    return as_utc, times.astype("str").str.contains(OFFSET, na=False)


def _timing_reasons(typed: pd.DataFrame, product: Product, day: date) -> Reasons:
    event, periods = typed[product.time.event], Periods.of(product.time)
    needed = [product.time.event, *([product.label.matures_at] if product.label.matures_at else [])]
    missing = [(int(row), f"{name}: missing") for name in needed for row in typed.index[typed[name].isna()]]
    elsewhere = event.notna() & (periods.holding(event) != pd.Timestamp(day))
    reasons = missing + [(int(row), f"{product.time.event}: not on {day}") for row in typed.index[elsewhere]]
    if due := product.label.matures_at:
        last = periods.ends(periods.after(day, periods.covering(product.label.matched_for)))
        reasons += [
            (int(row), f"{due}: later than label.matched_for reaches, so that no outcome would be matched to it")
            for row in typed.index[typed[due] >= last]
        ]
    for name in product.time.known_at:
        late = typed[name] > event - product.time.predict_before
        reasons += [(int(row), f"{name}: later than the moment of prediction") for row in typed.index[late]]
    return reasons


def _schema_reasons(typed: pd.DataFrame, product: Product) -> Reasons:
    """What pandera finds, as (row, reason). Raises DayRefused where a rule could not be evaluated: it says nothing of any row."""
    from pandera.errors import SchemaErrors

    try:
        _schema(product).validate(typed, lazy=True)
    except SchemaErrors as errors:
        cases = list(errors.failure_cases.itertuples(index=False, name="Case"))
        if broken := [case for case in cases if pd.isna(case.index)]:
            told = dict.fromkeys(f"{case.column}: {case.check}: {case.failure_case}" for case in broken)
            raise DayRefused(f"rules cannot be evaluated: {'; '.join(told)}") from None
        return [(int(case.index), f"{case.column}: {_in_words(case.check)}") for case in cases]
    return []


def _schema(product: Product) -> "pa.DataFrameSchema":
    """The row rules as a pandera schema. That ids differ is no rule of a row."""
    import pandera.pandas as pa

    rules = product.validation.columns
    columns = {
        name: pa.Column(
            None, _checks(rules.get(name, ColumnRule())), nullable=not rules.get(name, ColumnRule()).required
        )
        for name in [*product.features.names, *rules]
    }
    columns[product.id] = pa.Column(None, nullable=False)
    return pa.DataFrameSchema(columns)


def _checks(rule: ColumnRule) -> "list[pa.Check]":
    import pandera.pandas as pa

    checks = []
    if rule.between:
        checks.append(pa.Check.in_range(*rule.between))
    if rule.one_of:
        checks.append(pa.Check.isin(rule.one_of))
    return checks


def _in_words(check: str) -> str:
    return "missing" if check == "not_nullable" else f"not {check}"


def _refusal(rows: int, bad: int, product: Product) -> str | None:
    """Why the whole day is refused, or None."""
    rule, limit = product.validation.rows_per_period, product.validation.quarantine_at_most
    a_period = f"{'an' if product.time.cadence == 'hourly' else 'a'} {product.time.word}"
    if rows < rule.at_least:
        return f"volume: {rows} rows, at least {rule.at_least} are expected {a_period}"
    if rule.at_most is not None and rows > rule.at_most:
        return f"volume: {rows} rows, at most {rule.at_most} are expected {a_period}"
    if rows and bad == rows:
        return f"all {rows} rows are bad"
    if rows and bad / rows > limit:
        return f"{bad} of {rows} rows are bad ({bad / rows:.1%}, at most {limit:.1%} may be)"
    return None


def refuse(rows: pd.DataFrame, product: Product, reason: str) -> Validated:
    """A day, or a part of one, that goes into quarantine as a whole."""
    rows = rows.reset_index(drop=True)
    reasons = [(row, reason) for row in range(len(rows))]
    return Validated(empty_batch(product), _quarantine(rows, product, reasons), reason)


def _quarantine(rows: pd.DataFrame, product: Product, reasons: Reasons) -> pd.DataFrame:
    texts: dict[int, list[str]] = {}
    for row, reason in reasons:
        texts.setdefault(row, []).append(reason)
    bad = rows.loc[sorted(texts)]
    ids = to_text(bad[product.id]) if product.id in bad else pd.Series("", index=bad.index)
    return pd.DataFrame(
        {
            "id": ids.to_numpy(),
            "reasons": ["; ".join(dict.fromkeys(texts[row])) for row in bad.index],
            "row": _as_json(bad),
        },
        dtype="str",
    )


def _as_json(rows: pd.DataFrame) -> list[str]:
    """Each row as strict JSON: missing is null, and an infinity, which JSON has no word for, is text."""
    plain = rows.astype("object").where(rows.notna(), None).replace({np.inf: "inf", -np.inf: "-inf"})
    return [json.dumps(record, default=str, allow_nan=False) for record in plain.to_dict("records")]
