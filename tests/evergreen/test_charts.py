import base64
import re
from xml.etree import ElementTree

import pandas as pd
import pytest

from evergreen import charts
from evergreen.charts import HEAD, LEFT, PLOT, RIGHT, TOP, WIDTH, Band, Line, Mark
from evergreen.periods import days_between
from tests.evergreen.builders import day

DAYS = days_between(day(1), day(5))


def line(values, kind="first"):
    index = pd.DatetimeIndex(DAYS[: len(values)])
    return Line("what we <served>", kind, pd.Series(values, index=index, dtype="float64"))


def points(chart):
    return [
        [tuple(map(float, point.split(","))) for point in line.split()]
        for line in re.findall(r'points="([^"]*)"', chart.parts)
    ]


def words(chart):
    return [part.text for part in ElementTree.fromstring(charts.in_page(chart)).iter("text")]


def test_a_line_runs_from_the_first_day_to_the_last_and_skips_what_is_missing():
    ((first, last),) = points(charts.time_plot("costs", DAYS, [line([1.0, None, None, None, 2.0])]))
    assert (first[0], last[0]) == (LEFT, WIDTH - RIGHT)
    assert first[1] > last[1], "a larger value lies higher"


@pytest.mark.parametrize("values", [[0.0, 0.0], [-1.0, -2.0], [1.0, -1.0], [3.0], [1e-9, 2e-9], [1e6, 2e6]])
@pytest.mark.parametrize("bound", [None, 0.5])
def test_every_line_stays_in_the_picture(values, bound):
    (drawn,) = points(charts.time_plot("costs", DAYS, [line(values)], bound))
    assert len(drawn) == len(values)
    assert all(LEFT <= x <= WIDTH - RIGHT and TOP <= y <= TOP + PLOT for x, y in drawn)


def test_a_plot_names_its_lines_bound_bands_and_marks_in_text():
    chart = charts.time_plot(
        "costs & more",
        DAYS,
        [line([1.0] * 5)],
        1.8,
        [Band(DAYS[0], DAYS[4], "champion v3", False)],
        [Mark(DAYS[2], "▲", "promoted")],
    )
    assert {"what we <served>", "the bound of 1.8", "who served", "champion v3", "retrains", "▲"} <= set(words(chart))
    assert ElementTree.fromstring(charts.in_page(chart)).get("aria-label") == "costs & more"


def test_a_band_too_narrow_for_its_text_keeps_it_for_the_pointer_alone():
    chart = charts.time_plot("costs", DAYS, [], bands=[Band(DAYS[0], DAYS[0], "champion version 12", True)])
    assert "champion version 12" not in words(chart)
    assert "<title>champion version 12, 1 Jan to 1 Jan</title>" in chart.parts


def test_bars_are_as_long_as_their_values():
    chart = charts.bars("drift", [("amount", 0.5), ("color", 0.25), ("size", 0.0)], bounds=[0.25])
    widths = [float(width) for width in re.findall(r'class="bar".*?width="([\d.]+)"', chart.parts)]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2)
    assert widths[2] == 0
    assert {"amount", "0.50", "0.25"} <= set(words(chart))


def test_importances_are_drawn_with_the_largest_on_top():
    chart = charts.importances({"color": 0.1, "amount": 0.7, "size": 0.2})
    assert re.findall(r">([a-z]+)</text>", chart.parts) == ["amount", "size", "color"]


def test_alone_a_chart_brings_its_title_its_colours_and_its_size():
    """Without a width and a height of its own, a page that shows the file gives it none."""
    chart = charts.bars("drift & more", [("amount", 0.5)])
    image = charts.as_markdown(chart)
    content = base64.b64decode(
        image.removeprefix("![drift & more](data:image/svg+xml;base64,").removesuffix(")")
    ).decode()
    drawn = ElementTree.fromstring(content)
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    assert drawn.get("viewBox") == f"0 -{HEAD} {drawn.get('width')} {drawn.get('height')}"
    assert float(drawn.get("height")) == chart.height + HEAD
    assert "<style>" in content
    assert "drift & more" in [part.text for part in drawn.iter("{http://www.w3.org/2000/svg}text")]


def test_thousands_on_an_axis_are_written_out():
    assert {"1,000", "1,200"} <= set(words(charts.time_plot("rows", DAYS, [line([900.0, 1300.0])])))
