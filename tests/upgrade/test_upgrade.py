"""The upgrade path: a clone of an earlier release, with a product, code and changed configs of its own, merges this commit.

The clone is made and merged with git as its owner would; then its own tests run in what came out.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from tests.evergreen.builders import REPOSITORY, SHOP

RELEASE = "5c0873645793005806c5e6f2e11f75ef4f12d44b"  # 0.3.0, whose product files have version 1

SOURCE = '''\
"""Orders, from our own system; with a feature of our own."""

from datetime import date

import pandas as pd


def read(day: date) -> tuple[pd.DataFrame, pd.DataFrame]:
    events = pd.DataFrame({"order_id": [f"{day}-1"], "ordered_at": [f"{day}T12:00:00Z"], "amount": [12.5], "color": ["red"]})
    return events.assign(large=(events.amount > 10).astype(float)), pd.DataFrame(columns=["order_id", "told_at", "returned"])
'''
TEST = """\
from datetime import date

from evergreen.experiments import load_experiment, trials
from evergreen.migrations import migrated_text
from evergreen.product_files import load_products
from own.orders import read
from pipelines import places
from pipelines.products import build_definitions
from pipelines.resources import Home

PRODUCTS = load_products(places.configs() / "products")
ORDERS = PRODUCTS["orders"]


def test_our_feature():
    assert read(date(2024, 1, 1))[0].large.to_list() == [1.0]


def test_our_source_is_read_as_our_product_declares(tmp_path):
    delivered = Home(path=str(tmp_path)).source(ORDERS).read(date(2024, 1, 1))
    assert "large" in delivered.events.columns


def test_our_files_are_read_in_the_newer_words_and_can_be_rewritten():
    assert (ORDERS.time.runs_at, ORDERS.validation.rows_per_period.at_least) == ("0 5 * * *", 1)
    assert "flights" in PRODUCTS and "flights_live" not in PRODUCTS
    text = (places.configs() / "products" / "orders.yaml").read_text()
    assert "runs_at: 0 5 * * *" in migrated_text(text, "orders.yaml")
    [(_, changed)] = trials(load_experiment(places.configs() / "experiments", "stronger_penalty"), ORDERS, "ours")
    assert changed.training.model.C == 0.5


def test_our_product_has_its_loop():
    names = {key.path[-1] for key in build_definitions().resolve_asset_graph().get_all_asset_keys() if key.path[0] == "orders"}
    assert {"raw_batch", "predictions", "promotion", "health_report"} <= names
"""
ORDERS = {
    **SHOP,
    "version": 1,
    "name": "orders",
    "source": {"kind": "python", "function": "own.orders:read"},
    "time": {**SHOP["time"], "daily_job": "0 5 * * *"},
    "features": {"numeric": ["amount", "large"], "categorical": ["color"]},
    "validation": {"rows_per_day": {"at_least": 1}},
}
EXPERIMENT = {
    "version": 1,
    "name": "stronger_penalty",
    "product": "orders",
    "hypothesis": "A stronger penalty costs nothing on few orders.",
    "changes": {"training": {"model": {"C": 0.5}}},
}
EDITS = {
    "configs/products/flights.yaml": ("false_negative: 10,", "false_negative: 12,"),
    "configs/experiments/recent_window.yaml": ("window: 42d", "window: 35d"),
}


def git(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    who = ["-c", "user.name=clone", "-c", "user.email=clone@example.org", "-c", "commit.gpgsign=false"]
    return subprocess.run(["git", *who, *arguments], cwd=folder, capture_output=True, text=True, check=check)


def python(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("EVERGREEN_", "PYTEST_"))}
    environment |= {"EVERGREEN_HOME": str(clone / "home"), "PYTHONPATH": str(clone)}
    return subprocess.run(
        [sys.executable, "-m", *arguments], cwd=clone, env=environment, capture_output=True, text=True, check=False
    )


def changed(clone: Path) -> None:
    """What a clone does in its first months, committed."""
    (clone / "own" / "tests").mkdir(parents=True)
    (clone / "own" / "orders.py").write_text(SOURCE)
    (clone / "own" / "tests" / "test_orders.py").write_text(TEST)
    (clone / "own" / "requirements.in").write_text("# what our own code needs\n")
    (clone / "configs" / "products" / "orders.yaml").write_text(yaml.safe_dump(ORDERS, sort_keys=False))
    (clone / "configs" / "experiments" / "stronger_penalty.yaml").write_text(
        yaml.safe_dump(EXPERIMENT, sort_keys=False)
    )
    (clone / "configs" / "leave_out.txt").write_text("flights_live\n")
    for name, (before, after) in EDITS.items():
        text = (clone / name).read_text()
        assert text.count(before) == 1
        (clone / name).write_text(text.replace(before, after))
    git(clone, "add", "-A")
    git(clone, "commit", "-qm", "Our orders")


@pytest.fixture(scope="module")
def clone(tmp_path_factory) -> Path:
    if git(REPOSITORY, "merge-base", "--is-ancestor", RELEASE, "HEAD", check=False).returncode:
        pytest.skip(f"the history here does not reach back to {RELEASE[:7]} (0.3.0): a shallow clone, or no repository")
    folder = tmp_path_factory.mktemp("clone") / "clone"
    git(REPOSITORY, "clone", "-q", "--shared", str(REPOSITORY), str(folder))
    git(folder, "checkout", "-q", "-b", "ours", RELEASE)
    changed(folder)
    return folder


def test_a_clone_merges_this_commit_without_a_conflict_and_its_own_tests_pass(clone):
    merged = git(clone, "merge", "-q", "--no-edit", "origin/HEAD", check=False)
    assert merged.returncode == 0, merged.stdout + merged.stderr
    assert git(clone, "status", "--porcelain").stdout == ""
    assert all(after in (clone / name).read_text() for name, (_, after) in EDITS.items()), (
        "what the clone changed is kept"
    )

    tested = python(clone, "pytest", "-q", "-p", "no:cacheprovider", "-n", "0", "own")
    assert tested.returncode == 0, tested.stdout[-3000:]
    assert tested.stdout.startswith("....")
