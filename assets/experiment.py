"""Experiments as a job: what is expected goes to MLflow before the run, the outcome after; the product's ledgers are never written."""

import logging
from contextlib import suppress
from datetime import date
from typing import Any

import dagster as dg
import yaml
from pydantic import Field

from assets.stage import table
from evergreen import sweeps
from evergreen.comparisons import Comparison, Ground, common_ground, compare
from evergreen.config import Product
from evergreen.errors import ConfigError, NotEnoughEvidence
from evergreen.experiments import Experiment, Trial, load_experiment, trials
from evergreen.periods import Periods
from evergreen.prequential import Progress
from evergreen.product_files import read_yaml
from evergreen.promotion import in_effect
from evergreen.storage import Store
from evergreen.trial import Outcome, concluded, expectation, run_experiment
from pipelines import places
from pipelines.experiment_log import LOOKED_AT, POINT, Entry, written_down
from pipelines.registry import Registry
from pipelines.resources import Home, git_commit

PROGRESS = "evergreen.experiment"
"""The logger that is told each step, for whoever shows it."""


class ExperimentRequest(dg.Config):
    """Which experiment, as of which day, and whether its whole sweep."""

    name: str = Field(description="a file in configs/experiments, without .yaml")
    as_of: str = Field("", description="a day such as 2013-12-31; empty: the newest one that was monitored")
    sweep: bool = Field(False, description="every point of the declared sweep, instead of the changes alone")


def experiment_op(product: Product) -> dg.OpDefinition:
    @dg.op(
        name=f"{product.name}__experiment",
        description="Fit the overlay and the current recipe to the same cutoffs, judge both on the same rows.",
    )
    def experiment(
        context: dg.OpExecutionContext, config: ExperimentRequest, home: Home, registry: Registry
    ) -> dict[str, Any]:
        declared = load_experiment(places.configs() / "experiments", config.name)
        made = _trials(declared, config.sweep, product)
        store, entries = home.store(product), home.promotions(product).entries()
        as_of = _as_of(config.as_of, store, product)
        known = _known(declared, config.sweep, as_of)
        tell = _telling(context)
        with written_down(registry, product.name, declared.name, known, _tags(product, context.run_id)) as entry:
            entry.text("experiment.yaml", yaml.safe_dump(declared.model_dump(mode="json", exclude_none=True)))
            if config.sweep:
                ground = common_ground(store, product, [changed for _, changed in made], as_of)
                found = _sweep(registry, entry, declared, ground, made, tell)
            else:
                [(_, changed)] = made
                outcome = run_experiment(store, in_effect(entries, as_of), product, changed, as_of, tell)
                found = _log(entry, declared, outcome)
        shown = {**known, **found}
        context.add_output_metadata(
            {name: value if isinstance(value, str | int) else table(value) for name, value in shown.items()}
        )
        return shown

    return experiment


def _as_of(text: str, store: Store, product: Product) -> date:
    """The day that is asked for, or the newest. Raises NotEnoughEvidence where that was not lived yet."""
    newest = newest_day(store, product)
    as_of = Periods.of(product.time).asked_for(text) if text else newest
    if as_of > newest:
        raise NotEnoughEvidence(
            f"as of {as_of} nothing is known yet: {product.name} was lived to {newest}; replay it further, or ask as of an earlier day"
        )
    return as_of


def newest_day(store: Store, product: Product) -> date:
    days = store.document_days("retrain_decision")
    if not days:
        raise NotEnoughEvidence(f"{product.name} has no monitored day yet: run `evergreen replay {product.name}` first")
    return days[-1]


def _trials(declared: Experiment, sweep: bool, product: Product) -> list[Trial]:
    """What is to be tried. Raises ConfigError where this request and the file do not fit each other, or nothing is changed."""
    if declared.product != product.name:
        raise ConfigError(
            f"{declared.name} is an experiment on {declared.product}: run it with {declared.product}_experiment"
        )
    if sweep and not declared.sweep:
        raise ConfigError(f"{declared.name} declares no sweep: give its file one, or leave --sweep out")
    if declared.sweep and not sweep:
        raise ConfigError(f"{declared.name} declares a sweep of several points: run it with --sweep")
    made = trials(declared, product, declared.name)
    if not made:
        raise ConfigError(f"{declared.name} changes nothing: {product.name} is declared so already")
    return made


