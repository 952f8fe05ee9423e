"""Where rows come from: files a day, a function, two queries, or one table."""

import codecs
import re
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from evergreen.config.section import EnvironmentName, Section
from evergreen.durations import Duration


class FilesSource(Section):
    """A file of events and one of outcomes a period; `{period}`, or `{day}`, stands for its name: an ISO date, or an hour such
    as 2013-01-05T07; relative paths start at EVERGREEN_HOME."""

    kind: Literal["files"]
    events: str = Field(pattern=r"\{(day|period)\}")
    outcomes: str = Field(pattern=r"\{(day|period)\}")
    sample: str | None = Field(
        None, description="module:function that fills the landing zone with sample data; none by default"
    )

    @property
    def places(self) -> list[str]:
        """What the sample fills."""
        return [self.events, self.outcomes]


class PythonSource(Section):
    """A clone's own function `read(day) -> (events, outcomes)`, two pandas frames."""

    kind: Literal["python"]
    function: str = Field(pattern=r"^[\w.]+:\w+$", description="module:function")


class SqlSource(Section):
    """Two queries on a database; `:start` and `:end` stand for the moments at which a day begins and ends, end excluded."""

    kind: Literal["sql"]
    url_from: EnvironmentName
    events: str = Field(description="query of the events of a day")
    outcomes: str = Field(description="query of the outcomes that became known on a day")

    @field_validator("events", "outcomes")
    @classmethod
    def query_is_bounded(cls, value: str) -> str:
        named = set(re.findall(r"(?<![:\w\\]):(\w+)(?!:)", value))
        if named != {"start", "end"}:
            raise ValueError(
                "a query has the two parameters :start and :end and no others, such as SELECT * FROM flights WHERE "
                "departure >= :start AND departure < :end ORDER BY id (a colon that begins no parameter is written \\:, "
                "and :start::date is written CAST(:start AS date))"
            )
        return value


class CsvFormat(Section):
    """How a CSV file is written, where that is not the usual."""

    delimiter: str = Field(",", min_length=1, max_length=1)
    encoding: str = "utf-8"
    decimal: Literal[".", ","] = "."
    thousands: Literal[".", ",", " ", "'"] | None = Field(None, description="none: digits are not grouped")
    missing: list[str] = Field([""], description="fields that stand for a missing value")

    @field_validator("encoding")
    @classmethod
    def encoding_exists(cls, value: str) -> str:
        try:
            return codecs.lookup(value).name
        except LookupError:
            raise ValueError(f"{value!r} is no encoding that Python knows, such as utf-8 or latin-1") from None

    @model_validator(mode="after")
    def marks_differ(self) -> "CsvFormat":
        if self.thousands == self.decimal:
            raise ValueError(f"decimal and thousands are both {self.decimal!r}: a number could not be read")
        return self


class TableSource(Section):
    """One table in which a row holds what is known before an event and, once it is known, its outcome.

    The columns of the label, `label.known_at` and `outcomes` are delivered as outcomes, when they are known, and never as events.
    """

    kind: Literal["table"]
    path: str | None = Field(None, description="CSV or Parquet; relative paths start at EVERGREEN_HOME")
    url: str | None = Field(None, pattern=r"^https?://[^@\s]+$", description="of a CSV or Parquet file")
    query: str | None = Field(None, description="the table as a query on the database of `url_from`")
    url_from: EnvironmentName | None = None
    outcomes: list[str] = Field(
        [], description="columns known only with the outcome, beside those that the label names"
    )
    known_after: Duration | None = Field(
        None, description="an outcome becomes known so long after its event; none: the column label.known_at says when"
    )
    time_format: str | None = Field(
        None,
        pattern="%|^unix",
        description="of times written as text, such as %d/%m/%Y %H:%M; unix or unix_ms; none: ISO 8601",
    )
    number_rows: bool = Field(
        False, description="the id is the row's position: for a table without an id, to which rows are only ever added"
    )
    csv: CsvFormat = CsvFormat()
    sample: str | None = Field(None, description="module:function that writes the file of sample data; none by default")

    @property
    def places(self) -> list[str]:
        """What the sample fills."""
        return [self.path] if self.path else []

    @model_validator(mode="after")
    def one_place(self) -> "TableSource":
        if sum(place is not None for place in (self.path, self.url, self.query)) != 1:
            raise ValueError(
                "give exactly one of path (a file), url (of a file) and query (on the database of url_from)"
            )
        if (self.query is None) != (self.url_from is None):
            raise ValueError("query and url_from (the environment variable with the database's URL) go together")
        if self.sample and self.path is None:
            raise ValueError("a sample writes a file: give its path")
        if self.number_rows and self.query and not re.search(r"\border\s+by\b", self.query, re.IGNORECASE):
            raise ValueError("number_rows needs an ORDER BY in the query: a database gives rows in any order")
        return self


SourceConfig = Annotated[FilesSource | PythonSource | SqlSource | TableSource, Field(discriminator="kind")]
