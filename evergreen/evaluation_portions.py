"""What the portions that decide nothing say of a version: golden days, failure cases, slices."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import pandas as pd

from evergreen.as_of import AsOf
from evergreen.config import Product
from evergreen.evaluation import by_day, by_slice, refuse_overlap, score_card, summarize
from evergreen.evaluation_sets import of_line, read_cases, read_portion
from evergreen.statistics import Interval, mean_interval
from evergreen.tasks import Floats, task_of
from evergreen.wide import among

Score = Callable[[pd.DataFrame], dict[str, Floats]]


def measure_portions(
    view: AsOf,
    portions: Mapping[str, Any],
    score: Score,
    ask: Callable[[pd.DataFrame], Floats],
    trained: Mapping[str, pd.Series],
    fresh: pd.DataFrame,
    fresh_scores: Mapping[str, Floats],
) -> dict[str, Any]:
    """What golden days, failure cases and slices say; no gate reads it.

    `score(rows)` gives every model's scores, `ask(rows)` the candidate's, `trained` has the ids that each was trained on. Every model
    is measured on the golden days; about failure cases the candidate alone is asked, since others may have been trained on them.
    Raises OverlapError where a model that is asked was trained on a row.
    """
    product = view.product
    golden, asked = read_portion(view, portions["golden"]), read_cases(view, portions["failures"])
    refuse_overlap(golden[product.id], trained)
    refuse_overlap(asked[product.id], {"candidate": trained["candidate"]})
    nothing = fresh_scores["candidate"][:0]
    on_golden = score(golden) if len(golden) else {"candidate": nothing}
    on_cases = ask(asked) if len(asked) else nothing
    said = measure_golden(golden, on_golden, product)
    failures = ask_about_cases(asked, on_cases, _decided_right_before(view), product)
    task = task_of(product)
    by_fresh, by_golden = (
        rows.join(task.to_table(values["candidate"], rows.index))
        for rows, values in ((fresh, fresh_scores), (golden, on_golden))
    )
    slices = measure_slices(portions["slices"], by_fresh, by_golden, product)
    words = [_golden_words(said, product), _case_words(failures), _slice_words(slices, product)]
    return {"golden": said, "failures": failures, "slices": slices, "portions": words}


def _decided_right_before(view: AsOf) -> set[str]:
    """The ids of failure cases that a candidate of an earlier day decided right."""
    earlier = [day for day in view.store.document_days("evaluation_report") if day < view.day]
    reports = [view.store.read_document("evaluation_report", day) for day in earlier]
    return {case for report in reports for case in report.get("failures", {}).get("right", [])}


def measure_golden(rows: pd.DataFrame, scores: Mapping[str, Floats], product: Product) -> dict[str, Any] | None:
    """Each scorer on the golden days: `summary`, and the daily log-loss as an interval; None without a golden row.

    `difference` is the candidate's minus the champion's, None without a champion. Nothing is decided on it.
    """
    if rows.empty:
        return None
    losses, confidence = by_day(score_card(rows, scores, product), "log_loss"), product.gates.confidence
    difference = (losses.candidate - losses.champion).to_list() if "champion" in losses else []
    return {
        "days": len(losses),
        "rows": len(rows),
        "summary": {name: summarize(rows, values, product) for name, values in scores.items()},
        "log_loss": {name: _bounds(mean_interval(losses[name].to_list(), confidence)) for name in scores},
        "difference": _bounds(mean_interval(difference, confidence)),
    }


def ask_about_cases(rows: pd.DataFrame, scores: Floats, earlier: Iterable[str], product: Product) -> dict[str, Any]:
    """The candidate on the failure cases: how many are `asked`, which it decides `right`, and which of them for the first time
    (`fixed`); `regressed` are those that an earlier version decided right (`earlier` has their ids) and this one does not."""
    right = task_of(product).decides_right(rows.label.to_numpy(), scores)
    ids = rows[product.id]
    known = among(ids, list(earlier))
    return {
        "asked": len(rows),
        "right": ids[right].to_list(),
        "fixed": int((~known[right]).sum()),
        "regressed": ids[~right & known].to_list(),
    }


def measure_slices(
    portion: Mapping[str, Any], fresh: pd.DataFrame, golden: pd.DataFrame, product: Product
) -> list[dict[str, Any]]:
    """The candidate on each slice, fresh rows with those it is topped up with; measures are None under the declared rows.

    Both tables have `label` and the candidate's scores.
    """
    lines, task = [], task_of(product)
    held = by_slice(fresh, product.evaluation.slices)
    for line in portion["slices"]:
        rows = pd.concat([held.get(line["slice"], fresh[:0]), of_line(golden, line)])
        card = task.measure_rows(rows.label.to_numpy(), task.from_table(rows))
        enough = len(card) >= product.evaluation.slice_rows_at_least
        means = {name: float(card[name].mean()) if enough else None for name in ("log_loss", "expected_cost")}
        lines.append({"slice": line["slice"], "rows": len(card), "topped_up": line["added"], **means})
    return lines


def _bounds(interval: Interval | None) -> dict[str, float] | None:
    return None if interval is None else {"mean": interval.mean, "low": interval.low, "high": interval.high}


def _golden_words(golden: Mapping[str, Any] | None, product: Product) -> str:
    block, loss = product.time.block, task_of(product).words.loss
    if golden is None:
        return f"Golden {block}s: none are reserved."
    measured = [f"{name} {_interval(golden['log_loss'][name])}" for name in golden["log_loss"]]
    against = f"; candidate minus champion {_interval(golden['difference'])}" if golden["difference"] else ""
    return f"Golden {block}s ({golden['days']}, {golden['rows']:,} rows), {loss}: {', '.join(measured)}{against}. It decides nothing."


def _interval(bounds: Mapping[str, float] | None) -> str:
    return "not enough evidence" if bounds is None else "{mean:.4f} [{low:.4f}, {high:.4f}]".format(**bounds)


def _case_words(asked: Mapping[str, Any]) -> str:
    if not asked["asked"]:
        return "Failure cases: not enough evidence (n=0)."
    return (
        f"Failure cases: {len(asked['right'])} of {asked['asked']} are decided right, {asked['fixed']} of them for the first "
        f"time; {len(asked['regressed'])} that an earlier version decided right are wrong again."
    )


def _slice_words(slices: list[dict[str, Any]], product: Product) -> str:
    if not slices:
        return "Slices: none are declared."
    lacking = [f"{line['slice']} (n={line['rows']})" for line in slices if line["log_loss"] is None]
    topped = sum(line["topped_up"] > 0 for line in slices)
    missing = f"; not enough evidence for {', '.join(lacking)}" if lacking else ""
    judged = f"{len(slices) - len(lacking)} of {len(slices)} can be judged"
    return f"Slices: {judged}, {topped} topped up from golden {product.time.block}s{missing}."
