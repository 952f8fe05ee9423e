"""The command line's hand on who serves: `evergreen rollback | approve | reject | timeline`."""

import getpass
import json
import uuid
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from evergreen.config import Product
    from evergreen.ledger import Entry
    from evergreen.storage import Store
    from evergreen.timeline import Reign
    from evergreen.waits import Wait

serving_app = typer.Typer()
ProductName = Annotated[
    str, typer.Argument(metavar="PRODUCT", help="the name of a file in configs/products, without .yaml")
]
Reason = Annotated[str, typer.Option(help="why, for those who read the ledger later")]
Voter = Annotated[str, typer.Option(help="who says so")]
WaitingDecision = Annotated[str | None, typer.Option(help="the decision's id; default: the one that waits")]


@serving_app.command()
def rollback(
    product: ProductName,
    reason: Reason,
    to: Annotated[int | None, typer.Option(help="the version; default: the champion before this one")] = None,
    by: Annotated[str | None, typer.Option(help="who asks; default: the user of this machine")] = None,
) -> None:
    """Put an earlier version back: model, features and threshold together; the next scoring uses it."""
    from evergreen.rollback import Request, roll_back

    found, store = _opened(product)
    request = Request(uuid.uuid4().hex[:12], to, reason, f"hand ({by or getpass.getuser()})")
    at = datetime.now(UTC).isoformat(timespec="seconds")
    entry = roll_back(store.ledger("promotions"), store, found, request, at, lambda record: _fetch(found, record))
    _tell(found, entry)


@serving_app.command()
def approve(
    product: ProductName,
    by: Voter,
    reason: Reason,
    decision: WaitingDecision = None,
) -> None:
    """Say yes to the candidate that waits: it serves from the first period that is not yet scored."""
    _answer(product, True, by, reason, decision)


@serving_app.command()
def reject(
    product: ProductName,
    by: Voter,
    reason: Reason,
    decision: WaitingDecision = None,
) -> None:
    """Say no to the candidate that waits, for approval or in shadow: serving goes on as it is."""
    _answer(product, False, by, reason, decision)


def _answer(product: str, yes: bool, by: str, reason: str, decision: str | None) -> None:
    from evergreen.approval import Answer, answer

    found, store = _opened(product)
    said = Answer(uuid.uuid4().hex[:12], yes, decision, reason, by)
    at = datetime.now(UTC).isoformat(timespec="seconds")
    entry = answer(store.ledger("promotions"), store, found, said, at, lambda record: _fetch(found, record))
    _tell(found, entry)


def _tell(product: "Product", entry: "Entry") -> None:
    """Say what the ledger has from now on, and let the aliases follow."""
    from evergreen.promotion import sentence

    print(
        f"{sentence(entry)}\nFrom {entry['effective_from']} on, the first {product.time.word} that is not yet scored.",
        flush=True,
    )
    _follow(product, entry["serving"])


@serving_app.command()
def timeline(
    product: ProductName = "flights",
    as_json: Annotated[bool, typer.Option("--json", help="for a program to read")] = False,
) -> None:
    """Which version served from when to when, by what evidence, moved by whom; the ledger's chain of digests is checked."""
    from evergreen.timeline import timeline as served
    from evergreen.waits import waits_of

    found, store = _opened(product)
    entries = store.ledger("promotions").entries()
    reigns, waits = served(entries, store, found.time.start), waits_of(entries)
    if as_json:
        print(
            json.dumps(
                {
                    "entries": len(entries),
                    "reigns": [reign.as_dict() for reign in reigns],
                    "stages": [wait.as_dict() for wait in waits],
                },
                default=str,
                indent=1,
            )
        )
        return
    _print_reigns(reigns, found.time.word)
    for wait in waits:
        print(_waited(wait))
    head = f", the newest is {entries[-1]['digest']}" if entries else ""
    print(
        f"Checked: each of {len(entries)} ledger entries carries the digest of the one before{head}; "
        f"every scored {found.time.word} names one."
    )


def _print_reigns(reigns: "list[Reign]", word: str) -> None:
    from evergreen.timeline import server_name

    for reign in reigns:
        last = f"to {reign.last}" if reign.last else "on        "
        days = f"{reign.days} scored {word}{'' if reign.days == 1 else 's'}"
        print(f"{reign.first} {last}  {server_name((reign.served_by, reign.version))}, {days}")
        for other, count in reign.otherwise.items():
            print(f"    on {count} of these the {other} answered")
        print(f"    {reign.evidence}")


def _waited(wait: "Wait") -> str:
    what = f"{wait.stage} of v{wait.version}, decided in {wait.decision}"
    if wait.last is None:
        return f"{wait.first} on             {what}: it lasts"
    span = f"to {wait.last}" if wait.days else "             "
    return f"{wait.first} {span}  {what}: {wait.ended} after {wait.days} day{'' if wait.days == 1 else 's'}"


def _opened(name: str) -> "tuple[Product, Store]":
    """A product and its store, without Dagster: a rollback is asked for in a hurry."""
    from evergreen.product_files import find_product
    from evergreen.storage import Store
    from pipelines import places

    return find_product(places.configs() / "products", name), Store(places.home() / name)


def _fetch(product: "Product", record: dict[str, Any]) -> None:
    from pipelines.registry import registry_here

    registry_here().fetch(product.name, record["version"])


def _follow(product: "Product", serving: dict[str, Any]) -> None:
    """Move MLflow's aliases; what is recorded counts, whether or not MLflow answers."""
    from pipelines.registry import registry_here

    if problem := registry_here().follow(product.name, serving):
        print(f"{problem}\nThe next daily run tries again.")
