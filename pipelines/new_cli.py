"""The command line's beginning of a product: `evergreen new`."""

import subprocess
import sys
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from evergreen.durations import parse_duration
from evergreen.errors import AnswerNeeded, ConfigError

if TYPE_CHECKING:
    from evergreen.cadence import Cadence
    from evergreen.config import Product, TableSource
    from evergreen.config_check import Finding
    from evergreen.product_writer import Told
    from evergreen.survey.asked import Asked
    from evergreen.survey.reading import Found
    from evergreen.survey.survey import Survey

new_app = typer.Typer()
DATABASES = ("postgresql", "postgres", "mysql", "mssql", "oracle", "sqlite", "snowflake", "bigquery", "duckdb")


@new_app.command()
def new(
    name: Annotated[str, typer.Argument(help="of the product: lower case, digits, underscores")],
    table: Annotated[
        str, typer.Option("--from", help="a CSV or Parquet file, its http(s) URL, or a table or query of a database")
    ],
    url_from: Annotated[
        str | None, typer.Option(help="the environment variable with the database's SQLAlchemy URL")
    ] = None,
    label: Annotated[str | None, typer.Option(help='a column, or a condition such as "delay >= 15"')] = None,
    event_time: Annotated[str | None, typer.Option(help="the column with the time of the event")] = None,
    known_at: Annotated[str | None, typer.Option(help="the column with the time when the outcome was known")] = None,
    known_after: Annotated[str | None, typer.Option(help="or how long after its event that is, such as 1d")] = None,
    id: Annotated[
        str | None, typer.Option(help="the column that tells events apart; default: found, or rows are numbered")
    ] = None,
    task: Annotated[str | None, typer.Option(help="binary, multiclass or regression; default: by the label")] = None,
    positive: Annotated[str | None, typer.Option(help="the label's value that is asked for; binary alone")] = None,
    cadence: Annotated[
        str | None, typer.Option(help="hourly, daily, weekly or monthly; default: by how rows fall")
    ] = None,
    timezone: Annotated[str, typer.Option(help="of times that name none, and in which a period begins")] = "UTC",
    time_format: Annotated[
        str | None, typer.Option(help="how times are written, such as %d/%m/%Y; default: found")
    ] = None,
    outcomes: Annotated[list[str] | None, typer.Option(help="a column known only afterwards; repeatable")] = None,
    known_before: Annotated[
        list[str] | None, typer.Option(help="a column that is known before the event after all; repeatable")
    ] = None,
    personal: Annotated[
        list[str] | None, typer.Option(help="personal data that may be a feature nevertheless; repeatable")
    ] = None,
    question: Annotated[str | None, typer.Option(help="what the product answers, in a sentence")] = None,
    action: Annotated[str, typer.Option(help="what is done with a prediction")] = "act on it",
    owner: Annotated[str | None, typer.Option(help="team:NAME or an e-mail address; default: git's user.email")] = None,
    grows: Annotated[bool, typer.Option("--grows", help="the table gets new rows: the product has no end")] = False,
    force: Annotated[bool, typer.Option("--force", help="write over a product file that exists")] = False,
) -> None:
    """Survey a table and write configs/products/NAME.yaml from it, commented, with each guess and how sure it is."""
    from evergreen.storage import write_bytes
    from evergreen.survey.asked import Asked
    from pipelines import places
    from pipelines.screen import console
    from pipelines.survey_screen import print_findings, print_next, print_survey

    target = places.configs() / "products" / f"{name}.yaml"
    _refuse_bad_name(name)
    if target.exists() and not force:
        raise ConfigError(f"{target} exists: choose another name, or write over it with --force")
    source = _place(table, url_from)
    asked = Asked(
        label=label,
        event_time=event_time,
        id=id,
        task=task,
        positive=positive,
        known_at=known_at,
        known_after=_duration(known_after),
        cadence=_cadence(cadence),
        timezone=_zone(timezone),
        time_format=time_format,
        outcomes=tuple(outcomes or ()),
        known_before=tuple(known_before or ()),
        personal=tuple(personal or ()),
    )
    with console.status(f"reading {table}"):
        found = _read(source, asked.timezone, table)
    surveyed = _surveyed(found, asked)
    told = _told(surveyed, question, owner, action)
    declared = _declared(source, found, surveyed)
    text, product, findings = _written(name, surveyed, declared, told, grows or declared.query is not None)
    write_bytes(text.encode(), target)
    print_survey(surveyed)
    print_findings(findings)
    print_next(product, target)


def _refuse_bad_name(name: str) -> None:
    if not (name.isascii() and name.isidentifier() and name.islower() and not name.startswith("_")):
        raise ConfigError(f"{name!r} is no product's name: lower case, digits and underscores, such as late_orders")


