"""Labeling: what the day taught about labels, and what fell due without one."""

from collections import Counter

import dagster as dg

from assets.stage import ROW_COUNT, Stage
from evergreen.config import Product
from evergreen.labeling import OUTCOME, PENDING, UNMATCHED, label_parts, read_outcomes
from pipelines.resources import Home

COLUMNS = {
    "id": ("str", "of the row that the label belongs to"),
    "event_time": ("datetime64[us, UTC]", "when the row's event happened; missing while there is no such row"),
    "matures_at": (
        "datetime64[us, UTC]",
        "when the label is due: it is not used before; missing while there is no such row",
    ),
    "known_at": ("datetime64[us, UTC]", "when the outcome was known; missing while it is pending"),
    "label": ("float64", "0 or 1, a number, or the position of a class; missing while it is pending"),
    "origin": (
        "str",
        "outcome; none while it is pending; unmatched while no accepted row has the id, then it is no row's label",
    ),
}


def labeling_assets(product: Product) -> list[dg.AssetsDefinition]:
    stage = Stage(product, "labeling")

    @dg.asset(
        **stage.options(
            "labels",
            "Outcomes delivered on the day as labels, rows that fell due without one (pending), and outcomes that wait for their row "
            "(unmatched); those that waited are labels from the day on that has it.",
            deps=["raw_batch", "batch"],
            kinds={"parquet", "pandas"},
            depends_on=["id", "time", "label"],
            columns=COLUMNS,
        ),
    )
    def labels(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
        view = stage.view(home, context)
        told = read_outcomes(view.scan("raw_outcomes", [view.day]), product, view.day)
        origins = Counter[str]()
        with view.store.writing("labels", view.day) as written:
            for entries in label_parts(told, view.recent_due_times(), view.labels_before(), product, view.day):
                written.add(entries)
                origins.update(entries.origin)
        return stage.result(
            "labels",
            {
                ROW_COUNT: written.rows,
                "delivered": view.store.rows("raw_outcomes", [view.day]),
                "labelled": origins[OUTCOME],
                "pending": origins[PENDING],
                "orphans": origins[UNMATCHED],
                "undetermined": told.undetermined,
                "untimely": told.untimely,
                "coverage_of_due_days": view.coverage_of_due_days(),
                "digest": str(written.digest),
            },
        )

    return [labels]
