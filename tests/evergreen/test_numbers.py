import re

from evergreen.numbers import draw
from tests.evergreen.builders import day, shop


def lines(chart):
    """The number of points in each line of a chart."""
    return [len(points.split()) for points in re.findall(r'points="([^"]*)"', chart.parts)]


def test_each_unit_is_a_chart_of_its_own_over_all_days():
    first, second = (
        {"rows": 900.0, "quarantined": 2.0, "served_log_loss": loss, "weighted_psi": 0.1} for loss in (0.5, 0.4)
    )
    drawn = draw({day(2): {"numbers": second}, day(1): {"numbers": first}}, shop())
    assert [(chart.title, lines(chart)) for chart in drawn] == [
        ("Rows, by day", [2, 2]),
        ("Log-loss of the rows that were judged, by day", [2]),
        ("Population stability index, by day", [2]),
    ]
    assert drawn[0].parts.index(">1 Jan<") < drawn[0].parts.index(">2 Jan<")


def test_a_day_without_numbers_is_a_gap_and_no_zero():
    """Summaries of an earlier release hold none."""
    [chart] = draw({day(1): {"numbers": {"rows": 900.0}}, day(2): {}, day(3): {"numbers": {"rows": 901.0}}}, shop())
    assert lines(chart) == [2]
    assert draw({day(1): {}}, shop()) == []
