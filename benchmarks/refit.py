"""What holding days out to judge costs, and what refitting on them gives back: a year for each window, with and without refitting.

    python benchmarks/refit.py [--quick] [--share SHARE] [--out FOLDER] [--cache FOLDER]

What is judged is the same either way: a twin trained through the day before the window. With refitting, what ships on promotion is the
same recipe trained through the window. The risk is that these days ship unjudged: the first table spoils them.
"""

import numpy as np
import pandas as pd
from rules import RULES, Court, Model, live
from tables import arguments, scores_folder, show
from trials import DAY, WEEK, Trials

WINDOWS = {
    3: "labels of 3 days inverted",
    7: "last week's labels inverted",
    14: "labels of 14 days inverted",
    21: "labels of 21 days inverted",
}
"""For each window, in days, what spoils the days that a refit ships unjudged."""


def lives_table(court: Court, rule: str) -> pd.DataFrame:
    made = {}
    for window in WINDOWS:
        for refit in (False, True):
            life = live(court, RULES[rule], window, refit)
            made[f"{window} days{', refitted' if refit else ''}"] = life.as_text()
    return pd.DataFrame(made).T


def risk_table(trials: Trials, every: int) -> pd.DataFrame:
    """AUC on the next week: the twin that was judged, the refitted model, and one refitted on a window whose labels are inverted;
    and how far each moves the mean score from the twin's, in the mean and at most: what a guard could look at."""
    return pd.DataFrame({f"{window} days": _risks(trials, every, window) for window in WINDOWS}).T


def _risks(trials: Trials, every: int, window: int) -> pd.Series:
    lines = []
    for decision in trials.decisions(every):
        first, last = decision + DAY, decision + WEEK
        models = {
            "twin": Model("full", decision - (window + 1) * DAY),
            "refitted": Model("full", decision - DAY),
            "spoilt": Model("full", decision - DAY, WINDOWS[window]),
        }
        scores = {name: trials.scores("full", m.cutoff, first, last, m.sabotage) for name, m in models.items()}
        aucs = {name: trials.auc(found, first, last) for name, found in scores.items()}
        moved = {
            f"{name} moves": abs(np.mean(scores[name]) - np.mean(scores["twin"])) for name in ("refitted", "spoilt")
        }
        lines.append(aucs | moved)
    made = pd.DataFrame(lines)
    return pd.concat([made.mean(), made.max().filter(like="moves").add_prefix("largest: ")]).round(4)


if __name__ == "__main__":
    given = arguments(__doc__)
    trials = Trials(scores_folder(given), given.share)
    show("refit risk", risk_table(trials, 8 if given.quick else 4), given.out)
    if not given.quick:
        for rule in ("shipped", "always"):
            show(f"refit lives {rule}", lives_table(Court(trials), rule), given.out)
