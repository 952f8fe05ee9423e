"""The product file of a surveyed table: commented, with each guess and how sure it is."""

from collections.abc import Sequence
from dataclasses import dataclass
from textwrap import wrap

from evergreen.cadence import WORDS
from evergreen.config import CsvFormat, TableSource
from evergreen.durations import format_duration
from evergreen.errors import SourceError
from evergreen.periods import Periods
from evergreen.survey.costs import decision_lines, heuristic_lines
from evergreen.survey.label import LabelFound
from evergreen.survey.lines import WIDTH, because, comment, scalar
from evergreen.survey.survey import Survey

NO_LESS = 4
UNITS = {"hourly": "d", "daily": "d", "weekly": "w", "monthly": "mo"}
FRESHNESS = {"hourly": "2h", "daily": "26h", "weekly": "8d", "monthly": "32d"}
TRAINED_AND_JUDGED = {"hourly": (28, 14), "daily": (28, 14), "weekly": (26, 8), "monthly": (24, 6)}
RETRAINED = {"hourly": "weekly", "daily": "weekly", "weekly": "monthly", "monthly": "monthly"}
SLICES_AT_MOST = 2
SLICE_ROWS = 200
FEW_ROWS = 20_000


@dataclass(frozen=True)
class Told:
    """What no table says."""

    question: str
    owner: str
    action: str = "act on it"


def product_text(name: str, found: Survey, source: TableSource, told: Told, grows: bool) -> str:
    """The file; `grows` means that the table gets new rows, so that the product has no end."""
    at_least, window = windows(found)
    unit = UNITS[found.cadence.value]
    lines = [
        *comment(f"Written by `evergreen new` from a table of {found.rows:,} rows and {len(found.columns)} columns. Each guess says how "
                  "sure it is: sure, likely, or guess, which needs a look."),
        *[line for note in found.notes for line in comment(f"- {note}")],
        "version: 2",
        f"name: {name}",
        f"question: {scalar(told.question)}",
        f"owner: {scalar(told.owner)}",
        "stakeholders: [] # who is affected by the decision, or answers for it; shown in model card, report and Dagster UI",
        "risks: [] # known risks of harm: whom a wrong or unfair prediction hurts, and how; shown in the same places",
        f"task: {found.label.task.value}{because(found.label.task)}",
        "decision:",
        f"  action: {scalar(told.action)} # what is done with a prediction: say it in your words",
        *decision_lines(found),
        f"service_levels: {{freshness: {FRESHNESS[found.cadence.value]}, scoring_latency_p99: 50ms}}",
        *_source(found, source),
        "time:",
        f"  event: {scalar(found.event.value)}{because(found.event)}",
        "  predict_before: 0s # how long before its event a row is predicted: then every feature has to be known",
        *_cadence(found),
        f"  start: {found.start}",
        *_end(found, grows),
        f"  timezone: {found.timezone} # where a period begins and ends, and of times without a zone",
        *_id(found),
        *_label(found),
        *_features(found),
        *_validation(found),
        "training:",
        f"  at_least: {at_least}{unit} # of {found.periods} {found.cadence.value} periods in the table",
        *_model(found, at_least),
        *_evaluation(found, window, unit),
        f"retraining: {{schedule: {RETRAINED[found.cadence.value]}}}",
        *heuristic_lines(found),
    ]  # fmt: skip
    return "\n".join(lines) + "\n"


def question_of(label: LabelFound) -> str:
    """The question that a label answers, until somebody words it better."""
    if label.task.value == "binary":
        return f"Will it come to {label.expression.value}?"
    return f"Which {label.columns[0]} will it be?" if label.classes else f"What will {label.columns[0]} be?"


