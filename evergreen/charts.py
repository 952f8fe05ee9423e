"""Charts as SVG text, drawn without a library: a day's report and the pages of the UI pay milliseconds for them.

A chart has no colours of its own: `STYLE` colours one that stands alone, the health report's page colours those inside it.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape

import numpy as np
import pandas as pd

from evergreen.cadence import Hour
from evergreen.monitoring import SCORER_NAMES

WIDTH, LEFT, RIGHT, TOP, PLOT, HEAD = 640, 56, 12, 62, 170, 34
ROW = 46
KINDS = ("first", "second", "third", "fourth")
A_MOMENT, LONG = timedelta(microseconds=1), timedelta(days=300)
STYLE = """
text{font:18px system-ui,sans-serif;fill:#374151}.grid{stroke:#e5e7eb}.bound{stroke:#b91c1c;stroke-dasharray:8 4}
text.red{fill:#b91c1c}.line{fill:none;stroke-width:2}.first{stroke:#1d4ed8;stroke-width:3}
.second{stroke:#b45309;stroke-dasharray:7 3}.third{stroke:#6b7280;stroke-dasharray:2 3}
.fourth{stroke:#15803d;stroke-dasharray:12 4}
.bar,.band{fill:#bfdbfe}.band.odd{fill:#93c5fd}.paper{fill:#fff}text.mark{font-size:16px}text.title{font-weight:600}
"""


@dataclass(frozen=True)
class Chart:
    """What is drawn, WIDTH wide: its title, its height and the parts of it as SVG."""

    title: str
    height: float
    parts: str


@dataclass(frozen=True)
class Line:
    """A line of a time plot: `kind` (one of KINDS) is how it is drawn, `values` are by day; missing days are left out."""

    name: str
    kind: str
    values: pd.Series


@dataclass(frozen=True)
class Band:
    """A stretch of days with one text in it: `odd` ones are drawn darker, to tell neighbours apart."""

    first: date
    last: date
    text: str
    odd: bool


@dataclass(frozen=True)
class Mark:
    """A sign on one day, and what it stands for."""

    day: date
    sign: str
    text: str


def live_lines(days: pd.DataFrame) -> list[Line]:
    """A line for each scorer, from one of `monitoring.daily_measures`."""
    kinds = {"served": "first", "baseline": "second", "first": "third"}
    return [Line(SCORER_NAMES[name], kind, days[name]) for name, kind in kinds.items() if name in days]


def time_plot(
    title: str,
    days: Sequence[date],
    lines: Sequence[Line],
    bound: float | None = None,
    bands: Sequence[Band] = (),
    marks: Sequence[Mark] = (),
) -> Chart:
    """Lines over the same days, with a bound (None: no such line), and below them a row of bands and a row of marks where given."""
    values = pd.concat([line.values for line in lines]).dropna() if lines else pd.Series(dtype="float64")
    bottom, top = _scale([*values, *([] if bound is None else [bound])])
    legend = [(f"line {line.kind}", line.name) for line in lines]
    parts = [_grid(days, bottom, top), *(_line(line, days, bottom, top) for line in lines)]
    if bound is not None:
        legend.append(("bound", f"the bound of {bound:g}"))
        parts.append(_level("bound", _y(bound, bottom, top)))
    height = TOP + PLOT + 30
    if bands:
        parts += [
            f'<text x="{LEFT}" y="{height + 16}">who served</text>',
            *(_band(band, days, height + 24) for band in bands),
        ]
        height += ROW
    if marks:
        parts += [
            f'<text x="{LEFT}" y="{height + 16}">retrains</text>',
            *(_mark(mark, days, height + 38) for mark in marks),
        ]
        height += ROW
    return Chart(title, height + 4, "".join([*parts, _legend(legend)]))


def bars(title: str, shares: Sequence[tuple[str, float]], bounds: Sequence[float] = ()) -> Chart:
    """Horizontal bars in the given order, each with its value; `bounds` are drawn through all of them."""
    left, longest = 150, max([value for _, value in shares] + list(bounds) + [1e-9])
    unit, height = (WIDTH - left - 60) / longest, 10 + 24 * len(shares)
    parts = [
        f'<text x="{left - 8}" y="{24 * row + 22}" text-anchor="end">{escape(name)}</text>'
        f'<rect class="bar" x="{left}" y="{24 * row + 8}" width="{max(0.0, value) * unit:.1f}" height="18"/>'
        f'<text x="{left + max(0.0, value) * unit + 6:.1f}" y="{24 * row + 22}">{value:.2f}</text>'
        for row, (name, value) in enumerate(shares)
    ]
    for bound in bounds:
        x = left + bound * unit
        parts.append(f'<line class="bound" x1="{x:.1f}" x2="{x:.1f}" y1="4" y2="{height}"/>')
        parts.append(f'<text class="red" x="{x:.1f}" y="{height + 14}" text-anchor="middle">{bound:g}</text>')
    return Chart(title, height + 20, "".join(parts))


def importances(shares: Mapping[str, float]) -> Chart:
    """Each feature's share in the model, largest on top."""
    return bars("Share of importance, by feature", sorted(shares.items(), key=lambda share: -share[1]))


def in_page(chart: Chart) -> str:
    """The chart as a part of a page, which gives it its heading, its size and its colours."""
    title = escape(chart.title)
    return (
        f'<svg viewBox="0 0 {WIDTH} {chart.height:.0f}" role="img" aria-label="{title}">'
        f"<title>{title}</title>{chart.parts}</svg>"
    )


def as_file(chart: Chart) -> bytes:
    """The chart as a file of its own, under its title."""
    title, height = escape(chart.title), f"{chart.height + HEAD:.0f}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 {-HEAD} {WIDTH} {height}">'
        f'<title>{title}</title><style>{STYLE}</style><rect class="paper" y="{-HEAD}" width="100%" height="100%"/>'
        f'<text class="title" x="8" y="-12">{title}</text>{chart.parts}</svg>'
    ).encode()


def as_markdown(chart: Chart) -> str:
    """The chart as an inline image that the Dagster UI shows."""
    return f"![{chart.title}](data:image/svg+xml;base64,{base64.b64encode(as_file(chart)).decode()})"


def _scale(values: Sequence[float]) -> tuple[float, float]:
    """A range that holds every value with some air; zero is not forced in, since differences are what is looked at."""
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    air = 0.08 * (high - low) or 0.1 * abs(high) or 0.5
    return low - air, high + air


def _x(day: date, days: Sequence[date]) -> float:
    return LEFT + (WIDTH - LEFT - RIGHT) * (day - days[0]) / max(days[-1] - days[0], A_MOMENT)


def _y(value: float, bottom: float, top: float) -> float:
    return TOP + PLOT * (1 - (value - bottom) / (top - bottom))


def _grid(days: Sequence[date], bottom: float, top: float) -> str:
    step = 10 ** np.floor(np.log10(top - bottom))
    step = next(step * part for part in (0.2, 0.25, 0.5, 1, 2) if (top - bottom) / (step * part) <= 6)
    parts = []
    for value in np.arange(np.ceil(bottom / step), np.floor(top / step) + 1) * step:
        y = _y(float(value), bottom, top)
        parts.append(_level("grid", y))
        parts.append(f'<text x="{LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_figure(float(value))}</text>')
    for position in sorted({0, (len(days) - 1) // 3, 2 * (len(days) - 1) // 3, len(days) - 1}):
        anchor = "start" if position == 0 else "end" if position == len(days) - 1 else "middle"
        x, y = _x(days[position], days), TOP + PLOT + 18
        parts.append(f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}">{_short(days[position], days)}</text>')
    return "".join(parts)


def _figure(value: float) -> str:
    """A value on the axis: thousands with a comma, smaller ones with three digits."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:z.3g}"


def _line(line: Line, days: Sequence[date], bottom: float, top: float) -> str:
    known = line.values.dropna()
    places = zip(_named(known.index, days), known, strict=True)
    points = " ".join(f"{_x(day, days):.1f},{_y(value, bottom, top):.1f}" for day, value in places)
    return f'<polyline class="line {line.kind}" points="{points}"/>'


def _level(kind: str, y: float) -> str:
    return f'<line class="{kind}" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'


def _legend(signs: Sequence[tuple[str, str]]) -> str:
    """How each line is drawn, and its name: two columns."""
    column, parts = (WIDTH - LEFT - RIGHT) // 2, []
    for number, (kind, name) in enumerate(signs):
        x, y = LEFT + number % 2 * column, 14 + number // 2 * 24
        parts.append(f'<line class="{kind}" x1="{x}" x2="{x + 30}" y1="{y}" y2="{y}"/>')
        parts.append(f'<text x="{x + 38}" y="{y + 5}">{escape(name)}</text>')
    return "".join(parts)


def _band(band: Band, days: Sequence[date], y: float) -> str:
    """A day's stretch reaches half a day to both sides, within the plot; a narrow one is named by its last word, if at all."""
    half = (WIDTH - LEFT - RIGHT) / max(1, len(days) - 1) / 2
    left, right = max(LEFT, _x(band.first, days) - half), min(WIDTH - RIGHT, _x(band.last, days) + half)
    kind = "band odd" if band.odd else "band"
    names = (band.text, band.text.split()[-1])
    shown = next((name for name in names if right - left > 9 * len(name)), "")
    return (
        f"<g><title>{escape(band.text)}, {_short(band.first, days)} to {_short(band.last, days)}</title>"
        f'<rect class="{kind}" x="{left:.1f}" y="{y}" width="{right - left:.1f}" height="18"/>'
        f'<text x="{(left + right) / 2:.1f}" y="{y + 14}" text-anchor="middle">{escape(shown)}</text></g>'
    )


def _mark(mark: Mark, days: Sequence[date], y: float) -> str:
    return (
        f"<g><title>{escape(mark.text)}</title>"
        f'<text class="mark" x="{_x(mark.day, days):.1f}" y="{y}" text-anchor="middle">{mark.sign}</text></g>'
    )


def _named(moments: pd.Index, days: Sequence[date]) -> list[date]:
    """The beginnings of periods as these are named."""
    stamps = pd.DatetimeIndex(moments)
    return [Hour(*stamp.timetuple()[:4]) for stamp in stamps] if isinstance(days[0], Hour) else list(stamps.date)


def _short(day: date, days: Sequence[date]) -> str:
    """A period on an axis: with its hour where it has one, with its year where days do not tell it."""
    if isinstance(day, Hour):
        return f"{day.day} {day:%b %Hh}"
    return f"{day:%b %Y}" if days[-1] - days[0] > LONG else f"{day.day} {day:%b}"
