"""Validation: good rows, typed, in `batch`; bad rows, with their reasons, in `quarantine`."""

from collections import Counter
from collections.abc import Iterator
from datetime import date
from functools import partial

import dagster as dg
import pandas as pd

from assets.stage import ROW_COUNT, Columns, Stage, table
from evergreen.config import Product
from evergreen.errors import DayRefused
from evergreen.storage import Store
from evergreen.validation import column_kinds, empty_batch, refuse, validate_parts
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
        reasons: Counter[str] = Counter()
        digest, refused = _split(store, product, day, reasons)
        rows = {table: store.rows(table, [day]) for table in ("raw_events", "batch", "quarantine")}
        yield stage.result("batch", {ROW_COUNT: rows["batch"], "digest": digest})
        listed = table([{"reason": reason, "rows": count} for reason, count in reasons.most_common(20)])
        yield stage.result("quarantine", {ROW_COUNT: rows["quarantine"], "reasons": listed})
        yield from _checks(stage, refused, rows)

    return [validation]


def _split(store: Store, product: Product, day: date, reasons: Counter[str]) -> tuple[str, str | None]:
    """Write the day's batch and quarantine, counting the reasons; returns the batch's digest, and why the day is refused or None."""
    read = partial(store.scan, "raw_events", [day])

    def counted(quarantine: pd.DataFrame) -> pd.DataFrame:
        reasons.update(quarantine.reasons.str.split("; ").explode())
        return quarantine

    try:
        with store.writing("batch", day) as batch, store.writing("quarantine", day) as quarantine:
            for part in validate_parts(read, product, day):
                batch.add(part.batch)
                quarantine.add(counted(part.quarantine))
    except DayRefused as refusal:
        reasons.clear()
        whole = (counted(refuse(part, product, str(refusal)).quarantine) for part in read(None))
        store.write("quarantine", day, whole)
        return store.write("batch", day, empty_batch(product)), str(refusal)
    return str(batch.digest), None


def _checks(stage: Stage, refused: str | None, rows: dict[str, int]) -> Iterator[dg.AssetCheckResult]:
    batch = stage.key("batch")
    way_out = "; the day is in quarantine as a whole: correct the delivery (or the rule in the product file) and run the day again"
    sentence = f"{refused}{way_out}" if refused else "Volume, columns and the share of bad rows are as declared."
    yield dg.AssetCheckResult(asset_key=batch, check_name="day_is_usable", passed=refused is None, description=sentence)
    rows_in, accepted, quarantined = rows["raw_events"], rows["batch"], rows["quarantine"]
    yield dg.AssetCheckResult(
        asset_key=batch,
        check_name="nothing_lost",
        passed=accepted + quarantined == rows_in,
        description=f"{rows_in} rows in, {accepted} accepted, {quarantined} quarantined.",
        metadata={"rows_in": rows_in, "accepted": accepted, "quarantined": quarantined},
    )


def _batch_columns(product: Product) -> Columns:
    """The columns that the product names, each with its part in the product file."""
    parts = dict.fromkeys(product.features.marks, "whose code made features")
    parts |= dict.fromkeys(product.time.known_at, "when features were observed")
    for kind in ("numeric", "categorical", "boolean", "date", "text"):
        parts |= dict.fromkeys(getattr(product.features, kind), f"{kind} feature")
    parts |= {product.id: "identifies the row", product.time.event: "when the event happens"}
    if product.label.matures_at:
        parts |= {product.label.matures_at: "when the label is due"}
    return {name: (kind, parts.get(name, "checked by a rule only")) for name, kind in column_kinds(product).items()}
