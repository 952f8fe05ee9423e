"""Validation: good rows, typed, in `batch`; bad rows, with their reasons, in `quarantine`."""

from collections.abc import Iterator

import dagster as dg

from assets.stage import ROW_COUNT, Columns, Stage, table
from evergreen.config import Product
from evergreen.validation import Validated, empty_batch, validate
from pipelines.resources import Home

QUARANTINE = {
    "id": ("str", "as delivered; missing where the row has none"),
    "reasons": ("str", "every rule that the row breaks, separated by semicolons"),
    "row": ("str", "the whole row as delivered, as JSON"),
}


def validation_assets(product: Product) -> list[dg.AssetsDefinition]:
    stage = Stage(product, "validation")
    config = ["id", "time", "label", "features", "validation"]

    @dg.multi_asset(
        name=f"{product.name}__validation",
        specs=[
            dg.AssetSpec(
                **stage.options(
                    "batch",
                    "Rows that pass every rule, in their declared types.",
                    ["raw_batch"],
                    {"parquet", "pandas"},
                    config,
                    _batch_columns(product),
                )
            ),
            dg.AssetSpec(
                **stage.options(
                    "quarantine",
                    "Rows that break a rule, each with its reasons.",
                    ["raw_batch"],
                    {"parquet", "pandas"},
                    config,
                    QUARANTINE,
                )
            ),
        ],
        check_specs=[
            stage.check(
                "batch", "day_is_usable", "Volume, columns and the share of bad rows are as declared.", blocking=True
            ),
            stage.check("batch", "nothing_lost", "Rows in = accepted + quarantined.", blocking=True),
        ],
    )
    def validation(
        context: dg.AssetExecutionContext, home: Home
    ) -> Iterator[dg.MaterializeResult | dg.AssetCheckResult]:
        day, store = stage.day(context), home.store(product)
        events = store.read("raw_events", day)
        result = validate(events, product, day)
        digest = store.write("batch", day, result.batch)
        store.write("quarantine", day, result.quarantine)
        yield stage.result("batch", {ROW_COUNT: len(result.batch), "digest": digest})
        reasons = result.quarantine.reasons.str.split("; ").explode().value_counts()
        listed = table([{"reason": reason, "rows": int(rows)} for reason, rows in reasons.head(20).items()])
        yield stage.result("quarantine", {ROW_COUNT: len(result.quarantine), "reasons": listed})
        yield from _checks(stage, result, len(events))

    return [validation]


def _checks(stage: Stage, result: Validated, rows_in: int) -> Iterator[dg.AssetCheckResult]:
    batch = stage.key("batch")
    way_out = "; the day is in quarantine as a whole: correct the delivery (or the rule in the product file) and run the day again"
    sentence = (
        f"{result.refused}{way_out}" if result.refused else "Volume, columns and the share of bad rows are as declared."
    )
    yield dg.AssetCheckResult(
        asset_key=batch, check_name="day_is_usable", passed=result.refused is None, description=sentence
    )
    accounted = len(result.batch) + len(result.quarantine)
    yield dg.AssetCheckResult(
        asset_key=batch,
        check_name="nothing_lost",
        passed=accounted == rows_in,
        description=f"{rows_in} rows in, {len(result.batch)} accepted, {len(result.quarantine)} quarantined.",
        metadata={"rows_in": rows_in, "accepted": len(result.batch), "quarantined": len(result.quarantine)},
    )


def _batch_columns(product: Product) -> Columns:
    """The columns that the product names, each with its part in the product file."""
    parts = dict.fromkeys(product.time.known_at, "when features were observed")
    parts |= dict.fromkeys(product.features.numeric, "numeric feature")
    parts |= dict.fromkeys(product.features.categorical, "categorical feature")
    parts |= {product.id: "identifies the row", product.time.event: "when the event happens"}
    if product.label.matures_at:
        parts |= {product.label.matures_at: "when the label is due"}
    kinds = empty_batch(product).dtypes
    return {str(name): (str(kind), parts.get(str(name), "checked by a rule only")) for name, kind in kinds.items()}
