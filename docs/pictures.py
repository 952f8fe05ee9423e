"""Pictures of the real Dagster UI and of a health report, taken with headless Chromium.

    python -m docs.pictures [DAY]

Starts the webserver on EVERGREEN_HOME (default `.evergreen`; replay it first: `make run`), looks at the product's pages and writes
small PNGs to docs/pictures/. DAY is the day of the report; default: the newest one that has a page. Needs Chromium on PATH.
"""

import io
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from docs.browser import Page, find_browser, opened_page
from evergreen.errors import EvergreenError
from pipelines import places

PRODUCT = "flights"
FOLDER = places.REPOSITORY / "docs" / "pictures"
COLORS = 64
SETTLE = 1.5  # seconds until what was loaded is also drawn


def main() -> None:
    root = places.home() / PRODUCT
    pages = sorted((root / "reports").glob("????-??-??.html"))
    if not pages:
        raise EvergreenError(f"{root} has no health report: replay first (make run), or set EVERGREEN_HOME")
    if find_browser() is None:
        raise EvergreenError("no Chromium on PATH: install chromium, chromium-browser or google-chrome")
    day = sys.argv[1] if len(sys.argv) > 1 else pages[-1].stem
    decided = sorted(path.stem.removeprefix("day=") for path in (root / "evaluation_report").glob("day=*.json"))
    decided = [known for known in decided if known <= day]
    FOLDER.mkdir(exist_ok=True)
    with opened_page() as page:
        _take(page, "health_report", (root / "reports" / f"{day}.html").as_uri(), "What changed", 900, 1250)
        with _webserver() as server:
            asset = f"{server}/assets/{PRODUCT}"
            _take(page, "lineage", f"{server}/asset-groups/{PRODUCT}", "retrain_decision", 1500, 900)
            _take(page, "performance", f"{asset}/performance?view=partitions&partition={day}", "log_loss", 1400, 1000)
            if decided:
                newest = decided[-1]
                _take(
                    page,
                    "promotion",
                    f"{asset}/promotion?view=partitions&partition={newest}",
                    "asked for by",
                    1400,
                    900,
                )
                _take(page, "gates", f"{asset}/promotion?view=checks", "beats_baseline", 1400, 900)
                _take(
                    page,
                    "evaluation_report",
                    f"{asset}/evaluation_report?view=partitions&partition={newest}",
                    "precision_recall",
                    1400,
                    1400,
                )


def _take(page: Page, name: str, address: str, text: str, width: int, height: int) -> None:
    """A picture of an address, once the page shows a text."""
    page.open(address, width, height)
    page.wait_for(f"document.body && document.body.innerText.includes({text!r})")
    time.sleep(SETTLE)
    image = Image.open(io.BytesIO(page.picture())).convert("RGB")
    path = FOLDER / f"{name}.png"
    image.quantize(COLORS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(f"{path.relative_to(places.REPOSITORY)}  {path.stat().st_size / 1000:.0f} kB")


@contextmanager
def _webserver() -> Iterator[str]:
    """The Dagster webserver on this home, on a free port of loopback; its address, once it answers."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    command = [
        str(Path(sys.executable).parent / "dagster-webserver"),
        "-w",
        "workspace.yaml",
        "-h",
        "127.0.0.1",
        "-p",
        str(port),
    ]
    environment = os.environ | {"DAGSTER_HOME": str(places.home() / "dagster")}
    server = subprocess.Popen(
        command,
        cwd=places.REPOSITORY,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        _wait_for(address, server)
        yield address
    finally:
        os.killpg(server.pid, signal.SIGINT)
        server.wait(timeout=30)


def _wait_for(address: str, server: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        try:
            urllib.request.urlopen(f"{address}/server_info", timeout=5).close()
            return
        except OSError:
            time.sleep(0.3)
    raise EvergreenError(f"the webserver did not answer on {address} within 60 s")


if __name__ == "__main__":
    try:
        main()
    except EvergreenError as problem:
        sys.exit(f"pictures: {problem}")
