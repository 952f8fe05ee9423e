import base64

import pandas as pd

from evergreen import plots


def image(figure):
    text = plots.as_markdown(plots.as_png(figure))
    assert text.startswith("![plot](data:image/png;base64,")
    return base64.b64decode(text.removeprefix("![plot](data:image/png;base64,").removesuffix(")"))


def test_each_scorers_calibration_is_drawn_beside_the_diagonal():
    curve = pd.DataFrame({"score": [0.1, 0.4], "observed": [0.0, 0.5]})
    figure = plots.calibration({"candidate": curve, "baseline": curve})
    assert [line.get_label() for line in figure.axes[0].lines] == ["perfect", "candidate", "baseline"]
    assert figure.axes[0].lines[0].get_xydata().tolist() == [[0, 0], [0.5, 0.5]]
    assert image(figure).startswith(b"\x89PNG")


def test_each_scorers_precision_is_drawn_over_its_recall():
    curve = pd.DataFrame({"recall": [0.5, 1.0], "precision": [1.0, 0.6]})
    (axes,) = plots.precision_recall({"candidate": curve, "champion": curve}).axes
    assert [line.get_label() for line in axes.lines] == ["candidate", "champion"]
    assert axes.lines[0].get_ydata().tolist() == [1.0, 0.6]


def test_each_scorers_cost_is_drawn_over_the_threshold():
    curve = pd.DataFrame({"threshold": [0.0, 1.0], "expected_cost": [2.0, 2.5]})
    (axes,) = plots.costs({"candidate": curve, "champion": curve}, 0.2, "dollars").axes
    assert [line.get_label() for line in axes.lines] == ["candidate", "champion", "in use: 0.2"]
    assert axes.get_ylabel() == "dollars a row"
