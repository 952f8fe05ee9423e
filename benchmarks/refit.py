"""What holding days out to judge costs, and what refitting on them gives back: a year for each window, with and without refitting.

    python benchmarks/refit.py [--quick] [--share SHARE] [--out FOLDER] [--cache FOLDER]

What is judged is the same either way: a twin trained through the day before the window. With refitting, what ships on promotion is the
same recipe trained through the window. The risk is that the newest days ship unjudged: the second table spoils them.
"""

import numpy as np
import pandas as pd
from rules import RULES, Court, Model, live
from tables import arguments, scores_folder, show
from trials import DAY, WEEK, Trials

WINDOWS = (3, 7, 14)  # days
SPOILT = "last week's labels inverted"


def lives_table(court: Court) -> pd.DataFrame:
    made = {}
    for window in WINDOWS:
        for refit in (False, True):
            life = live(court, RULES["shipped"], window, refit)
            made[f"{window} days{', refitted' if refit else ''}"] = life.as_text()
    return pd.DataFrame(made).T


def risk_table(court: Court, every: int) -> pd.DataFrame:
    """AUC on the next week: the twin that was judged, the refitted model, and one refitted on a week whose labels are inverted;
    and the largest shift of its mean score on the judging days against the twin's, which a guard could look at."""
    trials, lines = court.trials, []
    for decision in trials.decisions(every):
        first, last = decision + DAY, decision + WEEK
        twin, refitted = Model("full", decision - 8 * DAY), Model("full", decision - DAY)
        models = {
            "twin": twin,
            "refitted": refitted,
            "refitted on a spoilt week": Model("full", refitted.cutoff, SPOILT),
        }
        scores = {name: trials.scores("full", m.cutoff, first, last, m.sabotage) for name, m in models.items()}
        shifts = {f"shift, {name}": abs(np.mean(found) - np.mean(scores["twin"])) for name, found in scores.items()}
        lines.append({name: trials.auc(found, first, last) for name, found in scores.items()} | shifts)
    return pd.DataFrame(lines).describe().loc[["count", "mean", "min", "max"]].T.round(4)


if __name__ == "__main__":
    given = arguments(__doc__)
    with scores_folder(given.cache) as folder:
        trials = Trials(folder, given.share)
        show("refit risk", risk_table(Court(trials), 8 if given.quick else 4), given.out)
        if not given.quick:
            show("refit lives", lives_table(Court(trials)), given.out)
