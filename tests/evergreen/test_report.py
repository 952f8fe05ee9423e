"""The health report: what it says, that it is whole and fetches nothing, and what a real browser makes of it."""

import re
from html.parser import HTMLParser

import pandas as pd
import pytest

from docs.browser import find_browser, opened_page
from evergreen.drift import TABLE_COLUMNS
from evergreen.health import Health, Weights
from evergreen.monitoring import COLUMN_TYPES, empty_performance
from evergreen.periods import days_between
from evergreen.plain_words import beside_yardsticks, changes, how_far, judge, span
from evergreen.report import render, render_index, summarize
from tests.evergreen.builders import day, shop

NO_DRIFT = pd.DataFrame(columns=TABLE_COLUMNS)
QUIET = {"retrain": False, "readings": [], "sentence": "No retrain: no trigger fired."}
SECTIONS = ("changed", "cost", "retrains", "gates", "drift", "slices", "labels", "features", "page")
VOID = {"meta", "br", "line", "rect", "polyline"}


def card(rows=900, **costs):
    """A performance table from daily costs by scorer; None is a day without a measure. Blue rows cost half a dollar more."""
    lines = [
        {"day": pd.Timestamp(day(number)), "slice": part, "scorer": scorer, "rows": rows, "label": 0.25, "score": 0.2,
         "expected_cost": None if cost is None else cost + (part == "color=blue") / 2, "coverage": 0.9 + number / 1000}
        for scorer, values in costs.items()
        for number, cost in enumerate(values, start=1)
        for part in ("all", "color=red", "color=blue")
    ]  # fmt: skip
    table = pd.DataFrame(lines).reindex(columns=list(COLUMN_TYPES))
    return table.astype(dict.fromkeys(("expected_cost", "label", "score", "coverage"), "float64"))


def scored(*names, rows=1234):
    """One line a day, the last for day 30: `champion 4` is the champion, version 4."""
    index = pd.DatetimeIndex([day(31 - number) for number in range(len(names), 0, -1)])
    parts = [f"{name} 0".split()[:2] for name in names]
    return pd.DataFrame(
        {"served_by": [part[0] for part in parts], "version": [int(part[1]) for part in parts], "rows": rows},
        index=index,
    )


def entry(number, outcome="promoted", gate="comparison"):
    gates = [
        {
            "name": name,
            "role": role,
            "verdict": "pass",
            "sentence": f"Reason {number}.",
            "value": -0.1,
            "low": -0.2,
            "high": 0.05,
        }
        for name, role in (("beats_baseline", "hard"), ("comparison", "primary"))
    ]
    return {
        "as_of": str(day(number)),
        "effective_from": str(day(number + 1)),
        "decision": outcome,
        "deciding_gate": gate,
        "requested_by": "sensor: drift",
        "candidate": {"version": number},
        "serving": {"champion": {"version": number}, "previous": {"version": number - 1}},
        "gates": gates,
    }


def health(table=None, **changed):
    content = {
        "day": day(30),
        "days": days_between(day(3), day(30)),
        "card": empty_performance() if table is None else table,
        "scored": scored("heuristic"),
        "delays": pd.Series(dtype="timedelta64[us]"),
        "pending": 0,
        "entries": [],
        "drift": NO_DRIFT,
        "decision": QUIET,
        "quarantined": 5,
        "weights": None,
    }
    return Health(**(content | changed))


def full(**changed):
    drift = pd.DataFrame({"feature": ["amount", "prediction"], "psi": [0.3, 0.1], "importance": [0.75, None]})
    reading = {"trigger": "drift", "value": 0.225, "threshold": 0.5, "fired": False, "evidence": ""}
    content = {
        "entries": [entry(2), entry(20), entry(27, "kept", "beats_baseline")],
        "drift": drift,
        "decision": QUIET | {"readings": [reading]},
        "scored": scored("baseline 3", "champion 20", "champion 20"),
        "delays": pd.Series(pd.to_timedelta(["2h", "3h", "4h", "50h"])),
        "pending": 12,
        "weights": Weights({"amount": 0.75, "color": 0.25}, "share of the gain that the trees drew from it"),
    }
    table = card(served=[1.0, None, 2.0], baseline=[2.0, 2.0, 2.0], first=[None] * 3)
    return health(table, **(content | changed))


