"""The health report: the day on one page, and the list of all days."""

from datetime import date
from typing import Any

import dagster as dg
import pandas as pd

from assets.stage import Stage, picture
from evergreen.alerts import JUDGED_DAYS, look_at_day
from evergreen.as_of import AsOf
from evergreen.config import Product
from evergreen.promotion import in_effect
from evergreen.storage import write_bytes
from pipelines.resources import Home


def report_assets(product: Product) -> list[dg.AssetsDefinition]:
    stage = Stage(product, "report")

    @dg.asset(
        **stage.options(
            "health_report",
            "One page for the product's manager: good enough or not, what changed, who served, what was decided. "
            "`index.html` beside it lists all days.",
            deps=["retrain_decision", "quarantine"],
            kinds={"html"},
            depends_on=["question", "decision", "owner"],
        ),
    )
    def health_report(context: dg.AssetExecutionContext, home: Home) -> dg.MaterializeResult:
        from evergreen import report
        from evergreen.health import gather, serves_today
        from evergreen.numbers import draw, numbers_of

        view = stage.view(home, context)
        health = gather(view, in_effect(home.promotions(product).entries(), view.day))
        served_by, coverage = serves_today(health.scored, view.day), view.coverage_of_due_days()
        look = look_at_day(view.day, _card_of_blocks(view, health.card), coverage, served_by, health.entries, product)
        view.store.write_document("conditions", view.day, look.as_dict())
        folder = view.store.root / "reports"
        write_bytes(report.render(health, product).encode(), folder / f"{view.day}.html")
        summary = report.summarize(health, product) | {"numbers": numbers_of(view)}
        view.store.write_document("health_report", view.day, summary)
        all_days = _all_days(view)
        write_bytes(report.render_index(all_days, product).encode(), folder / "index.html")
        by_day = draw({day: all_days[day] for day in health.days if day in all_days}, product)
        return stage.result(
            "health_report",
            {
                "verdict": f"{summary['state'].capitalize()}: {summary['sentence']}",
                "by_day": picture(*by_day),
                **summary["numbers"],
                "page": dg.MetadataValue.path(str(folder / f"{view.day}.html")),
                "all_days": dg.MetadataValue.path(str(folder / "index.html")),
            },
        )

    return [health_report]


def _card_of_blocks(view: AsOf, shown: pd.DataFrame) -> pd.DataFrame:
    """The performance table over enough blocks to judge: the card that is shown, or for hours, which are shown for a day, more."""
    hours = view.periods.of_a_block
    return shown if hours == 1 else view.read("performance", view.newest((JUDGED_DAYS + 1) * hours))


def _all_days(view: AsOf) -> dict[date, dict[str, Any]]:
    """The summary of every day that has a page: the list is of pages, so a later day's belongs in it too."""
    return {day: view.store.read_document("health_report", day) for day in view.store.document_days("health_report")}
