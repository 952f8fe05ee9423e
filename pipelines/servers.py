"""The two user interfaces, side by side, until someone stops them. Both listen on loopback only."""

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

from evergreen.errors import EvergreenError
from pipelines import places
from pipelines.instance import forget_daemon, opened_instance, refuse_daemon

HOST = "127.0.0.1"
PATIENCE = 15.0  # seconds that servers have to end
WORKSPACE = places.REPOSITORY / "workspace.yaml"


def serve(dagster_port: int, mlflow_port: int) -> None:
    """Run Dagster (webserver and daemon) and, where its store is a database, MLflow; returns when one of them ends.

    Raises EvergreenError where a daemon works on the home already, a port is taken, or both are asked to share one.
    """
    if dagster_port == mlflow_port:
        raise EvergreenError(f"--port and --mlflow-port are both {dagster_port}: each server needs one of its own")
    with opened_instance() as instance:
        refuse_daemon(instance, places.home())
    os.environ["EVERGREEN_DAGSTER_URL"] = f"http://{HOST}:{dagster_port}"
    os.environ["EVERGREEN_MLFLOW_URL"] = f"http://{HOST}:{mlflow_port}"
    for port in (dagster_port, mlflow_port):
        _refuse_busy(port)
    commands = [webserver_command(dagster_port), daemon_command()]
    if places.is_database(places.tracking_uri()):
        commands.append(_mlflow_command(mlflow_port))
    print(
        f"Dagster: {os.environ['EVERGREEN_DAGSTER_URL']}   MLflow: {places.mlflow_url()}   (Ctrl-C stops all)",
        flush=True,
    )
    for asked_to_stop in (signal.SIGINT, signal.SIGTERM):
        signal.signal(asked_to_stop, _interrupt)
    running = [subprocess.Popen(command, cwd=places.REPOSITORY, start_new_session=True) for command in commands]
    try:
        os.waitpid(-1, 0)
    except KeyboardInterrupt:
        pass
    finally:
        for asked_again in (signal.SIGINT, signal.SIGTERM):  # an impatient second Ctrl-C must not leave servers behind
            signal.signal(asked_again, signal.SIG_IGN)
        _stop(running)
        forget_daemon()


def webserver_command(port: int) -> list[str]:
    return [_script("dagster-webserver"), "-w", str(WORKSPACE), "-h", HOST, "-p", str(port)]


def daemon_command() -> list[str]:
    return [_script("dagster-daemon"), "run", "-w", str(WORKSPACE)]


def _script(name: str) -> str:
    """A command that was installed beside this Python."""
    return str(Path(sys.executable).parent / name)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _mlflow_command(port: int) -> list[str]:
    """One worker and no job runner: two processes instead of fifteen. The store's URI, a secret, stays off the command line."""
    os.environ.setdefault("MLFLOW_SERVER_ENABLE_JOB_EXECUTION", "false")
    os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
    (places.home() / "mlflow").mkdir(parents=True, exist_ok=True)
    os.environ["MLFLOW_BACKEND_STORE_URI"] = places.tracking_uri()
    artifacts = ["--artifacts-destination", str(places.home() / "mlflow" / "artifacts")]
    return [_script("mlflow"), "server", "--host", HOST, "--port", str(port), "--workers", "1", *artifacts]


def _refuse_busy(port: int) -> None:
    with socket.socket() as probe:
        if probe.connect_ex((HOST, port)) == 0:
            raise EvergreenError(
                f"port {port} is in use: stop what listens there, or choose another with --port or --mlflow-port"
            )


def _stop(processes: "list[subprocess.Popen[bytes]]") -> None:
    """Ask every process group to end, as Ctrl-C in its own terminal would; what has not ended in time is killed."""
    living = [process for process in processes if process.poll() is None]
    for process in living:
        os.killpg(process.pid, signal.SIGINT)
    end = time.monotonic() + PATIENCE
    for process in living:
        try:
            process.wait(timeout=max(0.0, end - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