def text(page):
    """What a reader sees, without tags and with single spaces."""
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]+>", " ", page, flags=re.S).split())


@pytest.mark.parametrize(
    ("costs", "state", "said"),
    [
        ([1.0, 2.0], "good enough", "Over 2 judged days, a prediction cost 1.500 dollars on average, within the bound of 1.8 dollars."),
        ([1.8, 1.8], "good enough", "within the bound of 1.8 dollars."),
        ([2.0, 2.0], "not good enough", "a prediction cost 2.000 dollars on average, over the bound of 1.8 dollars."),
        ([None, 1.0, 1.2], "good enough", "Over 2 judged days, a prediction cost 1.100 dollars"),
        ([1.0], "not enough evidence", "The last four weeks have 1 judged day, 2 are needed."),
        ([None, None], "not enough evidence", "The last four weeks have no judged days, 2 are needed."),
    ],
)  # fmt: skip
def test_the_verdict_is_given_in_the_products_own_terms(costs, state, said):
    verdict = judge(health(card(served=costs)), shop())
    assert verdict.state == state
    assert said in verdict.sentence


def test_the_currency_is_the_products():
    product = shop({"decision": {"currency": "euros"}})
    assert "1.500 euros on average" in judge(health(card(served=[1.0, 2.0])), product).sentence


def test_small_costs_are_told_finer():
    table, small = card(served=[0.101, 0.103]), shop({"decision": {"good_enough": {"at_most": 0.15}}})
    assert (
        "0.103 dollars a prediction on 2 January, 0.002 dollars more than on 1 January"
        in changes(health(table), small)[0]
    )
    assert "0.10 dollars a prediction on 2 January, as much as on 1 January" in changes(health(table), shop())[0]


def test_a_bound_on_log_loss_is_judged_in_log_loss():
    table = card(served=[5.0, 5.0]).assign(log_loss=0.4)
    product = shop({"decision": {"good_enough": {"metric": "log_loss", "at_most": 0.5}}})
    assert (
        judge(health(table), product).sentence
        == "Over 2 judged days, the log-loss was 0.400 on average, within the bound of 0.5."
    )


def test_before_models_can_start_it_is_said_when_they_do():
    """Two days to train and one to judge, mature a day later: decided on day 4, serving from day 5."""
    first = health(day=day(1), days=[day(1)])
    assert judge(first, shop()).sentence.endswith("Until 2024-01-05 at the earliest the heuristic answers.")


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (health(), "Cost: not enough evidence (no judged days) to compare with the day before."),
        (health(card(served=[1.0, 1.5])), "1.50 dollars a prediction on 2 January, 0.50 dollars more than on 1 January."),
        (health(card(served=[1.0, 1.0])), "1.00 dollars a prediction on 2 January, as much as on 1 January."),
        (health(card(served=[1.0] * 13)), "Cost, week against week: not enough evidence"),
        (health(card(served=[1.0, 1.1] * 3 + [1.0] + [0.5, 0.6] * 3 + [0.5])),
         "0.54 dollars a prediction, 0.50 dollars less than in the 7 days before, more than day-to-day chance explains."),
        (health(card(served=[1.0] * 7 + [2.0, 0.1, 1.9, 0.2, 1.8, 0.3, 1.0])), "within day-to-day chance."),
        (health(), "Served by the heuristic, on all 1 days shown."),
        (full(), "Served by the champion, version 20, since 29 January; before, by the baseline, version 3."),
        (health(scored=scored("champion 4", "champion 5")), "since today; before, by the champion, version 4."),
        (health(scored=scored()), "Nobody served: the day has no prediction."),
        (health(), "1,234 predictions, and 5 rows in quarantine."),
        (health(scored=scored(*["heuristic"] * 8)), "1,234 predictions, +0 against the same weekday last week"),
        (health(), "No retrain was decided in the last 7 days."),
        (full(), "Retrain of 27 January. Kept: version 27 does not pass beats_baseline, version 27 stays champion; reason 27"),
    ],
)  # fmt: skip
def test_what_changed_is_said_in_words(made, said):
    assert any(said in sentence for sentence in changes(made, shop()))