def _place(table: str, url_from: str | None) -> "TableSource":
    """Where the table is. A file in the home is named relative to it, another one by its whole path."""
    from evergreen.config import TableSource
    from evergreen.product_files import parse
    from pipelines import places

    if url_from:
        query = table if table.split(maxsplit=1)[0].lower() in ("select", "with") else f"SELECT * FROM {table}"
        content: dict[str, Any] = {"query": query, "url_from": url_from}
    elif table.partition("://")[0].partition("+")[0] in DATABASES:
        raise ConfigError(
            "--from holds a database's URL, which is a secret: put it into an environment variable, name that with --url-from, "
            "and give a table or a query as --from"
        )
    elif table.startswith(("http://", "https://")):
        content = {"url": table}
    else:
        path, home = Path(table).expanduser().resolve(), places.home()
        content = {"path": str(path.relative_to(home) if path.is_relative_to(home) else path)}
    return parse(TableSource, {"kind": "table", **content}, "--from")


def _read(source: "TableSource", timezone: str, name: str) -> "Found":
    from evergreen.databases import hidden
    from evergreen.errors import SourceError
    from evergreen.survey.reading import Found, find_table
    from evergreen.table_files import download, read_bytes, read_source
    from pipelines import places

    if source.query is not None:
        rows, _ = read_source(source, places.home(), timezone)
        if not len(rows):
            raise SourceError(f"{name}: no rows: put in the rows of some weeks at least")
        return Found(rows)
    if source.url is not None:
        return find_table(download(source.url), hidden(source.url))
    return find_table(read_bytes(places.home() / str(source.path)), name)


def _surveyed(found: "Found", asked: "Asked") -> "Survey":
    """The survey; what it cannot know is asked, where there is somebody to answer."""
    from evergreen.survey.survey import survey

    while True:
        try:
            return survey(found, asked)
        except AnswerNeeded as needed:
            answer = _ask(needed)
            given: Any = _duration(answer) if needed.key == "known_after" else answer
            asked = replace(asked, **{needed.key: given})


def _ask(needed: AnswerNeeded) -> str:
    """An answer from the terminal. Raises AnswerNeeded again where stdin is none."""
    from rich.prompt import Prompt

    from pipelines.screen import console

    if not sys.stdin.isatty():
        raise needed
    return str(Prompt.ask(needed.question, console=console, default=needed.suggestion))


def _told(found: "Survey", question: str | None, owner: str | None, action: str) -> "Told":
    from evergreen.product_writer import Told, question_of

    asked = question or question_of(found.label)
    whose = (
        owner
        or _git_email()
        or _ask(AnswerNeeded("owner", "Who owns the product (team:NAME or an e-mail address)?", "team:name"))
    )
    return Told(asked, whose, action)


def _git_email() -> str | None:
    try:
        answer = subprocess.run(
            ["git", "config", "user.email"], capture_output=True, text=True, timeout=10, check=False
        )
    except OSError:
        return None
    return answer.stdout.strip() or None


def _declared(source: "TableSource", found: "Found", surveyed: "Survey") -> "TableSource":
    """The source as the product file will hold it."""
    known = surveyed.known.value
    columns = [surveyed.columns[name] for name in (surveyed.event.value, known.column) if name]
    query = source.query
    if query is not None and surveyed.id.value is None and "order by" not in query.lower():
        query = f"SELECT * FROM ({query}) AS surveyed ORDER BY {surveyed.event.value}"
    return source.model_copy(
        update={
            "query": query,
            "csv": found.csv,
            "outcomes": [*surveyed.outcomes],
            "known_after": known.after,
            "time_format": next((column.written for column in columns if column.written), None),
            "number_rows": surveyed.id.value is None,
        }
    )


def _written(
    name: str, surveyed: "Survey", declared: "TableSource", told: "Told", grows: bool
) -> "tuple[str, Product, list[Finding]]":
    """The file's text, what it loads as, and what the data say of it. Raises ConfigError where they contradict it."""
    from evergreen.config_check import check_against_data
    from evergreen.product_files import load_product
    from evergreen.product_writer import product_text
    from pipelines import places

    text = product_text(name, surveyed, declared, told, grows)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / f"{name}.yaml"
        draft.write_text(text, encoding="utf-8")
        try:
            product = load_product(draft)
        except ConfigError as problem:
            raise ConfigError(str(problem).replace(f"{draft}: ", "nothing is written: ")) from None
    findings = check_against_data(product, places.home(), datetime.now(UTC))
    wrong = [f"{finding.what}: {finding.way_out}" for finding in findings if finding.how == "wrong"]
    if wrong:
        raise ConfigError("nothing is written, because the data contradict what was found:\n" + "\n".join(wrong))
    return text, product, findings


def _duration(text: str | None) -> Any:
    if text is None:
        return None
    try:
        return parse_duration(text)
    except ValueError as problem:
        raise ConfigError(f"--known-after: {problem}") from None


def _cadence(word: str | None) -> "Cadence | None":
    from evergreen.cadence import WORDS

    if word is None or word in WORDS:
        return word
    raise ConfigError(f"--cadence {word}: one of {', '.join(WORDS)} is expected")


def _zone(name: str) -> str:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ConfigError(f"--timezone {name}: no IANA time zone such as America/New_York or UTC") from None
