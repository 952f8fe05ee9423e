"""Ingestion: the source's rows of one day, untouched, and how they were read."""

from datetime import UTC, datetime

import dagster as dg

from assets.stage import ROW_COUNT, Stage
from evergreen.config import Product
from pipelines.resources import Home


def ingestion_assets(product: Product) -> list[dg.AssetsDefinition]:
    stage = Stage(product, "ingestion")

    @dg.asset(
        **stage.options(
            "raw_batch",
            "The day's events and the outcomes that became known on it, as delivered.",
            deps=[],
            kinds={"parquet"},
            depends_on=["source"],
        ),
    )
    def raw_batch(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
        day, store = stage.day(context), home.store(product)
        delivery = home.source(product).read(day)
        store.write("raw_events", day, delivery.events)
        store.write("raw_outcomes", day, delivery.outcomes)
        # of what was stored, so that the partition can be checked: Parquet may give a function's frame other types back
        digests = {kind: store.digest(f"raw_{kind}", day) for kind in ("events", "outcomes")}
        store.write_document(
            "raw_batch", day, {"read_at": datetime.now(UTC), "digests": digests, **delivery.provenance}
        )
        return stage.result(
            "raw_batch",
            {
                ROW_COUNT: store.rows("raw_events", [day]),
                "outcomes": store.rows("raw_outcomes", [day]),
                "events_digest": digests["events"],
                "outcomes_digest": digests["outcomes"],
                "delivery": dg.MetadataValue.json(delivery.provenance),
            },
        )

    return [raw_batch]
