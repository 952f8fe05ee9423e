"""What the judge's rows look like, drawn as it makes sense for the task. It imports the plotting library."""

from collections.abc import Mapping

from matplotlib.figure import Figure

from evergreen import evaluation, plots
from evergreen.config import Product
from evergreen.tasks import Binary, Floats, Multiclass, task_of

Scores = Mapping[str, Floats]


def figures(labels: Floats, scores: Scores, product: Product) -> dict[str, Figure]:
    """Pictures by name, of every scorer's scores of the same rows; a confusion matrix is the first scorer's."""
    task = task_of(product)
    if isinstance(task, Binary):
        return _of_probabilities(labels, scores, task, product.decision.currency)
    if isinstance(task, Multiclass):
        return _of_classes(labels, scores, task)
    return _of_numbers(labels, scores)


def _of_probabilities(labels: Floats, scores: Scores, task: Binary, currency: str) -> dict[str, Figure]:
    ranking = {name: evaluation.precision_recall_curve(labels, values) for name, values in scores.items()}
    costs = {name: task.cost_curve(labels, values) for name, values in scores.items()}
    calibration = {name: evaluation.calibration_curve(labels, values) for name, values in scores.items()}
    return {
        "calibration": plots.calibration(calibration),
        "precision_recall": plots.precision_recall(ranking),
        "costs": plots.costs(costs, task.threshold(), currency),
    }


def _of_classes(labels: Floats, scores: Scores, task: Multiclass) -> dict[str, Figure]:
    first = next(iter(scores.values()))
    measured = {name: task.measure_rows(labels, values) for name, values in scores.items()}
    calibration = {
        name: evaluation.calibration_curve(rows.label.to_numpy(), rows.score.to_numpy())
        for name, rows in measured.items()
    }
    return {
        "calibration": plots.calibration(calibration, "mean confidence in the decided class", "share decided right"),
        "confusion": plots.confusion(task.confusion(labels, first)),
    }


def _of_numbers(labels: Floats, scores: Scores) -> dict[str, Figure]:
    curves = {name: evaluation.calibration_curve(labels, values) for name, values in scores.items()}
    return {
        "predicted_observed": plots.calibration(curves, "predicted, mean of a tenth of the rows", "observed, mean"),
        "errors": plots.errors({name: values - labels for name, values in scores.items()}),
    }
