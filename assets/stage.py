"""What every stage's assets share: product, partitions, and the options that the UI shows."""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from evergreen.as_of import AsOf
from evergreen.cadence import Cadence, parse_period
from evergreen.charts import Chart, as_markdown
from evergreen.config import Product
from evergreen.digests import digest_json
from evergreen.periods import Periods
from evergreen.product_page import page_of
from evergreen.promotion import decision_id
from evergreen.recipes import as_it_was
from pipelines.resources import Home

Columns = Mapping[str, tuple[str, str]]
"""A table's columns: for each its type, as pandas names it, and its meaning."""

ROW_COUNT = "dagster/row_count"
MONDAY = 1  # Dagster counts from Sunday


@dataclass(frozen=True)
class Stage:
    """One stage of one product, seen from its assets."""

    product: Product
    name: str

    @property
    def partitions(self) -> dg.TimeWindowPartitionsDefinition:
        """A partition a period; its key is the period's name."""
        time = self.product.time
        end = str(Periods.of(time).after(time.end)) if time.end else None
        span: dict[str, Any] = {"start_date": str(time.start), "end_date": end, "timezone": time.timezone}
        kinds: dict[Cadence, Callable[[], dg.TimeWindowPartitionsDefinition]] = {
            "hourly": lambda: dg.HourlyPartitionsDefinition(**span, fmt="%Y-%m-%dT%H"),
            "daily": lambda: dg.DailyPartitionsDefinition(**span),
            "weekly": lambda: dg.WeeklyPartitionsDefinition(**span, day_offset=MONDAY),
            "monthly": lambda: dg.MonthlyPartitionsDefinition(**span),
        }
        return kinds[time.cadence]()

    def key(self, name: str) -> dg.AssetKey:
        return dg.AssetKey([self.product.name, name])

    def options(
        self,
        name: str,
        description: str,
        deps: list[str],
        kinds: set[str],
        depends_on: list[str],
        columns: Columns | None = None,
    ) -> dict[str, Any]:
        """An asset's options; its code version follows the parts of the config in `depends_on`; `columns` are a table's, None for
        what is no table."""
        config = self.product.model_dump(mode="json", include=set(depends_on))
        return {
            "key": self.key(name),
            "deps": [self.key(dep) for dep in deps],
            "description": description,
            "group_name": self.product.name,
            "kinds": kinds,
            "owners": [self.product.owner],
            "code_version": digest_json(config),
            "partitions_def": self.partitions,
            "tags": {"evergreen/product": self.product.name, "evergreen/stage": self.name},
            "metadata": {"product_page": dg.MetadataValue.md(page_of(self.product))}
            | ({} if columns is None else {"dagster/column_schema": _schema(columns)}),
        }

    def check(self, asset: str, name: str, description: str, blocking: bool = False) -> dg.AssetCheckSpec:
        """A check of each partition of an asset: it has failed for as long as one of them has."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", dg.PreviewWarning)  # of partitions of checks
            return dg.AssetCheckSpec(
                name, asset=self.key(asset), description=description, blocking=blocking, partitions_def=self.partitions
            )

    def gate(self, asset: str, name: str, description: str) -> dg.AssetCheckSpec:
        """A check that says what the newest decision found: that an earlier one failed is no fault that lasts."""
        return dg.AssetCheckSpec(name, asset=self.key(asset), description=description)

    def result(self, name: str, metadata: Mapping[str, Any]) -> "dg.MaterializeResult[Any]":
        """A materialization; values that are None are shown as such and never as a number."""
        return dg.MaterializeResult(
            asset_key=self.key(name), metadata={key: _shown(value) for key, value in metadata.items()}
        )

    def view(self, home: Home, context: dg.AssetExecutionContext) -> AsOf:
        """What is known at the end of the partition's day."""
        return AsOf(home.store(self.product), self.product, self.day(context))

    def view_of_decision(self, home: Home, context: dg.AssetExecutionContext) -> AsOf:
        """The same for a retrain: a day that is decided is seen through the product, and the code, that it was decided with."""
        entry = home.promotions(self.product).find(self.decision(self.day(context)))
        return as_it_was(home.store(self.product), entry["candidate"]) if entry else self.view(home, context)

    def day(self, context: dg.AssetExecutionContext) -> date:
        return parse_period(context.partition_key)

    def decision(self, day: date) -> str:
        return decision_id(self.product.name, day)


def _schema(columns: Columns) -> dg.TableSchema:
    return dg.TableSchema(
        [dg.TableColumn(name, kind, description=meaning) for name, (kind, meaning) in columns.items()]
    )


def _shown(value: Any) -> Any:
    """Numbers with six digits; what is not known in words."""
    return "not enough evidence" if value is None else rounded(value) if isinstance(value, float) else value


def rounded(value: float) -> float:
    """The number to six digits: people read it, and no program."""
    return float(f"{value:.6g}")


def table(lines: Sequence[Mapping[Any, Any]]) -> dg.MetadataValue:
    """Lines as a Markdown table; empty gives a sentence."""
    if not lines:
        return dg.MetadataValue.md("nothing to show")
    head = list(lines[0])
    rows = [" | ".join(_cell(line[name]) for name in head) for line in lines]
    return dg.MetadataValue.md(
        "\n".join([f"| {' | '.join(head)} |", f"|{'---|' * len(head)}", *(f"| {row} |" for row in rows)])
    )


def picture(*drawn: Chart) -> dg.MetadataValue:
    """Charts, inline, one under the other."""
    return dg.MetadataValue.md("\n\n".join(map(as_markdown, drawn)))


def _cell(value: Any) -> str:
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "–"
    return f"{value:.4f}" if isinstance(value, float) else str(value).replace("|", "\\|")
