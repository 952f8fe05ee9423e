"""What each column is by itself: its kind, its values in that kind, and whether it is about a person."""

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from evergreen.config import CsvFormat
from evergreen.survey.times import TIMELY, find_times
from evergreen.table_source import plain_numbers
from evergreen.validation import to_text

Kind = Literal["numeric", "boolean", "time", "categorical", "text", "identifier", "constant", "empty"]
CATEGORIES_AT_MOST = 200
WORDS_OF_TEXT = 4
TRUTHS = [{"true", "false"}, {"t", "f"}, {"yes", "no"}, {"y", "n"}]
PERSONAL_NAMES = {
    "an e-mail address": r"e?_?-?mail",
    "a telephone number": r"phone|mobile_?(no|num)|^mobile$|(^|_)tel(_|$)|fax",
    "a name": r"(first|last|full|middle|given|family|maiden|customer|client|user|patient|passenger|employee|contact)_?name|surname|"
    r"^name$",
    "an address": r"address|street|post_?code|zip_?(code)?$|^zip",
    "a national id": r"(^|_)ssn|social_?sec|passport|national_?id|tax_?id|(^|_)nin(_|$)|driver.?s?_?licen|iban|credit_?card",
    "a date of birth": r"birth|(^|_)dob(_|$)",
    "an IP address": r"(^|_)ip(_?addr(ess)?|v4|v6)?(_|$)",
}
PERSONAL_VALUES = {
    "e-mail addresses": r"[^@\s]+@[^@\s]+\.[A-Za-z]{2,}",
    "IP addresses": r"(?:\d{1,3}\.){3}\d{1,3}|(?:[0-9a-fA-F]{0,4}:){3,7}[0-9a-fA-F]{0,4}",
    "telephone numbers": r"\+\d[\d ()./-]{6,}\d|\(\d{2,5}\) ?\d[\d -]{4,}|\d{3}-\d{3}-\d{4}",
    "national ids": r"\d{3}-\d{2}-\d{4}",
    "bank accounts (IBAN)": r"[A-Z]{2}\d{2}(?: ?[A-Z0-9]{4}){3,7}(?: ?[A-Z0-9]{1,3})?",
}
LOOKED_AT = 2000
ID_NAMES = ("id", "uuid", "guid", "key", "number", "no", "nr", "code", "ref")


@dataclass(frozen=True)
class Column:
    """A column as found; `values` are typed (numbers, booleans, UTC times, text), `personal` says why it is about a person."""

    name: str
    kind: Kind
    values: pd.Series
    why: str
    personal: str | None = None
    written: str | None = None
    note: str | None = None

    @property
    def missing(self) -> float:
        """Share of rows without a value."""
        return float(self.values.isna().mean())


def look_at_columns(
    rows: pd.DataFrame, csv: CsvFormat, timezone: str, time_format: str | None = None
) -> dict[str, Column]:
    """Every column, by name; `time_format` is how times are written, None where that is to be found out."""
    return {str(name): look_at(rows[name], str(name), csv, timezone, time_format) for name in rows.columns}


def look_at(values: pd.Series, name: str, csv: CsvFormat, timezone: str, time_format: str | None = None) -> Column:
    personal = about_a_person(values, name)
    given = values.dropna()
    if not len(given):
        return Column(name, "empty", values, "no row has a value", personal)
    if given.dtype == "object" and given.map(lambda value: isinstance(value, list | dict | np.ndarray)).any():
        return Column(name, "identifier", values.astype("str"), "nested values (lists or mappings)", personal)
    numbers = _of_numbers(values, name, csv, personal)
    if numbers is not None and not TIMELY.search(name):
        return numbers
    times = find_times(values, name, timezone, time_format)
    if times is not None:
        return Column(name, "time", times.values, "holds times", personal, times.written, times.note)
    return numbers or _words(values, name, personal)


def _of_numbers(values: pd.Series, name: str, csv: CsvFormat, personal: str | None) -> Column | None:
    numbers = _numbers(values, csv)
    if numbers is None:
        return None
    if numbers.nunique() == 1:
        return _constant(values, name, personal)
    if set(numbers.dropna()) == {0.0, 1.0}:
        return Column(name, "boolean", numbers, "only 0 and 1", personal)
    return Column(name, "numeric", numbers, f"numbers from {numbers.min():g} to {numbers.max():g}", personal)


def _numbers(values: pd.Series, csv: CsvFormat) -> pd.Series | None:
    if pd.api.types.is_bool_dtype(values) or pd.api.types.infer_dtype(values, skipna=True) == "boolean":
        return values.astype("boolean").astype("float64")
    numbers = pd.to_numeric(plain_numbers(values, csv), errors="coerce").astype("float64")
    return numbers if numbers.notna().equals(values.notna()) else None


def _constant(values: pd.Series, name: str, personal: str | None) -> Column:
    return Column(name, "constant", to_text(values), f"always {values.dropna().iloc[0]}", personal)


def _words(values: pd.Series, name: str, personal: str | None) -> Column:
    text = to_text(values)
    given = text.dropna()
    distinct, lower = given.nunique(), set(given.str.lower().unique()[:3])
    if distinct == 1:
        return _constant(values, name, personal)
    if lower in TRUTHS:
        return Column(name, "boolean", text, " and ".join(sorted(given.unique())), personal)
    if given.str.count(r"\s+").mean() + 1 >= WORDS_OF_TEXT and distinct > CATEGORIES_AT_MOST / 4:
        return Column(name, "text", text, f"sentences, such as {given.iloc[0]:.40}", personal)
    if distinct <= CATEGORIES_AT_MOST and distinct <= max(2, len(given) / 2):
        return Column(name, "categorical", text, f"{distinct} different values", personal)
    return Column(name, "identifier", text, f"{distinct:,} different values in {len(given):,} rows", personal)


def about_a_person(values: pd.Series, name: str) -> str | None:
    """Why a column looks like personal data, by its name or what its values look like; None where it does not."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z])|[\s.-]+", "_", name).lower()
    for what, pattern in PERSONAL_NAMES.items():
        if re.search(pattern, words):
            return f"is named like {what}"
    given = values.dropna()
    if not len(given) or not pd.api.types.is_string_dtype(given):
        return None
    sample = given.sample(min(LOOKED_AT, len(given)), random_state=7).str.strip()
    if sample.str.fullmatch("|".join(PERSONAL_VALUES.values())).mean() <= 0.5:
        return None
    for what, pattern in PERSONAL_VALUES.items():
        if sample.str.fullmatch(pattern).mean() > 0.5:
            return f"holds {what}"
    return None


def named_like_id(name: str) -> bool:
    words = [word for word in name.lower().replace("-", "_").replace(" ", "_").split("_") if word]
    return bool(words) and (words[-1] in ID_NAMES or (name.endswith("Id") or name.endswith("ID")))
