"""Failure cases: confident errors met in production, kept from training so that later versions can be asked about them.

A row becomes a case on the day when it is mature and its label known. Cases are a function of the view alone: the newest
`at_most`, one for each feature row. An older case is released to training when newer ones take its place.
"""

import pandas as pd

from evergreen.as_of import AsOf, MatureRows
from evergreen.ladder import HEURISTIC
from evergreen.tasks import task_of

CASE, DUPLICATE, OVER_THE_CAP = "case", "duplicate", "over the cap"
COLUMNS = ["id", "day", "label", "score", "version", "log_loss", "standing"]


def confident_errors(view: AsOf, mature: MatureRows) -> pd.DataFrame:
    """The served rows whose score decides wrongly, at today's costs, and lies far from the label, newest first.

    Columns COLUMNS; `score` is the confidence in the decided class where there are several; `standing` is CASE, DUPLICATE (a newer
    one has the same features) or OVER_THE_CAP. Empty where the product keeps no cases. The heuristic's answers are nobody's error.
    """
    policy, product = view.product.evaluation.failures, view.product
    if policy is None or mature.rows.empty:
        return pd.DataFrame(columns=COLUMNS)
    days = sorted(view.periods.at(stamp) for stamp in mature.rows.day.unique())
    task = task_of(product)
    made = view.read("predictions", days, ["id", *task.columns(), "served_by", "version"])
    served = made[made.served_by != HEURISTIC].drop(columns="served_by")
    needed = mature.rows[[product.id, "day", "label", *product.features.names]]
    rows = needed.rename(columns={product.id: "id"}).merge(served, on="id")
    labels, scores = rows.label.to_numpy(), task.from_table(rows)
    measured = task.measure_rows(labels, scores)
    rows = rows.assign(log_loss=measured.log_loss.to_numpy(), score=measured.score.to_numpy())
    errors = rows[(rows.log_loss > policy.log_loss_over) & ~task.decides_right(labels, scores)]
    errors = errors.sort_values(["day", "log_loss", "id"], ascending=[False, False, True], ignore_index=True)
    return errors.assign(standing=_standing(errors[product.features.names], policy.at_most))[COLUMNS]


def cases(errors: pd.DataFrame) -> pd.DataFrame:
    """The errors that are kept."""
    return errors[errors.standing == CASE]


def _standing(features: pd.DataFrame, at_most: int) -> pd.Series:
    """What becomes of each error, in their order."""
    first = ~features.duplicated()
    standing = pd.Series(CASE, index=features.index, dtype="str")
    return standing.mask(first & (first.cumsum() > at_most), OVER_THE_CAP).mask(~first, DUPLICATE)
