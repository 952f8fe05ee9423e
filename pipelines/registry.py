"""MLflow: where trained models are logged and registered. Nothing else speaks to it, and it is imported only when it is used.

Scoring does not depend on it: a registered file is kept in the home under its digest, and is fetched only where it is missing.
"""

import json
import logging
import os
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache, partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg
from pydantic import Field

from evergreen.config import Product
from evergreen.databases import connected, first_line, hidden
from evergreen.digests import digest_file
from evergreen.errors import DatabaseError, RegistryError
from evergreen.promotion import ROLES, WAITING
from evergreen.smoke import new_process
from evergreen.storage import Store, write_bytes
from pipelines import places
from pipelines.alias_smoke import MODEL_FILE

if TYPE_CHECKING:
    import pandas as pd
    from mlflow import MlflowClient
    from mlflow.exceptions import MlflowException
    from mlflow.models import ModelSignature
    from sklearn.pipeline import Pipeline

    from evergreen.tasks import Floats

CANDIDATE = "candidate"
"""The alias of the newest candidate, which it keeps whatever is decided; it says nothing about who serves."""
REQUIREMENTS = ["scikit-learn", "xgboost", "skops", "pandas"]
"""What it takes to read a model file, beside this repository: logged in the versions that wrote it."""
MADE_BY = ("training_digest", "recipe", "model")
"""Tags by which a version is known again that an interrupted attempt registered."""
ALIASES = {role: role for role in (*ROLES, *WAITING.values())} | {"first": "never_retrained"}


@dataclass(frozen=True)
class TrainingRun:
    """What is logged of one training: `role` is candidate, baseline or refit, `decision` its retrain; `pictures` are files by name;
    `packages` are those that the model file needs trusted beside those that always are."""

    product: str
    decision: str
    role: str
    parameters: Mapping[str, Any]
    metrics: Mapping[str, float]
    tags: Mapping[str, str]
    pictures: Mapping[str, bytes]
    packages: Sequence[str] = ()