def windows(found: Survey) -> tuple[int, int]:
    """Periods, or days of an hourly product, to train on and to judge by, as the length of history allows.

    Raises SourceError where it allows none.
    """
    periods = Periods(found.start, found.end, found.timezone, found.cadence.value)
    maturing = -(-periods.covering(found.known.value.matures_after) // periods.of_a_block)
    usable = found.periods // periods.of_a_block - maturing
    trained, judged = TRAINED_AND_JUDGED[found.cadence.value]
    if usable < 2 * NO_LESS + 1:
        word = "day" if found.cadence.value == "hourly" else WORDS[found.cadence.value]
        raise SourceError(
            f"the table spans {usable + maturing} {word}(s), of which the last {maturing} have no label yet: at least "
            f"{2 * NO_LESS + 1 + maturing} are needed, to train on {NO_LESS} and judge by {NO_LESS} others; add rows, or "
            "choose a shorter period with --cadence"
        )
    return min(trained, max(NO_LESS, int(usable * 0.4))), min(judged, max(NO_LESS, int(usable * 0.25)))


def _source(found: Survey, source: TableSource) -> list[str]:
    place = next(
        (key, value) for key, value in (("path", source.path), ("url", source.url), ("query", source.query)) if value
    )
    lines = ["source:", "  kind: table", f"  {place[0]}: {scalar(place[1])}"]
    if source.url_from:
        lines.append(f"  url_from: {source.url_from}")
    lines += (
        [
            "  outcomes: # known only with the outcome: never delivered with the events (--known-before COLUMN if it is not so)"
        ]
        if source.outcomes
        else []
    )
    lines += [f"    - {scalar(name)}{because(found.outcomes.get(name))}" for name in source.outcomes]
    if source.known_after is not None:
        lines.append(f"  known_after: {format_duration(source.known_after)}{because(found.known)}")
    if source.time_format:
        lines.append(f"  time_format: {scalar(source.time_format)}")
    if source.number_rows:
        lines.append(f"  number_rows: true{because(found.id)}")
    if source.csv != CsvFormat():
        written = source.csv.model_dump(exclude_defaults=True)
        lines.append(f"  csv: {scalar(written)}")
    return lines


def _cadence(found: Survey) -> list[str]:
    if found.cadence.value == "daily":
        return comment(f"a period is a day; {found.cadence.sure}: {found.cadence.why}", 2)
    return [f"  cadence: {found.cadence.value}{because(found.cadence)}"]


def _end(found: Survey, grows: bool) -> list[str]:
    if grows:
        return []
    return [
        f"  end: {found.end} # the table's last event; without this line the product goes on, and the table has to grow"
    ]


def _id(found: Survey) -> list[str]:
    return [
        f"id: {scalar(id_column(found))}" + (because(found.id) if found.id.value else " # the position in the table")
    ]


def id_column(found: Survey) -> str:
    """The column of the id; where the table has none, a name that it does not use."""
    return found.id.value or _unused("row_number", found)


def known_column(found: Survey) -> str:
    """The column of the outcomes that says when they were known."""
    return found.known.value.column or _unused("known_at", found)


def _unused(name: str, found: Survey) -> str:
    return name if name not in found.columns else f"evergreen_{name}"


def _label(found: Survey) -> list[str]:
    label, known = found.label, found.known.value
    key = "when" if label.task.value == "binary" else "value"
    lines = ["label:", f"  {key}: {scalar(label.expression.value)}{because(label.expression)}"]
    if label.classes:
        lines.append(f"  classes: {scalar(label.classes)}")
    if label.task.value == "regression":
        lines.append(
            f"  spread: {found.truth.std():.4g} # the label's standard deviation, the unit in which errors are judged"
        )
    why = because(found.known) if known.column else " # the event's time and source.known_after"
    return [
        *lines,
        f"  known_at: {scalar(known_column(found))}{why}",
        f"  matures_after: {format_duration(known.matures_after)} # when a label is due"
        + (", 99% of them are known by then" if known.column else ""),
        f"  matched_for: {format_duration(known.matched_for)}",
    ]


def _features(found: Survey) -> list[str]:
    lines = ["features:"]
    for kind, names in found.features.items():
        lines += _list(kind, names)
    if found.left_out:
        lines += comment("left out:", 2)
        lines += [line for name, why in found.left_out.items() for line in comment(f"- {name}: {why}", 2)]
    return lines


def _list(key: str, names: Sequence[str]) -> list[str]:
    if not names:
        return []
    text = ", ".join(scalar(name) for name in names)
    if len(text) < WIDTH - 20:
        return [f"  {key}: [{text}]"]
    return [f"  {key}:", "    [", *(f"      {line}" for line in wrap(text, WIDTH - 8, break_long_words=False)), "    ]"]


def _validation(found: Survey) -> list[str]:
    usual = found.counts.iloc[1:-1] if found.periods > 3 else found.counts
    low, high = int(usual.min()), int(usual.max())
    at_least = max(0, min(low // 2, int(found.counts.iloc[[0, -1]].min())))
    return [
        "validation:",
        f"  rows_per_period: {{at_least: {at_least}, at_most: {3 * high}}} # there were {low:,} to {high:,}; outside, a period is refused",
    ]


def _model(found: Survey, at_least: int) -> list[str]:
    """A linear model where words are features; else trees, less deep where rows are few, which deep ones learn by heart."""
    if found.features["text"]:
        kind = "{kind: linear, alpha: 0.1}" if found.label.task.value == "regression" else "{kind: logistic, C: 10}"
        return [f"  model: {kind} # words need a linear model"]
    depth = 6 if at_least * found.rows / found.periods >= FEW_ROWS else 3
    return [f"  model: {{kind: xgboost, n_estimators: 100, max_depth: {depth}}}"]


def _evaluation(found: Survey, window: int, unit: str) -> list[str]:
    rows = window * found.rows / found.periods * (24 if found.cadence.value == "hourly" else 1)
    slices: list[str] = []
    for name in found.features["categorical"]:
        shares = found.columns[name].values.value_counts(normalize=True)
        if len(slices) < SLICES_AT_MOST and 2 <= len(shares) <= 6 and shares.iloc[0] * rows >= SLICE_ROWS:
            slices.append(name)
    return [f"evaluation: {{window: {window}{unit}" + (f", slices: {scalar(slices)}" if slices else "") + "}"]
