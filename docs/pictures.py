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
COLORS = 128
SETTLE = 4  # seconds until what was loaded is also drawn
OPEN = """[...document.querySelectorAll('tr')].filter(row => row.innerText.startsWith(%r)).flatMap(row =>
  [...row.querySelectorAll('*')].filter(part => part.innerText == '[Show Markdown]')).at(-1)?.click()"""


def main() -> None:
    root = places.home() / PRODUCT
    pages = sorted((root / "reports").glob("????-??-??.html"))
    if not pages:
        raise EvergreenError(f"{root} has no health report: replay first (make run), or set EVERGREEN_HOME")
    if find_browser() is None:
        raise EvergreenError("no Chromium on PATH: install chromium, chromium-browser or google-chrome")
    day = sys.argv[1] if len(sys.argv) > 1 else pages[-1].stem
    FOLDER.mkdir(exist_ok=True)
    newest = _newest_decision(root, day)
    with opened_page() as page:
        _take(page, "health_report", (root / "reports" / f"{day}.html").as_uri(), "What changed", (900, 1250))
        with _webserver() as server:
            asset = f"{server}/assets/{PRODUCT}"
            _take(
                page,
                "lineage",
                f"{server}/locations/__repository__@evergreen/asset-groups/{PRODUCT}/lineage",
                "retrain_decision",
                (1500, 800),
            )
            for name, asset_name, partition, chart in (
                ("performance", "performance", day, "live"),
                ("by_day", "health_report", day, "by_day"),
                ("drift", "drift", day, "by_feature"),
                ("evaluation_report", "evaluation_report", newest, "precision_recall"),
            ):
                address = f"{asset}/{asset_name}?view=partitions&partition={partition}"
                _take(page, name, address, chart, (1300, 800), chart)
            decision = f"{asset}/promotion?view=partitions&partition={newest}"
            _take(page, "promotion", decision, "asked for by", (1300, 800))
            _take(page, "gates", f"{asset}/promotion?view=checks", "beats_baseline", (1300, 800))


def _newest_decision(root: Path, day: str) -> str:
    decided = sorted(path.stem.removeprefix("day=") for path in (root / "evaluation_report").glob("day=*.json"))
    known = [found for found in decided if found <= day]
    if not known:
        raise EvergreenError(f"{root} has no retrain up to {day}: replay further, there are no gates to show yet")
    return known[-1]


def _take(page: Page, name: str, address: str, text: str, size: tuple[int, int], chart: str = "") -> None:
    """A picture of an address, once the page shows a text; `chart` is the metadata entry to open, none by default."""
    page.open(address, *size)
    page.wait_for(f"document.body && document.body.innerText.includes({text!r})")
    time.sleep(SETTLE)
    if chart:
        page.value(OPEN % chart)
        page.wait_for("[...document.images].some(image => image.src.startsWith('data:') && image.naturalWidth)")
        time.sleep(1)
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