@pytest.mark.parametrize(
    ("duration", "said"), [("20min", "20 minutes"), ("3h", "3.0 hours"), ("47h", "47.0 hours"), ("3D", "3.0 days")]
)
def test_durations_are_said_as_people_do(duration, said):
    assert span(pd.Timedelta(duration).to_pytimedelta()) == said


@pytest.mark.parametrize(("psi", "said"), [(0.0, "hardly moved"), (0.1, "moved"), (0.25, "moved far")])
def test_drift_has_words(psi, said):
    assert how_far(psi) == said


class Outside(HTMLParser):
    """Every tag, every attribute that could fetch something, and tags that are closed out of order."""

    def __init__(self):
        super().__init__()
        self.found, self.opened, self.open, self.ids, self.broken = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.opened.append(tag)
        named = dict(attrs)
        self.found += [named[name] for name in ("href", "src", "srcset", "action", "data") if name in named]
        self.ids += [named["id"]] if "id" in named else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self.open.pop()

    def handle_endtag(self, tag):
        if not self.open or self.open.pop() != tag:
            self.broken.append(tag)


@pytest.mark.parametrize("made", [health(), full()], ids=["first day", "later"])
def test_the_page_is_whole_and_fetches_nothing(made):
    page, outside = render(made, shop()), Outside()
    outside.feed(page)
    assert outside.found == ["index.html"]
    assert not {"script", "link", "img", "iframe", "object"} & set(outside.opened)
    assert not re.search(r"https?:|url\(|@import", page)
    assert (outside.broken, outside.open) == ([], [])
    assert set(SECTIONS) <= set(outside.ids)
    assert len(outside.ids) == len(set(outside.ids))
    assert page.startswith("<!doctype html>")


def test_the_first_days_page_says_what_is_not_known_yet():
    page = text(render(health(), shop()))
    for said in (
        "? Not enough evidence The last four weeks have no judged days",
        "Not enough evidence: nothing has been judged yet.",
        "Not enough evidence: no model has been trained and judged yet.",
        "Not enough evidence: there is no champion to compare with yet.",
        "Not enough evidence: no slice has 100 judged rows yet.",
        "Not enough evidence on coverage",
        "0 labels arrived, and 0 rows fell due without one. Not enough evidence on their delay.",
        "No model serves: the heuristic gives every row the same answer.",
    ):
        assert said in page
    assert "nan" not in page.lower()
    assert "None " not in page.replace("None was decided", "")


def test_where_the_baseline_served_it_is_not_compared_with_itself():
    costs, days = card(served=[1.0, 2.0], baseline=[1.0, 2.0]), pd.DatetimeIndex([day(1), day(2)])
    made = health(costs, scored=scored("baseline 3", "baseline 3").set_axis(days))
    assert beside_yardsticks(made, shop()) == "Over the 2 judged days, it was the simple baseline that answered."
    made = health(costs, scored=scored("baseline 3", "champion 20").set_axis(days))
    assert "as much as the simple baseline" in beside_yardsticks(made, shop())
    weak = {"baseline": {"version": 3, "against_prior": {"verdict": "fail", "sentence": "It is over."}}}
    made = health(
        costs, scored=scored("champion 19", "champion 20").set_axis(days), entries=[entry(2) | {"serving": weak}]
    )
    assert beside_yardsticks(made, shop()).endswith("The simple baseline itself would not serve: It is over.")


