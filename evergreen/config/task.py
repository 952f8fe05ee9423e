"""That the parts of a product file speak of the same task: a yes or no, a class, or a number."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal, NamedTuple

from evergreen.config.decision import ClassCosts, Costs, UnitCosts
from evergreen.config.learning import LinearModel, LogisticModel, SeasonalNaiveModel

if TYPE_CHECKING:
    from evergreen.config.product import Product

DATE_PARTS = ("year", "month", "day", "weekday", "hour")
TaskName = Literal["binary", "multiclass", "regression"]


class Target(NamedTuple):
    """What an estimator learns: a label of a task, and how many classes it has (2 for binary, 0 for a number)."""

    task: TaskName
    classes: int


BINARY = Target("binary", 2)

_COSTS = {
    "binary": (Costs, "{true_positive, false_positive, false_negative, true_negative}"),
    "multiclass": (ClassCosts, "{wrong: 1} or {matrix: {TRUTH: {DECIDED: COST}}}"),
    "regression": (UnitCosts, "{over: COST, under: COST}, a unit"),
}
_LABELS = {
    "binary": "when (a condition), without value, classes and spread",
    "multiclass": "value (an expression that gives a class) and classes, without spread",
    "regression": "value (an expression that gives a number) and spread (its standard deviation), without classes",
}
_ANSWERS = {"binary": "probability", "multiclass": "class", "regression": "value"}


def contradictions(product: "Product") -> Iterator[str]:
    """What in a product file does not fit its task, a sentence each."""
    task, label = product.task, product.label
    given = label.when is not None, bool(label.classes), label.spread is not None
    if given != (task == "binary", task == "multiclass", task == "regression"):
        yield f"label: task {task} needs {_LABELS[task]}"
    kind, keys = _COSTS[task]
    if not isinstance(product.decision.costs, kind):
        yield f"decision.costs: task {task} needs {keys}"
    yield from _classes(product)
    yield from _models(product)
    yield from _heuristic(product)


def _classes(product: "Product") -> Iterator[str]:
    """Two classes are no multiclass task: one of them is a condition, and everything about it is said more simply."""
    classes, costs = product.label.classes, product.decision.costs
    if product.task != "multiclass":
        return
    if 0 < len(classes) < 3:
        yield f"label.classes: {len(classes)} classes are a binary task: write task: binary and label.when, such as {_example(product)}"
    if len(set(classes)) < len(classes):
        yield "label.classes: a class is named twice"
    if isinstance(costs, ClassCosts):
        named = {*costs.matrix, *(name for line in costs.matrix.values() for name in line)}
        if strange := sorted(named - set(classes)):
            yield f"decision.costs.matrix: not among label.classes: {', '.join(strange)}"


def _example(product: "Product") -> str:
    return f"{product.label.value} == {product.label.classes[-1]!r}"


def _models(product: "Product") -> Iterator[str]:
    numbers = (LinearModel, SeasonalNaiveModel)
    for key, model in (("model", product.training.model), ("baseline", product.baseline)):
        if isinstance(model, numbers) and product.task != "regression":
            yield f"training.{key}: kind {model.kind} predicts a number, task {product.task} needs classes: use logistic or xgboost"
        if isinstance(model, LogisticModel) and product.task == "regression":
            yield f"training.{key}: kind logistic predicts classes, task regression needs a number: use linear or seasonal_naive"
        if isinstance(model, SeasonalNaiveModel) and (strange := set(model.keys) - _circumstances(product)):
            yield (
                f"training.{key}.keys: these are no features: {', '.join(sorted(strange))}; of a date feature a part is named, "
                f"such as COLUMN_weekday ({', '.join(DATE_PARTS)})"
            )


def _circumstances(product: "Product") -> set[str]:
    """What a seasonal naive may go by: features, and the parts of dates."""
    whole = set(product.features.names) - set(product.features.date)
    return whole | {f"{name}_{part}" for name in product.features.date for part in DATE_PARTS}


def _heuristic(product: "Product") -> Iterator[str]:
    task, declared, classes = product.task, product.heuristic, product.label.classes
    answer = declared.before_training
    if task == "multiclass":
        if not isinstance(answer, dict) or set(answer) != set(classes) or abs(sum(answer.values()) - 1) > 1e-6:
            shares = ", ".join(f"{name}: SHARE" for name in classes)
            yield f"heuristic.before_training: the share of each class is needed, 1 in all: {{{shares}}}"
    elif isinstance(answer, dict):
        yield f"heuristic.before_training: task {task} needs one number"
    elif task == "binary" and not 0 <= answer <= 1:
        bound = "greater than or equal to 0" if answer < 0 else "less than or equal to 1"
        yield f"heuristic.before_training: Input should be {bound}: it is the share of rows with the label"
    for rule in declared.rules:
        said = rule.then.model_dump(exclude_none=True)
        if _ANSWERS[task] not in said:
            yield f"heuristic.rules: task {task} answers {{{_ANSWERS[task]}: ...}}, not {said}"
        elif task == "multiclass" and said["class"] not in classes:
            yield f"heuristic.rules: {said['class']!r} is not among label.classes"
