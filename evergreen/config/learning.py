"""How models are trained and judged, and what they must show before they serve."""

from typing import Annotated, Any, Literal

from pydantic import Field, JsonValue, field_validator, model_validator

from evergreen.config.own_code import OwnCode
from evergreen.config.section import Section, is_empty
from evergreen.durations import InBlocks, JudgedSpan


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


class LinearModel(Section):
    """L2-regularised linear regression over one-hot categories and standardised numbers."""

    kind: Literal["linear"]
    alpha: float = Field(1.0, gt=0, description="strength of the regularisation")


class SeasonalNaiveModel(Section):
    """The newest label of the training rows with the same values of `keys`, such as the weekday and the hour."""

    kind: Literal["seasonal_naive"]
    keys: list[str] = Field(
        min_length=1,
        description="features, or parts of dates such as COLUMN_hour; a combination that training did not see gets the mean",
    )


PACKAGES = ("sklearn", "xgboost")
"""Packages whose estimators may be named, and whose types a model file may hold: what this repository installs anyway."""


class SklearnModel(Section):
    """Any estimator of scikit-learn, or XGBoost's in its manner, over one-hot categories and standardised numbers."""

    kind: Literal["sklearn"]
    estimator: str = Field(
        pattern=r"^\w+(\.\w+)+$", description="import path, such as sklearn.ensemble.RandomForestClassifier"
    )
    parameters: dict[str, JsonValue] = Field(
        {}, description="the estimator's own; what is not named stays at its default"
    )

    @field_validator("estimator")
    @classmethod
    def package_is_allowed(cls, value: str) -> str:
        if value.partition(".")[0] not in PACKAGES:
            raise ValueError(
                f"estimators come from {' or '.join(PACKAGES)}, such as sklearn.ensemble.RandomForestClassifier; one of another "
                "package, or of your own, is built in a module of yours (kind: module)"
            )
        return value


class ModuleModel(Section):
    """A clone's own estimator: `build(seed)` returns it, unfitted; it is given what any estimator of kind sklearn is given."""

    kind: Literal["module"]
    function: OwnCode = Field(description="module:function")
    trusts: list[str] = Field(
        [], exclude_if=is_empty, description="packages, beside its own, whose types the model file may hold"
    )

    @property
    def packages(self) -> list[str]:
        """Whose types its file may hold."""
        return [self.function.package, *self.trusts]


Model = Annotated[
    LogisticModel | XGBoostModel | LinearModel | SeasonalNaiveModel | SklearnModel | ModuleModel,
    Field(discriminator="kind"),
]
Baseline = Annotated[LogisticModel | LinearModel | SeasonalNaiveModel, Field(discriminator="kind")]


class Training(Section):
    window: Literal["expanding"] | InBlocks = Field("expanding", description="history to train on, such as 90d")
    at_least: InBlocks = Field(JudgedSpan(28), description="mature history without which nothing is trained")
    refit_on_promotion: bool = Field(
        True,
        description="what ships is fitted again, with the judging days; false ships the model that was judged",
    )
    baseline: Baseline | None = Field(None, description="none: logistic for classes, linear for numbers")
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
    window: InBlocks = Field(
        JudgedSpan(21), description="whole mature periods, kept out of training, that judge a candidate"
    )
    slices: list[str] = Field([], description="columns whose every value is watched on its own")
    slice_rows_at_least: int = Field(200, ge=1, description="rows in the window under which a slice is not judged")
    golden: InBlocks | None = Field(
        None,
        description="whole periods reserved before the first training and never trained on, the same reference for every version; "
        "the first decision waits for as many more; none reserves nothing",
    )
    failures: Failures | None = Field(Failures(), description="none keeps no cases and withholds nothing")


class Change(Section):
    """How another recipe earns its place: on days that both recipes predicted before seeing them."""

    rule: Literal["non_inferiority", "superiority"] = "superiority"
    margin: float = Field(0.002, ge=0, description="log-loss that non-inferiority gives away")
    days: InBlocks = Field(JudgedSpan(28), description="prequential periods that the comparison needs")


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

    days: int = Field(
        0, ge=0, le=90, description="whole mature periods that both score, days of an hourly product; 0: no shadow"
    )
    psi: float = Field(
        0.25, gt=0, description="stability index of its scores against the champion's over which it is refused"
    )