def test_a_later_page_shows_costs_decisions_drift_slices_labels_and_features():
    page = text(render(full(), shop()))
    for said in (
        "✓ Good enough Over 2 judged days, a prediction cost 1.500 dollars",
        "On the 2 judged days that all were measured on, a prediction cost 0.50 dollars less than the simple baseline.",
        "Always acting would have cost 2.00 dollars a prediction, never acting 2.50.",
        "what we served 1.500 simple baseline 2.000",
        "▲ 2024-01-20 Promoted: version 20 replaces version 19; log-loss -0.1000 [-0.2000, +0.0500] against it; "
        "asked for by a trigger (drift). In effect from 2024-01-21.",
        "Version 27, as of 2024-01-27, had to pass these: kept , decided by beats_baseline.",
        "beats baseline hard ✓ pass Reason 27.",
        "the inputs moved as the model weighs them (stability index 0.22; a retrain is asked for above 0.5)",
        "Moved far, each by itself: amount.",
        "amount moved far 0.30 75% the predictions moved 0.10 –",
        "color blue costs most: 2.00 dollars a prediction, the average is 1.50.",
        "color blue 1,800 2.00 +0.50 – 25% 20%",
        "1 January got the fewest labels, 90.1%, and a day got 90.2% on average",
        "4 labels arrived, and 12 rows fell due without one.",
        "From event to known label: half of them within 3.5 hours, 90% within 36.2 hours.",
        "Half of the weight lies on amount.",
        "share of the gain that the trees drew from it",
    ):
        assert said in page
    assert "never retraining 1" not in page, "a yardstick without a measure has no number"
    assert page.index("2024-01-27 Kept") < page.index("2024-01-20 Promoted"), "the newest decision comes first"
    assert "version 2 replaces" not in page, "a decision of more than four weeks ago is not shown"
    assert "nan" not in page.lower()


def test_text_from_the_product_file_is_escaped():
    assert "<b>bold</b>" not in render(health(), shop({"question": "Is <b>bold</b> safe?"}))


def test_the_index_links_every_day_newest_first():
    page, outside = (
        render_index({day(1): summarize(health(), shop()), day(2): summarize(full(), shop())}, shop()),
        Outside(),
    )
    outside.feed(page)
    assert outside.found == ["2024-01-02.html", "2024-01-02.html", "2024-01-01.html"]
    assert (outside.broken, outside.open) == ([], [])
    assert "✓ good enough" in text(page)
    assert "? not enough evidence" in text(page)


@pytest.mark.skipif(find_browser() is None, reason="no chromium, chromium-browser or google-chrome on PATH")
def test_a_real_browser_shows_the_page_offline_in_any_width_and_colour_scheme(tmp_path):
    file = tmp_path / "day.html"
    file.write_text(render(full(), shop()))
    backgrounds = set()
    with opened_page() as page:
        page.call("Network.enable")
        page.call("Network.emulateNetworkConditions", offline=True, latency=0, downloadThroughput=0, uploadThroughput=0)
        for width, scheme in ((1280, "light"), (390, "dark")):
            page.call("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
            page.open(file.as_uri(), width)
            page.wait_for(
                f"document.readyState == 'complete' && location.href.endsWith('day.html') && innerWidth == {width}"
            )
            assert page.value("document.documentElement.scrollWidth") <= width
            hidden = "[...document.querySelectorAll('section, .verdict, svg')].filter(part => !part.getBoundingClientRect().height)"
            assert page.value(f"{hidden}.length") == 0
            assert page.value("document.querySelectorAll('section').length") == len(SECTIONS)
            assert page.value("document.querySelectorAll('svg polyline').length") == 2
            backgrounds.add(page.value("getComputedStyle(document.body).backgroundColor"))
            assert page.picture().startswith(b"\x89PNG")
    requested = {
        event["params"]["request"]["url"] for event in page.events if event["method"] == "Network.requestWillBeSent"
    }
    assert requested == {file.as_uri()}
    complaints = [event for event in page.events if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")]
    assert complaints == []
    assert len(backgrounds) == 2, "light and dark differ"
