"""Pictures where people would rather look than read. No pyplot: nothing global, nothing left open."""

import base64
import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure


def calibration(
    curves: Mapping[str, pd.DataFrame], score: str = "mean score", observed: str = "observed rate"
) -> Figure:
    """Mean score against what was observed, for each scorer (`evaluation.calibration_curve`); the diagonal is perfect."""
    figure, axes = _square()
    values = pd.concat([curve[["score", "observed"]] for curve in curves.values()])
    ends = [min(0.0, float(values.min().min())), float(values.max().max())]
    axes.plot(ends, ends, color="grey", linestyle=":", label="perfect")
    for name, curve in curves.items():
        axes.plot(curve.score, curve.observed, marker="o", markersize=3, label=name)
    axes.set(xlabel=score, ylabel=observed)
    axes.legend(frameon=False)
    return figure


def precision_recall(curves: Mapping[str, pd.DataFrame]) -> Figure:
    """Precision over recall for each scorer (`evaluation.precision_recall_curve`)."""
    figure, axes = _square()
    for name, curve in curves.items():
        axes.plot(curve.recall, curve.precision, label=name)
    axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1))
    axes.legend(frameon=False)
    return figure


def costs(curves: Mapping[str, pd.DataFrame], threshold: float, currency: str) -> Figure:
    """Cost of a row over the threshold for each scorer (`Task.cost_curve`); the dotted line is the threshold in use.

    The left end is acting on every row, the right end on none.
    """
    figure, axes = _square()
    for name, curve in curves.items():
        axes.plot(curve.threshold, curve.expected_cost, label=name)
    axes.axvline(threshold, color="grey", linestyle=":", label=f"in use: {threshold:.2g}")
    axes.set(xlabel="threshold from which the action is taken", ylabel=f"{currency} a row")
    axes.legend(frameon=False)
    return figure


def confusion(counts: pd.DataFrame) -> Figure:
    """How often each true class (a line) was decided for each class (a column)."""
    figure = Figure(figsize=(4.5, 4), layout="tight")
    axes = figure.subplots()
    axes.imshow(counts.to_numpy(), cmap="Greens")
    axes.set_xticks(range(len(counts)), labels=counts.columns, rotation=45, ha="right")
    axes.set_yticks(range(len(counts)), labels=counts.index)
    axes.set(xlabel="decided", ylabel="true")
    middle = counts.to_numpy().max() / 2
    for line, row in enumerate(counts.to_numpy()):
        for column, count in enumerate(row):
            axes.text(
                column, line, f"{count:,}", ha="center", va="center", color="white" if count > middle else "black"
            )
    return figure


def errors(differences: Mapping[str, "np.ndarray[Any, np.dtype[np.float64]]"]) -> Figure:
    """How predicted less observed numbers are spread, for each scorer, between their hundredths at both ends."""
    figure, axes = _square()
    ends = np.quantile(np.concatenate(list(differences.values())), [0.01, 0.99])
    for name, values in differences.items():
        axes.hist(values, bins=40, range=(float(ends[0]), float(ends[1])), histtype="step", label=name)
    axes.axvline(0, color="grey", linestyle=":")
    axes.set(xlabel="predicted less observed", ylabel="rows")
    axes.legend(frameon=False)
    return figure


def _square() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(4.5, 4))
    return figure, figure.subplots(gridspec_kw={"left": 0.15, "right": 0.97, "bottom": 0.12, "top": 0.97})


def as_png(figure: Figure) -> bytes:
    """The figure as it is kept and shown."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=80)
    return buffer.getvalue()


def as_markdown(png: bytes) -> str:
    """A picture as an inline image that the Dagster UI shows."""
    return f"![plot](data:image/png;base64,{base64.b64encode(png).decode()})"
