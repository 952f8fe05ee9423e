import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from evergreen.drift import TABLE_COLUMNS
from evergreen.monitoring import COLUMN_TYPES, empty_performance
from evergreen.report import HEIGHT, WIDTH, Health, render, verdict
from tests.evergreen.builders import day, shop

NO_DRIFT = pd.DataFrame(columns=TABLE_COLUMNS)
QUIET = {"retrain": False, "readings": [], "sentence": "No retrain: no trigger fired."}


def card(**costs):
    """A performance table from daily costs by scorer; None is a day without a measure."""
    lines = [
        {"day": pd.Timestamp(day(number)), "slice": part, "scorer": scorer, "rows": 9, "expected_cost": cost}
        for scorer, values in costs.items()
        for number, cost in enumerate(values, start=1)
        for part in ("all", "color=red")
    ]
    table = pd.DataFrame(lines).reindex(columns=list(COLUMN_TYPES))
    return table.astype({"expected_cost": "float64"})


def entry(number, outcome="promoted", gate="comparison"):
    return {
        "as_of": str(day(number)),
        "decision": outcome,
        "deciding_gate": gate,
        "requested_by": "schedule",
        "gates": [{"name": "reloads", "sentence": "Same scores."}, {"name": gate, "sentence": f"Reason {number}."}],
    }


def health(table=None, **changes):
    content = {
        "day": day(30),
        "card": empty_performance() if table is None else table,
        "entries": [],
        "drift": NO_DRIFT,
        "decision": QUIET,
        "served_by": "heuristic",
        "rows": 1234,
        "quarantined": 5,
        "coverage": None,
    }
    return Health(**(content | changes))


def full(**changes):
    drift = pd.DataFrame({"feature": ["amount", "prediction"], "psi": [0.3, 0.1], "importance": [0.75, None]})
    return health(
        card(served=[1.0, None, 2.0], baseline=[2.0, 2.0, 2.0], first=[None] * 3),
        entries=[entry(number) for number in range(1, 9)],
        drift=drift,
        served_by="champion",
        coverage=0.985,
        **changes,
    )


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (card(served=[1.0, 2.0]), "Good enough: expected cost 1.500 a row over 2 judged days, the bound is 1.8."),
        (card(served=[1.8]), "Good enough: expected cost 1.800 a row over 1 judged days, the bound is 1.8."),
        (card(served=[2.0, 2.0]), "Not good enough: expected cost 2.000 a row over 2 judged days, the bound is 1.8."),
        (card(served=[None, 1.0]), "Good enough: expected cost 1.000 a row over 1 judged days, the bound is 1.8."),
    ],
)
def test_the_verdict_is_given_in_the_products_own_terms(table, said):
    assert verdict(health(table), shop()) == said


@pytest.mark.parametrize("table", [None, card(served=[None, None]), card(baseline=[1.0])])
def test_without_a_judged_day_the_verdict_says_so_and_when_models_start(table):
    """Two days to train and one to judge, mature a day later: decided on day 4, serving from day 5."""
    assert verdict(health(table), shop()) == (
        "Not enough evidence: no day has been judged yet. Models start on 2024-01-05 at the earliest."
    )


class Outside(HTMLParser):
    """Every tag and every attribute that could fetch something."""

    def __init__(self):
        super().__init__()
        self.found, self.opened, self.closed = [], [], []

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)
        self.found += [f"{tag} {name}" for name, _ in attrs if name in ("href", "src", "srcset", "action", "data")]

    def handle_endtag(self, tag):
        self.closed.append(tag)


@pytest.mark.parametrize("made", [health(), full()], ids=["first day", "later"])
def test_the_page_is_whole_and_fetches_nothing(made):
    page, outside = render(made, shop()), Outside()
    outside.feed(page)
    assert outside.found == []
    assert not {"script", "link", "img", "iframe", "object"} & set(outside.opened)
    assert not re.search(r"https?:|url\(|@import", page)
    assert page.startswith("<!doctype html>")
    assert page.rstrip().endswith("</html>")
    assert [outside.opened.count(tag) for tag in ("table", "tr", "svg")] == [
        outside.closed.count(tag) for tag in ("table", "tr", "svg")
    ]


def test_the_first_days_page_says_what_is_not_known_yet():
    page = render(health(), shop())
    for sentence in (
        "Not enough evidence: no day has been judged yet.",
        "1,234 predictions, answered by the <b>heuristic</b>; 5 rows in quarantine.",
        "No labels were due.",
        "Nothing has been judged yet.",
        "No model has been trained yet.",
        "There is no champion to compare with yet.",
        "No retrain: no trigger fired.",
    ):
        assert sentence in page
    assert "nan" not in page.lower()
    assert "None" not in page


def test_a_later_page_shows_costs_decisions_and_drift():
    page = render(full(), shop())
    assert "98.5% of the labels that were due have arrived." in page
    assert re.findall(r"<td>(\d\.\d{3})</td></tr>", page)[:2] == ["1.500", "2.000"]
    assert "never retraining" not in page, "a yardstick without a measure is not drawn"
    assert re.findall(r"Reason (\d)", page) == ["8", "7", "6", "5", "4", "3"], "the six newest decisions, newest first"
    assert "<td>amount</td><td>0.300</td><td>75%</td>" in page
    assert "<td>prediction</td><td>0.100</td><td>–</td>" in page
    assert "01 Jan to 03 Jan" in page
    assert "nan" not in page.lower()


def points(page):
    return [
        [tuple(map(float, point.split(","))) for point in line.split()]
        for line in re.findall(r'points="([^"]*)"', page)
    ]


def test_a_line_runs_from_the_first_day_to_the_last_and_from_zero_to_the_dearest():
    """The missing day of what was served is skipped, not drawn as zero."""
    served, baseline = points(render(full(), shop()))
    assert served == [(0.0, HEIGHT / 2), (WIDTH, 0.0)]
    assert baseline == [(0.0, 0.0), (WIDTH / 2, 0.0), (WIDTH, 0.0)]


@pytest.mark.parametrize("costs", [[0.0, 0.0], [-1.0, -2.0], [1.0, -1.0], [3.0]])
def test_every_line_stays_in_the_picture_also_where_a_cost_is_a_gain(costs):
    """`Costs`: a gain is negative."""
    (line,) = points(render(health(card(served=costs)), shop()))
    assert len(line) == len(costs)
    assert all(0 <= x <= WIDTH and 0 <= y <= HEIGHT for x, y in line)


def test_text_from_the_product_file_is_escaped():
    assert "<b>bold</b>" not in render(health(), shop({"question": "Is <b>bold</b> safe?"}))