def _known(declared: Experiment, sweep: bool, as_of: date) -> dict[str, str]:
    """What is written down before anything is fitted."""
    return {
        "hypothesis": declared.hypothesis,
        "expected": str(declared.expected or "nothing was foretold"),
        "as_of": str(as_of),
        "changes": str(declared.changes),
    } | ({"sweep": str(declared.sweep)} if sweep else {})


def _tags(product: Product, run_id: str) -> dict[str, str]:
    return {
        "evergreen.config": product.digest,
        "mlflow.source.git.commit": git_commit(),
        "evergreen.dagster_run": run_id,
    }


def _telling(context: dg.OpExecutionContext) -> Progress:
    def tell(step: str) -> None:
        context.log.info(step)
        logging.getLogger(PROGRESS).info(step)

    return tell


def experiments_by_product() -> dict[str, dict[str, bool]]:
    """The names of each product's experiments, and whether each is a sweep; a file that cannot be read is left to whoever runs it."""
    found: dict[str, dict[str, bool]] = {}
    for path in sorted((places.configs() / "experiments").glob("*.yaml")):
        with suppress(ConfigError):
            content = read_yaml(path)
            found.setdefault(str(content.get("product")), {})[path.stem] = bool(content.get("sweep"))
    return found


def _log(entry: Entry, declared: Experiment, outcome: Outcome) -> dict[str, Any]:
    """The outcome of one overlay, in MLflow, and as it is shown."""
    if outcome.comparison:
        entry.found(outcome.comparison)
    for counted in outcome.hindsight:
        entry.measured({f"current_{counted.what}": counted.current, f"changed_{counted.what}": counted.changed})
        entry.table(counted.what, counted.lines)
    effect = outcome.effect(declared.expected.metric if declared.expected else outcome.first_metric)
    sentence = " ".join(part for part in (*outcome.sentences, expectation(declared, effect)) if part)
    entry.tagged({LOOKED_AT: outcome.digest})
    entry.concluded(sentence, concluded(declared, effect))
    return {
        "sentence": sentence,
        "looks": entry.looks(outcome.digest),
        "means": _means(outcome.comparison),
        "rows": outcome.comparison.rows if outcome.comparison else 0,
        **{counted.what: counted.lines for counted in outcome.hindsight},
    }


def _sweep(
    registry: Registry, parent: Entry, declared: Experiment, ground: Ground, made: list[Trial], tell: Progress
) -> dict[str, Any]:
    """Every point as a run under the sweep's; one that was compared before, on the same days, is taken from there."""
    done = parent.done_points()
    digests = {sweeps.point_name(point): sweeps.point_digest(ground, changed) for point, changed in made}
    left = [changed for point, changed in made if digests[sweeps.point_name(point)] not in done]
    tried, fresh = [], compare(ground, left, tell)
    for place, (point, _) in enumerate(made, start=1):
        name = sweeps.point_name(point)
        if (digest := digests[name]) in done:
            tell(f"point {place} of {len(made)}, {name}: done before")
            tried.append(sweeps.Tried(point, ground.comparison(*parent.read(done[digest]))))
            continue
        tell(f"point {place} of {len(made)}, {name}")
        with written_down(registry, ground.current.name, name, point, {POINT: digest}, parent) as child:
            tried.append(sweeps.Tried(point, next(fresh)))
            child.found(tried[-1].comparison)
    lines, sentence = sweeps.table(tried, sweeps.metric_of(declared)), sweeps.sentence(tried, declared)
    parent.table("sweep", lines)
    parent.concluded(sentence, concluded(declared, sweeps.best_difference(tried, sweeps.metric_of(declared))))
    return {
        "sentence": sentence,
        "looks": parent.looks(ground.digest),
        "rows": tried[0].comparison.rows,
        "points": lines,
        "done_before": len(made) - len(left),
    }


def _means(comparison: Comparison | None) -> list[dict[str, Any]]:
    return [] if comparison is None else [{"recipe": name, **means} for name, means in comparison.means.items()]
