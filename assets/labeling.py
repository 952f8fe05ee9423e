"""Labeling: what the day taught about labels, and what fell due without one."""

import dagster as dg
import pandas as pd

from assets.stage import ROW_COUNT, Stage
from evergreen import wide
from evergreen.config import Product
from evergreen.labeling import label_parts, read_outcomes
from pipelines.resources import Home

COLUMNS = {
    "id": ("str", "of the row that the label belongs to"),
    "event_time": ("datetime64[us, UTC]", "when the row's event happened"),
    "matures_at": ("datetime64[us, UTC]", "when the label is due: it is not used before"),
    "known_at": ("datetime64[us, UTC]", "when the outcome was known; missing while it is pending"),
    "label": ("float64", "0 or 1, a number, or the position of a class; missing while it is pending"),
    "origin": ("str", "outcome, or none while it is pending"),
}


def labeling_assets(product: Product) -> list[dg.AssetsDefinition]:
    stage = Stage(product, "labeling")

    @dg.asset(
        **stage.options(
            "labels",
            "Outcomes delivered on the day as labels, and rows that fell due without one (pending).",
            deps=["raw_batch", "batch"],
            kinds={"parquet", "pandas"},
            depends_on=["id", "time", "label"],
            columns=COLUMNS,
        ),
    )
    def labels(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
        view = stage.view(home, context)
        told = read_outcomes(view.scan("raw_outcomes", [view.day]), product, view.day)
        labelled = wide.ById(pd.DataFrame({"id": view.labelled_before()}))
        matched = 0
        with view.store.writing("labels", view.day) as written:
            for entries in label_parts(told, view.recent_due_times(), labelled, product, view.day):
                written.add(entries)
                matched += int(entries.label.count())
        return stage.result(
            "labels",
            {
                ROW_COUNT: written.rows,
                "delivered": view.store.rows("raw_outcomes", [view.day]),
                "labelled": matched,
                "pending": written.rows - matched,
                "orphans": len(told.usable) - matched,
                "undetermined": told.undetermined,
                "untimely": told.untimely,
                "coverage_of_due_days": view.coverage_of_due_days(),
                "digest": str(written.digest),
            },
        )

    return [labels]