class Registry(dg.ConfigurableResource):
    """The tracking server and the model registry of one installation."""

    home: str
    tracking_uri: str = Field(repr=False)

    @property
    def local(self) -> bool:
        """Whether artifacts lie in the home, and not on a tracking server."""
        return places.is_database(self.tracking_uri)

    def log(self, run: TrainingRun, pipeline: "Pipeline", example: "pd.DataFrame") -> dict[str, Any]:
        """Log a training run with its model, and register one version.

        Returns `version`, `run_id`, `experiment` and `digest` (SHA-256 of the model file). A version of the same decision,
        role, training set, recipe and model that an interrupted attempt registered is returned instead of a second one. Raises
        RegistryError where MLflow does not answer.
        """
        with self.connected() as client:
            found = self._registered(client, run)
            if found is None:
                self._close_interrupted(client, run)
                found = self._log_and_register(client, run, pipeline, example)
        return {**found, "digest": digest_file(self._fetch(run.product, found["version"]))}

    def log_evaluation(
        self, run_id: str, metrics: Mapping[str, float], tags: Mapping[str, str], pictures: Mapping[str, bytes]
    ) -> None:
        """Add what the judge found to a training's run."""
        with self.connected() as client:
            from mlflow.entities import Metric, RunTag

            now = int(time.time() * 1000)
            client.log_batch(
                run_id,
                [Metric(metric, value, now, 0) for metric, value in metrics.items()],
                tags=[RunTag(tag, text) for tag, text in tags.items()],
            )
            _log_pictures(client, run_id, pictures)

    def log_text(self, run_id: str, text: str, file: str) -> None:
        """Keep a text with a training's run."""
        with self.connected() as client:
            client.log_text(run_id, text, file)

    def load(self, product: str, record: Mapping[str, Any]) -> "Pipeline":
        """The model of a ledger record: from the home, or fetched where it is missing; its digest is checked before it is loaded.

        Raises ModelError or RegistryError.
        """
        path = self._kept(product, record["digest"])
        if not path.exists():
            self.fetch(product, record["version"])
        return _load(path, record["digest"], _packages(record))

    def fetch(self, product: str, version: int) -> None:
        """Copy a registered model file into the home, over one that was lost or damaged there. Raises RegistryError."""
        with self.connected():
            self._fetch(product, version)

    def reload(self, product: str, record: Mapping[str, Any]) -> "Pipeline":
        """The model as the registry has it now, not as the home kept it."""
        from evergreen import models

        with self.connected(), tempfile.TemporaryDirectory() as folder:
            file = self._download(product, record["version"], Path(folder))
            return models.load(file, record["digest"], _packages(record))

    def examine(self, product: Product, record: Mapping[str, Any], rows: "pd.DataFrame") -> dict[str, Any]:
        """What the gates ask of a version's file: see `evergreen.model_files.examine`. It is the `candidate` from now on."""
        from evergreen import model_files

        self.set_alias(product.name, CANDIDATE, record["version"])
        path, fetched = self._kept(product.name, record["digest"]), partial(self.reload, product.name, record)
        arguments = [product.name, CANDIDATE, record["digest"], ",".join(_packages(record))]
        ask = partial(new_process, "pipelines.alias_smoke", arguments, environment=os.environ)
        return model_files.examine(path, self.load(product.name, record), fetched, ask, rows, product)

    def project(self, product: str, serving: Mapping[str, Any]) -> list[str]:
        """Make the registry's aliases say what the ledger says; returns the aliases that had to be moved."""
        wanted = _wanted_aliases(serving)
        moved = self.misplaced(product, serving)
        with self.connected() as client:
            for alias in moved:
                if alias in wanted:
                    client.set_registered_model_alias(product, alias, wanted[alias])
                else:
                    client.delete_registered_model_alias(product, alias)
        write_bytes(json.dumps(wanted).encode(), self._projected(product))
        return moved

    def set_alias(self, product: str, alias: str, version: int) -> None:
        with self.connected() as client:
            client.set_registered_model_alias(product, alias, str(version))

    def follow(self, product: str, serving: Mapping[str, Any]) -> str | None:
        """Project where the ledger has moved since the last time, which a kill or a silent MLflow may have prevented.

        Returns why that failed, None where all is well: what the aliases say decides nothing, and the next day tries again.
        """
        marker = self._projected(product)
        if not serving or (marker.exists() and json.loads(marker.read_text()) == _wanted_aliases(serving)):
            return None
        try:
            self.project(product, serving)
        except RegistryError as problem:
            return f"MLflow's aliases are left behind the ledger: {problem}"
        return None

    def _projected(self, product: str) -> Path:
        """What the aliases were last made to say."""
        return Path(self.home) / product / "aliases.json"

    def misplaced(self, product: str, serving: Mapping[str, Any]) -> list[str]:
        """The aliases of ours that do not say what the ledger says."""
        wanted, current = _wanted_aliases(serving), self.aliases(product)
        if current is None:
            return []
        return [alias for alias in ALIASES.values() if str(current.get(alias)) != str(wanted.get(alias))]

    def aliases(self, product: str) -> dict[str, str] | None:
        """Every alias of a product, ours and others', with its version; None where nothing is registered. Raises RegistryError."""
        from mlflow.exceptions import MlflowException

        with self.connected() as client:
            try:
                return dict(client.get_registered_model(product).aliases)
            except MlflowException as problem:
                if _is_absent(problem):
                    return None
                raise

    def tag_version(self, product: str, version: int, tag: str, text: str) -> None:
        with self.connected() as client:
            client.set_model_version_tag(product, str(version), tag, text)

    def describe_version(self, product: str, version: int, text: str) -> None:
        with self.connected() as client:
            client.update_model_version(product, str(version), text)

    def local_files(self, product: str) -> list[Path]:
        """The model files that MLflow keeps in this home; none where the tracking server keeps them elsewhere."""
        return sorted(self._artifacts(product).glob(f"models/*/artifacts/{MODEL_FILE}"))

    def kept_files(self, product: str) -> list[Path]:
        """The model files that scoring reads, each named by its digest."""
        return sorted((Path(self.home) / product / "models").glob("*.skops"))

    def run_url(self, record: Mapping[str, Any]) -> str:
        """The page of the run that trained a version."""
        return f"{places.mlflow_url()}/#/experiments/{record['experiment']}/runs/{record['run_id']}"

    def _log_and_register(
        self, client: "MlflowClient", run: TrainingRun, pipeline: "Pipeline", example: "pd.DataFrame"
    ) -> dict[str, Any]:
        import mlflow

        from evergreen.models import answering
        from evergreen.trust import types_in

        method = answering(pipeline)
        tags = {**run.tags, "evergreen.decision": run.decision, "evergreen.role": run.role}
        with mlflow.start_run(
            experiment_id=self.experiment_id(client, run.product),
            run_name=f"{run.role} {run.decision.split('/')[-1]}",
            tags=tags,
        ) as active:
            mlflow.log_params(dict(run.parameters))
            mlflow.log_metrics(dict(run.metrics))
            _log_pictures(client, active.info.run_id, run.pictures)
            logged = mlflow.sklearn.log_model(
                pipeline,
                name="model",
                serialization_format="skops",
                skops_trusted_types=types_in(pipeline, run.packages),
                signature=_signature(example, getattr(pipeline, method)(example)),
                pip_requirements=[f"{name}=={version(name)}" for name in REQUIREMENTS],
                pyfunc_predict_fn=method,
            )
            self._ensure_registered_model(client, run.product)
            registered = client.create_model_version(
                run.product,
                logged.model_uri,
                active.info.run_id,
                tags={name: value for name, value in tags.items() if name.startswith("evergreen.")},
                model_id=logged.model_id,
            )
        return {
            "version": int(registered.version),
            "run_id": active.info.run_id,
            "experiment": active.info.experiment_id,
        }

    def _registered(self, client: "MlflowClient", run: TrainingRun) -> dict[str, Any] | None:
        versions = client.search_model_versions(
            f"name = '{run.product}' and tags.`evergreen.decision` = '{run.decision}' and tags.`evergreen.role` = '{run.role}'"
        )
        same = [
            v
            for v in versions
            if all(v.tags.get(f"evergreen.{name}") == run.tags[f"evergreen.{name}"] for name in MADE_BY)
        ]
        if not same:
            return None
        experiment = client.get_run(same[0].run_id).info.experiment_id
        return {"version": int(same[0].version), "run_id": same[0].run_id, "experiment": experiment}

    def _close_interrupted(self, client: "MlflowClient", run: TrainingRun) -> None:
        """Runs that an earlier attempt at this training left open are marked as killed."""
        query = f"tags.`evergreen.decision` = '{run.decision}' and tags.`evergreen.role` = '{run.role}' and attributes.status = 'RUNNING'"
        for left in client.search_runs([self.experiment_id(client, run.product)], query):
            client.set_terminated(left.info.run_id, "KILLED")

    def experiment_id(self, client: "MlflowClient", name: str) -> str:
        """The MLflow experiment of this name, made where there is none."""
        experiment = client.get_experiment_by_name(name)
        if experiment is not None:
            return str(experiment.experiment_id)
        artifacts = str(self._artifacts(name)) if self.local else None
        return str(client.create_experiment(name, artifacts))

    def _artifacts(self, experiment: str) -> Path:
        return Path(self.home) / "mlflow" / "artifacts" / experiment

    def _ensure_registered_model(self, client: "MlflowClient", name: str) -> None:
        from mlflow.exceptions import MlflowException

        try:
            client.get_registered_model(name)
        except MlflowException as problem:
            if not _is_absent(problem):
                raise
            client.create_registered_model(name)

    def _kept(self, product: str, digest: str) -> Path:
        return Store(Path(self.home) / product).model_path(digest)

    def _fetch(self, product: str, version: int) -> Path:
        """Copy a registered model file into the home, under its digest."""
        with tempfile.TemporaryDirectory() as folder:
            file = self._download(product, version, Path(folder))
            kept = self._kept(product, digest_file(file))
            write_bytes(file.read_bytes(), kept)
        return kept

    def _download(self, product: str, version: int, folder: Path) -> Path:
        import mlflow

        place = Path(mlflow.artifacts.download_artifacts(f"models:/{product}/{version}", dst_path=str(folder)))
        return place / MODEL_FILE

    @contextmanager
    def connected(self) -> "Iterator[MlflowClient]":
        """An MLflow client; whatever MLflow raises leaves as RegistryError with the way out."""
        for name, value in {
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
            "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",
            "MLFLOW_HTTP_REQUEST_TIMEOUT": "15",
        }.items():
            os.environ.setdefault(name, value)
        if self.tracking_uri.startswith("sqlite:///"):
            Path(self.tracking_uri.removeprefix("sqlite:///")).parent.mkdir(parents=True, exist_ok=True)
        logging.getLogger("alembic").setLevel(logging.WARNING)
        import mlflow
        from mlflow.exceptions import MlflowException

        logging.getLogger("mlflow").setLevel(logging.ERROR)
        self._refuse_unreachable()
        try:
            mlflow.set_tracking_uri(self.tracking_uri)
            yield mlflow.MlflowClient(self.tracking_uri)
        except (MlflowException, OSError) as problem:
            raise RegistryError(
                f"MLflow at {hidden(self.tracking_uri)} does not answer as it should ({first_line(problem, self.tracking_uri)}): "
                "start that server, or unset MLFLOW_TRACKING_URI to use the SQLite file in EVERGREEN_HOME, and run the same day "
                "again; scoring goes on meanwhile"
            ) from problem

    def _refuse_unreachable(self) -> None:
        """MLflow itself would try a database that does not answer for a hundred seconds."""
        if self.tracking_uri.startswith("sqlite") or not places.is_database(self.tracking_uri):
            return
        try:
            with connected(self.tracking_uri, places.TRACKING_URI):
                pass
        except DatabaseError as problem:
            raise RegistryError(f"{problem}, and run the same day again; scoring goes on meanwhile") from None


