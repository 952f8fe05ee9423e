"""The judge: baseline, candidate and champion on the same rows, none of which any of them was trained on."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pandas as pd

from evergreen import evaluation
from evergreen.as_of import AsOf
from evergreen.cadence import parse_period
from evergreen.evaluation_portions import measure_portions
from evergreen.prequential import compare_recipes
from evergreen.promotion import judged
from evergreen.recipes import recorded_recipe, with_features_of
from evergreen.scoring import try_model
from evergreen.tasks import Floats, task_of
from evergreen.training import manifest_of, possible_training_ids, read_manifest_rows

Record = dict[str, Any]
Load = Callable[[Record], Any]


def judge_models(
    view: AsOf, champion: Record | None, load: Load, examine: Callable[[Record, pd.DataFrame], dict[str, Any]]
) -> tuple[dict[str, Any], pd.DataFrame, dict[str, Floats]]:
    """The report, the judging rows and every scorer's scores on them. A refitted champion is judged as its twin.

    `champion` is the ledger's record of it, None without one; `load` gives the model of a record; `examine` says what the gates ask of
    the candidate's file. Raises OverlapError where a judging row was trained on.
    """
    from evergreen import models

    product, store = view.product, view.store
    judging = store.read_document("evaluation_set", view.day)
    rows = read_manifest_rows(view, judging)
    records = {name: store.read_document(f"{name}_model", view.day) for name in ("candidate", "baseline")}
    records |= {"champion": judged(champion)} if champion else {}
    champion_error = _champion_error(view, load, records.get("champion"), judging["first_day"], rows)
    names = [name for name in records if name != "champion" or not champion_error]
    trained = {name: _trained_on(view, records[name]) for name in names}
    compared = evaluation.refuse_overlap(rows[product.id], trained)
    pipelines = {name: load(records[name]) for name in names}
    score = partial(_scores, view, pipelines, records.get("champion"))
    ask = partial(models.predict, pipelines["candidate"])
    scores = score(rows)
    for values in scores.values():
        task_of(product).check(values, len(rows))
    scores["prior"] = task_of(product).constant(records["candidate"]["base_rate"], len(rows))
    report = {
        "evaluation_version": judging["version"],
        "evaluation_digest": judging["digest"],
        "coverage": judging["coverage"],
        "days": judging["days"],
        "trained_ids_compared": compared,
        **examine(records["candidate"], rows),
        "training_log_loss": {name: records[name]["log_loss"] for name in ("candidate", "baseline")},
        "champion": champion,
        "champion_error": champion_error,
        "summary": {name: evaluation.summarize(rows, values, product) for name, values in scores.items()},
        "card": evaluation.score_card(rows, scores, product)
        .assign(day=lambda card: card.day.astype("str"))
        .to_dict("records"),
        "ranking": evaluation.daily_ranking(rows, scores, product).reset_index(drop=True).to_dict("records"),
        "change": _change(view, champion, judging["portions"]["golden"]["days"]),
        **measure_portions(view, judging["portions"], score, ask, trained, rows, scores),
    }
    return report, rows, scores


def _champion_error(view: AsOf, load: Load, champion: Record | None, first_day: str, rows: pd.DataFrame) -> str | None:
    """Why the champion cannot be judged on these rows, of days from the first one on; None where it can, or there is none."""
    if champion and champion["trained_through"] >= first_day:
        return (
            f"it was trained through {champion['trained_through']} and the judging days begin with {first_day}, as after a wider "
            "evaluation.window: they leave its training days behind by themselves"
        )

    def predict(record: Record, batch: pd.DataFrame) -> Floats:
        return _scores(view, {"champion": load(record)}, record, batch)["champion"]

    return try_model(champion, rows, predict, view.product)[1] if champion else None


def _scores(view: AsOf, pipelines: dict[str, Any], champion: Record | None, rows: pd.DataFrame) -> dict[str, Floats]:
    """Every model's scores of the same rows; the champion gets the features that its own recipe needs."""
    from evergreen import models

    fed = dict.fromkeys(pipelines, rows)
    if champion and "champion" in pipelines:
        days = sorted(view.periods.at(stamp) for stamp in rows.day.unique())
        fed["champion"] = with_features_of(recorded_recipe(view.store, champion), rows, view.store, days)
    return {name: models.predict(pipelines[name], fed[name]) for name in fed}


def _trained_on(view: AsOf, record: Record) -> pd.Series:
    made = view.store.read_document("training_set", parse_period(record["as_of"]))
    return possible_training_ids(view, manifest_of(made, record))


def _change(view: AsOf, champion: Record | None, golden: list[str]) -> list[dict[Any, Any]] | None:
    """Daily log-loss of the candidate's recipe and of the champion's on prequential days; None where the recipes are the same."""
    if champion is None or champion["recipe"] == view.product.recipe:
        return None
    history, product = view.mature(view.product.time.start), view.product
    before = recorded_recipe(view.store, champion)
    fed = with_features_of(before, history.rows, view.store, view.days(product.time.start))
    days = [day for day in history.whole_days(product.label.coverage_at_least) if str(day) not in golden]
    recipes = {"candidate": product, "champion": before}
    needed = product.count(product.gates.change.days)
    card = compare_recipes(history.rows, days, recipes, needed, fed={"champion": fed})
    daily = evaluation.by_day(card, "log_loss").reset_index()
    return daily.assign(day=daily.day.astype("str")).to_dict("records")
