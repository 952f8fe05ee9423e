"""The product file: one YAML, validated at load, that says everything about a product."""

import re
from datetime import date, timedelta
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import croniter
from pydantic import BaseModel, ByteSize, ConfigDict, Field, field_validator, model_validator

from evergreen.digests import digest_json
from evergreen.durations import Duration, WholeDays
from evergreen.expressions import names_in

Share = Annotated[float, Field(ge=0, le=1)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", description="lower case, digits and underscores")]
Address = Annotated[str, Field(pattern=r"^[^\s@<>,]+@[^\s@<>,]+$", description="an e-mail address, without a name")]
EnvironmentName = Annotated[
    str, Field(pattern=r"^[A-Z][A-Z0-9_]*$", description="environment variable that holds the secret, never the secret")
]


def _is_cron(line: str) -> bool:
    return len(line.split()) == 5 and croniter.is_valid(line)


class Section(BaseModel):
    """A block of YAML: unknown keys are refused, values never change after load."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Costs(Section):
    """What each outcome of the decision costs, in the product's currency a row; a gain is negative."""

    true_positive: float
    false_positive: float
    false_negative: float
    true_negative: float

    @model_validator(mode="after")
    def acting_must_help_someone(self) -> "Costs":
        if self.false_negative <= self.true_positive or self.false_positive <= self.true_negative:
            raise ValueError(
                "costs must make the action worth it on positives (false_negative > true_positive) and a waste on "
                "negatives (false_positive > true_negative): otherwise one answer is always right and no model is needed"
            )
        return self


class GoodEnough(Section):
    metric: Literal["expected_cost", "log_loss"] = Field(description="what is bounded, a mean a row")
    at_most: float = Field(description="the bound, in the metric's unit")


class Decision(Section):
    """What is done with a prediction, what that costs, and when it is good enough to ship."""

    action: str
    costs: Costs
    currency: str = Field(
        "dollars", min_length=1, description="the unit of the costs, as people write it after a number"
    )
    good_enough: GoodEnough


class ServiceLevels(Section):
    freshness: Duration = Field(
        description="longest time between two scored days; then the asset shows as stale and people are told"
    )
    scoring_latency_p99: Duration = Field(description="bound for one row through the model, 99th percentile")
    model_size: ByteSize = Field(ByteSize(100_000_000), gt=0, description="bound for the model file, such as 100MB")
    scoring_limit: Duration = Field(
        timedelta(minutes=5),
        gt=timedelta(0),
        description="a batch through one model; after that the next rung of the ladder answers",
    )


class FilesSource(Section):
    """Daily files; `{day}` stands for the ISO date; relative paths start at EVERGREEN_HOME."""

    kind: Literal["files"]
    events: str = Field(pattern=r"\{day\}")
    outcomes: str = Field(pattern=r"\{day\}")
    sample: str | None = Field(
        None, description="module:function that fills the landing zone with sample data; none by default"
    )


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


SourceConfig = Annotated[FilesSource | PythonSource | SqlSource, Field(discriminator="kind")]


class Time(Section):
    event: str = Field(description="column with the time of the event")
    predict_before: Duration = Field(description="a row is predicted this long before its event")
    known_at: list[str] = Field(
        [], description="columns that say when a feature was observed; later than the prediction is refused"
    )
    start: date
    end: date | None = Field(None, description="last day, included; none means that the product has no planned end")
    timezone: str = Field(description="the time zone in which a day begins and ends")
    daily_job: str = Field(
        "30 2 * * *",
        description="cron line: when the daily job runs, in `timezone`; after the deliveries of the day that has ended",
    )

    @field_validator("daily_job")
    @classmethod
    def daily_job_is_a_cron_line(cls, value: str) -> str:
        if not _is_cron(value):
            raise ValueError(f"{value!r} is not a cron line of five fields such as '30 2 * * *'")
        return value

    @field_validator("timezone")
    @classmethod
    def timezone_exists(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            raise ValueError(f"{value!r} is not an IANA time zone such as America/New_York or UTC") from None
        return value

    @model_validator(mode="after")
    def end_follows_start(self) -> "Time":
        if self.end is not None and self.end < self.start:
            raise ValueError(f"end {self.end} lies before start {self.start}")
        return self


class Label(Section):
    when: str = Field(
        description="a pandas expression over delivered outcomes; a missing operand makes a missing label"
    )
    known_at: str = Field(description="column of the outcomes with the time when the outcome was known")
    matures_after: Duration | None = Field(None, description="fixed delay after the event until the label is due")
    matures_at: str | None = Field(
        None, description="event column, known at prediction time, with the moment when the label is due"
    )
    matched_for: WholeDays = Field(
        timedelta(days=8), description="how long after the event's day an outcome is still matched to it"
    )
    coverage_at_least: Share = Field(
        0.95, description="share of mature rows with a label under which a day is not judged"
    )

    @model_validator(mode="after")
    def one_maturity(self) -> "Label":
        if (self.matures_after is None) == (self.matures_at is None):
            raise ValueError("give exactly one of matures_after (a fixed delay) and matures_at (an event column)")
        if self.matures_after is not None and self.matched_for <= self.matures_after:
            raise ValueError(
                "matched_for must be longer than matures_after, or no outcome would be matched when it is due"
            )
        return self


class Features(Section):
    numeric: list[str] = []
    categorical: list[str] = []

    @property
    def names(self) -> list[str]:
        return [*self.categorical, *self.numeric]

    @model_validator(mode="after")
    def some_and_once(self) -> "Features":
        if not self.names:
            raise ValueError("a product needs at least one feature, numeric or categorical")
        twice = sorted({name for name in self.names if self.names.count(name) > 1})
        if twice:
            raise ValueError(f"named twice: {', '.join(twice)}")
        return self


class Bounds(Section):
    at_least: int = Field(0, ge=0)
    at_most: int | None = Field(None, ge=0, description="none means no upper bound")

    @model_validator(mode="after")
    def at_most_is_not_below_at_least(self) -> "Bounds":
        if self.at_most is not None and self.at_most < self.at_least:
            raise ValueError(f"at_most {self.at_most} lies below at_least {self.at_least}")
        return self


class ColumnRule(Section):
    between: tuple[float, float] | None = Field(None, description="closed range of a numeric column")
    one_of: list[str] | None = Field(None, description="the categories that are allowed")
    required: bool = Field(False, description="a missing value sends the row to quarantine")

    @field_validator("between")
    @classmethod
    def between_is_ordered(cls, value: tuple[float, float] | None) -> tuple[float, float] | None:
        if value is not None and not value[0] <= value[1]:
            raise ValueError(f"between {list(value)} has no values: write the smaller bound first")
        return value


class Validation(Section):
    rows_per_day: Bounds = Bounds(at_least=1)
    quarantine_at_most: Share = Field(0.05, description="share of bad rows above which the whole day is refused")
    columns: dict[str, ColumnRule] = {}


class LogisticModel(Section):
    """L2-regularised logistic regression over one-hot categories and standardised numbers."""

    kind: Literal["logistic"]
    C: float = Field(1.0, gt=0, description="inverse strength of the regularisation")


class XGBoostModel(Section):
    """Gradient-boosted trees; categories are split natively, through the stored vocabulary."""

    kind: Literal["xgboost"]
    n_estimators: int = Field(100, ge=1, le=10_000)
    max_depth: int = Field(6, ge=1, le=20)
    learning_rate: float = Field(0.1, gt=0, le=1)
    threads: int = Field(1, ge=1)


Model = Annotated[LogisticModel | XGBoostModel, Field(discriminator="kind")]


class Training(Section):
    window: WholeDays | Literal["expanding"] = Field("expanding", description="days of history to train on")
    at_least: WholeDays = Field(
        timedelta(days=28), description="days of mature history without which nothing is trained"
    )
    refit_on_promotion: bool = Field(
        True,
        description="what ships is fitted again, with the judging days; false ships the model that was judged",
    )
    baseline: LogisticModel = LogisticModel(kind="logistic")
    model: Model
    seed: int = 7


class Failures(Section):
    """Confident errors met in production, kept from training so that later versions can be asked about them."""

    log_loss_over: float = Field(
        3.0, gt=0, description="of the served score, in nats: over 3.0 the truth had been given less than 5%"
    )
    at_most: int = Field(
        50, ge=1, description="cases; the newest are kept, older ones are released to training; many would bias it"
    )


class Evaluation(Section):
    window: WholeDays = Field(
        timedelta(days=14), description="whole mature days, kept out of training, that judge a candidate"
    )
    slices: list[str] = Field([], description="columns whose every value is watched on its own")
    slice_rows_at_least: int = Field(200, ge=1, description="rows in the window under which a slice is not judged")
    golden: WholeDays | None = Field(
        None,
        description="whole days reserved before the first training and never trained on, the same reference for every version; "
        "the first decision waits as many days longer; none reserves nothing",
    )
    failures: Failures | None = Field(Failures(), description="none keeps no cases and withholds nothing")


class Change(Section):
    """How another recipe earns its place: on days that both recipes predicted before seeing them."""

    rule: Literal["non_inferiority", "superiority"] = "superiority"
    margin: float = Field(0.002, ge=0, description="log-loss that non-inferiority gives away")
    days: WholeDays = Field(timedelta(days=28), description="prequential days that the comparison needs")


class Gates(Section):
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.95
    worse_at_most: float = Field(
        0.02, gt=0, description="log-loss by which no refresh may exceed the champion, proven or not"
    )
    ranking_loss_at_most: float = Field(
        0.01,
        gt=0,
        description="daily AUC against the champion of which no candidate may cost so much: the judging days must exclude it",
    )
    change: Change = Change()
    approval: Literal["none", "required"] = Field(
        "none", description="required: what passes the gates waits until a person says yes; serving goes on meanwhile"
    )
    overfit_at_most: float = Field(
        0.25,
        gt=0,
        description="log-loss that may be lost from training to the judged days, over what the baseline loses",
    )
    disabled: list[Literal["new_process", "ranking", "slices", "calibration", "overfit", "latency", "size"]] = Field(
        [], description="gates that are switched off, on the record"
    )

    @model_validator(mode="before")
    @classmethod
    def off_is_called_disabled(cls, value: Any) -> Any:
        """YAML reads a bare `off` as false, so the key of that name could only be written in quotes."""
        if isinstance(value, dict) and ("off" in value or False in value):
            raise ValueError("the key off is called disabled: write disabled: [...] instead of it")
        return value


class Shadow(Section):
    """A trial beside the champion, before what passes the gates may replace it; the harm that it looks for is bounded by `gates`."""

    days: int = Field(0, ge=0, le=90, description="whole mature days that both score; 0: no shadow")
    psi: float = Field(
        0.25, gt=0, description="stability index of its scores against the champion's over which it is refused"
    )


class PerformanceTrigger(Section):
    """Fires when the champion's live loss left what it was when promoted, by more than history does by itself."""

    kind: Literal["performance"]
    over: WholeDays = timedelta(days=14)
    false_alarms: Annotated[int, Field(ge=1)] = Field(30, description="one false alarm in that many quiet days")


class DriftTrigger(Section):
    """Fires when the importance-weighted population stability index passes the bound."""

    kind: Literal["drift"]
    psi: float = Field(0.25, gt=0)


class StalenessTrigger(Section):
    """Fires when the last retrain decision is older than this."""

    kind: Literal["staleness"]
    days: int = Field(30, ge=1)


Trigger = Annotated[PerformanceTrigger | DriftTrigger | StalenessTrigger, Field(discriminator="kind")]


class Budget(Section):
    retrains: int = Field(10, ge=1)
    per: WholeDays = timedelta(days=30)


class Retraining(Section):
    schedule: str = Field(
        "weekly", description="daily, weekly, or a cron line of five fields in the product's time zone"
    )
    triggers: list[Trigger] = []
    cooldown: WholeDays = Field(timedelta(days=3), description="days after a retrain in which no trigger fires")
    budget: Budget = Budget()

    @field_validator("schedule")
    @classmethod
    def schedule_is_known(cls, value: str) -> str:
        if value not in ("daily", "weekly") and not _is_cron(value):
            raise ValueError(f"{value!r} is neither daily, weekly nor a cron line of five fields such as '0 4 * * 1'")
        return value


class RollbackPolicy(Section):
    """When the champion is replaced by the one before it without being asked: proven worse on mature days that both scored."""

    automatic: bool = Field(True, description="false: it is judged and reported, and a person decides")
    at_least: WholeDays = Field(timedelta(days=5), ge=timedelta(days=2), description="days that both scored")
    over: WholeDays = Field(timedelta(days=14), description="newest such days that are judged")
    confidence: Annotated[float, Field(gt=0.5, lt=1)] = 0.99

    @model_validator(mode="after")
    def window_holds_what_is_needed(self) -> "RollbackPolicy":
        if self.over < self.at_least:
            raise ValueError("over must not be shorter than at_least, or there are never enough days")
        return self


class LogChannel(Section):
    """The log of the alert sensor, in the Dagster UI and on its console."""

    kind: Literal["log"]

    @property
    def name(self) -> str:
        return "log"


class WebhookChannel(Section):
    """A POST of JSON with a `text`, as chat services take it, and the incidents as fields."""

    kind: Literal["webhook"]
    url_from: EnvironmentName

    @property
    def name(self) -> str:
        return f"webhook {self.url_from}"


class EmailChannel(Section):
    """A mail over SMTP."""

    kind: Literal["email"]
    to: list[Address] = Field(min_length=1)
    sender: Address
    host: str = Field(description="of the SMTP server")
    port: int = Field(587, ge=1, le=65535)
    security: Literal["starttls", "ssl", "none"] = "starttls"
    user: str | None = Field(None, description="none: the server asks for no login")
    password_from: EnvironmentName | None = None

    @property
    def name(self) -> str:
        return f"email {', '.join(self.to)}"

    @model_validator(mode="after")
    def login_is_whole_and_hidden(self) -> "EmailChannel":
        if (self.user is None) != (self.password_from is None):
            raise ValueError("give both user and password_from (the variable that holds the password), or neither")
        if self.user is not None and self.security == "none":
            raise ValueError("security none would send the password in clear: write starttls or ssl")
        return self


Channel = Annotated[LogChannel | WebhookChannel | EmailChannel, Field(discriminator="kind")]


class MessageRate(Section):
    messages: int = Field(10, ge=1)
    per: Duration = Field(timedelta(hours=1), gt=timedelta(0))


class Alerts(Section):
    """Who is told what asks for a person, and how often."""

    channels: list[Channel] = Field([LogChannel(kind="log")], min_length=1)
    remind_after: Duration = Field(
        timedelta(hours=24),
        gt=timedelta(0),
        description="until an open incident is told again; after that, twice as long each time",
    )
    at_most: MessageRate = Field(MessageRate(), description="a channel; what exceeds it waits, and comes in one digest")

    @field_validator("channels")
    @classmethod
    def channels_differ(cls, value: list[Channel]) -> list[Channel]:
        names = [channel.name for channel in value]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"told twice: {'; '.join(twice)}")
        return value


class Retention(Section):
    """How long what can be spared is kept; none means for ever. Deliveries, tables, documents and ledgers always stay.

    Ages of data count in days of the product's life, up to its newest day; the age of an event log by the clock.
    """

    quarantine: WholeDays | None = Field(None, description="refused rows with their reasons; the delivery itself stays")
    event_logs: WholeDays | None = Field(
        None, description="what a Dagster run logged, and its output; the run and its materializations stay"
    )
    refused_models: WholeDays | None = Field(
        None, description="model files of candidates that never served, counted from their decision"
    )
    superseded_models: WholeDays | None = Field(
        None,
        description="model files of versions that served, counted from the day on which the ledger last named them; a day that "
        "such a version served can then no longer be scored again as it was",
    )

    @property
    def spares(self) -> bool:
        """Whether anything is ever removed."""
        return any(age is not None for age in dict(self).values())

    @property
    def spares_models(self) -> bool:
        """Whether model files are ever removed."""
        return self.refused_models is not None or self.superseded_models is not None


class Then(Section):
    probability: Share


class Rule(Section):
    """What is known without a model of the rows for which `when` is true."""

    when: str = Field(description="an expression over features; a missing operand that matters makes it no match")
    then: Then


class Heuristic(Section):
    """The last rung: the first rule that matches, else the training base rate; before the first training, what is declared here."""

    before_training: Share
    rules: list[Rule] = []

    @property
    def digest(self) -> str:
        """The version of the rules."""
        return digest_json(self.model_dump(mode="json"))


class Product(Section):
    """A machine-learning product, from the question that it answers to when it retrains."""

    version: Literal[1]
    name: Name
    question: str
    owner: str = Field(pattern=r"^(team:\S+|\S+@\S+\.\S+)$", description="team:NAME or an e-mail address")
    task: Literal["binary"]
    decision: Decision
    service_levels: ServiceLevels
    source: SourceConfig
    time: Time
    id: str
    label: Label
    features: Features
    validation: Validation = Validation()
    training: Training
    evaluation: Evaluation = Evaluation()
    gates: Gates = Gates()
    shadow: Shadow = Shadow()
    retraining: Retraining = Retraining()
    rollback: RollbackPolicy = RollbackPolicy()
    alerts: Alerts = Alerts()
    retention: Retention = Retention()
    heuristic: Heuristic

    @model_validator(mode="after")
    def columns_are_declared(self) -> "Product":
        outcome_columns = {self.label.known_at, *re.findall(r"[A-Za-z_]\w*", self.label.when)}
        leaked = outcome_columns & set(self.features.names)
        if leaked:
            raise ValueError(f"{', '.join(sorted(leaked))}: known only with the outcome, so it cannot be a feature")
        for rule in self.heuristic.rules:
            unknown = names_in(rule.when) - set(self.features.names)
            if unknown:
                raise ValueError(
                    f"heuristic.rules speak of features; in {rule.when!r} these are none: {', '.join(sorted(unknown))}"
                )
        strangers = set(self.evaluation.slices) - set(self.features.categorical)
        if strangers:
            raise ValueError(
                f"evaluation.slices must be categorical features; these are not: {', '.join(sorted(strangers))}"
            )
        return self

    @property
    def digest(self) -> str:
        """Digest of the whole configuration."""
        return digest_json(self.model_dump(mode="json"))

    @property
    def recipe(self) -> str:
        """Digest of what makes a model: two versions with one recipe differ in their data alone."""
        parts: dict[str, Any] = {
            "task": True,
            "features": True,
            "label": {"when", "known_at", "matures_after", "matures_at"},
            "training": {"window": True, "seed": True, "model": True},
        }
        content = self.model_dump(mode="json", include=parts)
        content["training"]["model"].pop("threads", None)
        return digest_json(content)