def _is_absent(problem: "MlflowException") -> bool:
    """Whether MLflow answered that there is no such thing; silence says nothing about what is there."""
    return str(problem.error_code) == "RESOURCE_DOES_NOT_EXIST"


def _log_pictures(client: "MlflowClient", run_id: str, pictures: Mapping[str, bytes]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for name, content in pictures.items():
            (Path(folder) / name).write_bytes(content)
        client.log_artifacts(run_id, folder)


def _signature(example: "pd.DataFrame", answers: "Floats") -> "ModelSignature":
    """Numbers are doubles, dates datetimes, everything else texts; any value may be missing, whatever the example shows."""
    from mlflow.models import ModelSignature, infer_signature
    from mlflow.types.schema import ColSpec, Schema

    kinds = {"f": "double", "M": "datetime"}
    columns = [
        ColSpec(kinds.get(kind.kind, "string"), str(name), required=False) for name, kind in example.dtypes.items()
    ]
    return ModelSignature(inputs=Schema(columns), outputs=infer_signature(example, answers).outputs)


def registry_here() -> Registry:
    """The registry of this installation, outside a run."""
    return Registry(home=str(places.home()), tracking_uri=places.tracking_uri())


def _packages(record: Mapping[str, Any]) -> tuple[str, ...]:
    """Packages whose types a version's file may hold beside those that always may, as its training recorded them."""
    return tuple(record.get("packages", ()))


def _wanted_aliases(serving: Mapping[str, Any]) -> dict[str, str]:
    return {ALIASES[role]: str(serving[role]["version"]) for role in ALIASES if serving.get(role)}


@lru_cache(maxsize=16)
def _load(path: Path, digest: str, packages: tuple[str, ...]) -> "Pipeline":
    from evergreen import models

    return models.load(path, digest, packages)
