"""Labeling: what the day taught about labels, and what fell due without one."""

import dagster as dg

from assets.stage import ROW_COUNT, Stage
from evergreen.config import Product
from evergreen.labeling import label_day
from evergreen.monitoring import coverage_line
from pipelines.resources import Home

COLUMNS = {
    "id": ("str", "of the row that the label belongs to"),
    "event_time": ("datetime64[us, UTC]", "when the row's event happened"),
    "matures_at": ("datetime64[us, UTC]", "when the label is due: it is not used before"),
    "known_at": ("datetime64[us, UTC]", "when the outcome was known; missing while it is pending"),
    "label": ("float64", "0 or 1; missing while it is pending"),
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
        outcomes = view.store.read("raw_outcomes", view.day)
        found = label_day(outcomes, view.recent_due_times, view.labelled_before(), product, view.day)
        digest = view.store.write("labels", view.day, found.entries)
        due = view.newly_mature_days()
        coverage = coverage_line(view.mature(min(due)).on(due).coverage) if due else {"coverage": None}
        return stage.result(
            "labels",
            {
                ROW_COUNT: len(found.entries),
                "delivered": len(outcomes),
                "labelled": len(found.entries) - found.pending,
                "pending": found.pending,
                "orphans": found.orphans,
                "undetermined": found.undetermined,
                "untimely": found.untimely,
                "coverage_of_due_days": coverage["coverage"],
                "digest": digest,
            },
        )

    return [labels]
