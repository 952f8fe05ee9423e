"""The health report: the day on one page."""

from datetime import timedelta

import dagster as dg

from assets.stage import Stage
from evergreen.alerts import look_at_day
from evergreen.config import Product
from evergreen.monitoring import coverage_line
from evergreen.promotion import in_effect
from evergreen.storage import write_bytes
from pipelines.resources import Home

SHOWN = timedelta(days=27)  # with the day itself, four weeks


def report_assets(product: Product) -> list[dg.AssetsDefinition]:
    stage = Stage(product)

    @dg.asset(
        **stage.options(
            "health_report",
            "One page for the product's manager: good enough or not, who served, what changed, what was decided.",
            deps=["retrain_decision", "quarantine"],
            kinds={"html"},
            depends_on=["question", "decision", "owner"],
        ),
    )
    def health_report(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
        from evergreen.report import Health, render, verdict

        view = stage.view(home, context)
        due = view.newly_mature_days()
        scored = view.store.read("predictions", view.day, ["served_by"])
        health = Health(
            day=view.day,
            card=view.read("performance", view.days(view.back(SHOWN))),
            entries=in_effect(home.promotions(product).entries(), view.day),
            drift=view.store.read("drift", view.day),
            decision=view.store.read_document("retrain_decision", view.day),
            served_by=scored.served_by.iloc[0] if len(scored) else "nobody",
            rows=len(scored),
            quarantined=len(view.store.read("quarantine", view.day, ["id"])),
            coverage=coverage_line(view.mature(min(due)).on(due).coverage)["coverage"] if due else None,
        )
        served_by = health.served_by if len(scored) else None
        look = look_at_day(health.day, health.card, health.coverage, served_by, health.entries, product)
        view.store.write_document("conditions", view.day, look.as_dict())
        path = view.store.root / "reports" / f"{view.day}.html"
        write_bytes(render(health, product).encode(), path)
        return stage.result(
            "health_report", {"verdict": verdict(health, product), "page": dg.MetadataValue.path(str(path))}
        )

    return [health_report]
