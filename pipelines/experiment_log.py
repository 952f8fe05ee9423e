"""Experiments in MLflow, one MLflow experiment a product: what is expected is written down before a run begins, what came of it after."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from evergreen.comparisons import MEASURES, RECIPES, Comparison
from pipelines.registry import Registry

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

POINT, LOOKED_AT, PARENT = "evergreen.point", "evergreen.evaluation_digest", "mlflow.parentRunId"
MOST_LISTED = 200
LONGEST = 500  # characters of a parameter; what is longer stands whole in experiment.yaml


def experiment_of(product: str) -> str:
    """The MLflow experiment that holds everything a product was tried with."""
    return f"{product}/experiments"


@dataclass
class Entry:
    """A run that is open. What is found is added to it; then it is finished."""

    client: "MlflowClient"
    experiment: str
    run_id: str

    def found(self, comparison: Comparison) -> None:
        """Both recipes' means, and the daily differences as metrics whose step is the place of the day."""
        from mlflow.entities import Metric

        means = {f"{name}_{measure}": comparison.means[name][measure] for name in RECIPES for measure in MEASURES}
        values = [Metric(name, value, 0, 0) for name, value in means.items()]
        values += [
            Metric(f"daily_{measure}", value, 0, place)
            for measure in MEASURES
            for place, value in enumerate(comparison.daily[measure])
        ]
        self.client.log_batch(self.run_id, values)
        self.client.set_tag(self.run_id, LOOKED_AT, comparison.digest)

    def measured(self, metrics: Mapping[str, float]) -> None:
        for name, value in metrics.items():
            self.client.log_metric(self.run_id, name, value)

    def tagged(self, tags: Mapping[str, str]) -> None:
        for name, text in tags.items():
            self.client.set_tag(self.run_id, name, text)

    def concluded(self, sentence: str, conclusion: Mapping[str, str]) -> None:
        """What came of it, for people and for the list of all experiments."""
        self.tagged(
            {"mlflow.note.content": sentence, **{f"evergreen.{name}": text for name, text in conclusion.items()}}
        )

    def text(self, name: str, content: str) -> None:
        self.client.log_text(self.run_id, content, name)

    def table(self, name: str, lines: Sequence[Mapping[str, Any]]) -> None:
        """A table as an artifact, CSV."""
        import pandas as pd

        self.text(f"{name}.csv", pd.DataFrame(list(lines)).to_csv(index=False))

    def done_points(self) -> dict[str, str]:
        """The runs of points that were ever finished, by the digest of what they compared."""
        runs = self.client.search_runs([self.experiment], f"tags.`{POINT}` != '' and attributes.status = 'FINISHED'")
        return {run.data.tags[POINT]: run.info.run_id for run in runs}

    def read(self, run_id: str) -> tuple[dict[str, dict[str, float]], dict[str, list[float]]]:
        """The means and the daily differences that a finished run holds."""
        metrics = self.client.get_run(run_id).data.metrics
        means = {name: {measure: metrics[f"{name}_{measure}"] for measure in MEASURES} for name in RECIPES}
        return means, {measure: self._history(run_id, f"daily_{measure}") for measure in MEASURES}

    def looks(self, digest: str) -> int:
        """How often these rows were looked at, this time included."""
        query = f"tags.`{LOOKED_AT}` = '{digest}'"
        return len(self.client.search_runs([self.experiment], query))

    def _history(self, run_id: str, metric: str) -> list[float]:
        history = self.client.get_metric_history(run_id, metric)
        return [point.value for point in sorted(history, key=lambda point: point.step)]


@contextmanager
def written_down(
    registry: Registry,
    product: str,
    name: str,
    parameters: Mapping[str, Any],
    tags: Mapping[str, str],
    parent: Entry | None = None,
) -> Iterator[Entry]:
    """A run with all that is known before it: finished when the block ends, failed where it raises.

    Runs of the same name that a killed process left open are marked as killed.
    """
    with registry.connected() as client:
        experiment = registry.experiment_id(client, experiment_of(product))
        lineage = {PARENT: parent.run_id} if parent else {}
        for left in client.search_runs(
            [experiment], f"attributes.run_name = '{name}' and attributes.status = 'RUNNING'"
        ):
            client.set_terminated(left.info.run_id, "KILLED")
        run = client.create_run(experiment, run_name=name, tags={**tags, **lineage})
        for key, value in parameters.items():
            client.log_param(run.info.run_id, key, str(value)[:LONGEST])
        try:
            yield Entry(client, experiment, run.info.run_id)
        except BaseException:
            client.set_terminated(run.info.run_id, "FAILED")
            raise
        client.set_terminated(run.info.run_id, "FINISHED")


def listed(registry: Registry, product: str) -> list[dict[str, Any]]:
    """Every experiment of a product that was run to its end, newest first: what was expected, and what came of it."""
    with registry.connected() as client:
        experiment = registry.experiment_id(client, experiment_of(product))
        runs = client.search_runs([experiment], "attributes.status = 'FINISHED'", max_results=MOST_LISTED)
        return [_line(run) for run in runs if PARENT not in run.data.tags]


def _line(run: "Run") -> dict[str, Any]:
    parameters, tags = run.data.params, run.data.tags
    return {
        "experiment": run.info.run_name,
        "as of": parameters.get("as_of", "–"),
        "expected": parameters.get("expected", "–"),
        "found": tags.get("evergreen.found", "–"),
        "judged": tags.get("evergreen.judged", "–"),
    }
