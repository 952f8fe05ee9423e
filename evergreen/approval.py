"""A person's yes or no to a candidate that passed every gate: on the record, with who and why."""

from collections.abc import Callable
from dataclasses import dataclass

from evergreen.config import Product
from evergreen.errors import StageError
from evergreen.ledger import Entry, Ledger
from evergreen.promotion import PROMOTED, REFUSED
from evergreen.rollback import Record, verify
from evergreen.storage import Store
from evergreen.waits import ending, waiting


@dataclass(frozen=True)
class Answer:
    """`identity` tells this answer from any other: given twice, it is recorded once. `decision` is a ledger key, None whichever waits."""

    identity: str
    yes: bool
    decision: str | None
    reason: str
    by: str


def answer(
    ledger: Ledger, store: Store, product: Product, said: Answer, at: str, fetch: Callable[[Record], None]
) -> Entry:
    """Record an answer, or return what is recorded of it; `at` is the moment, ISO; `fetch` gets a model file that is lost.

    A no is taken in shadow too. Raises StageError where no reason or name is given, or nobody waits for this answer; RollbackError
    where the candidate cannot be loaded as it was judged.
    """

    def content(entries: list[Entry]) -> Entry:
        _refuse_wrong(entries, said, product)
        given = {"reason": said.reason, "requested_by": f"hand ({said.by})", "at": at}
        entry = ending(
            "approval", PROMOTED if said.yes else REFUSED, entries, store.days("predictions"), product, given
        )
        if said.yes:
            verify(store, entry["candidate"], fetch)
        return entry

    if not (said.reason.strip() and said.by.strip()):
        raise StageError("an answer needs a name and a reason, for those who read the ledger later: --by and --reason")
    return ledger.append(f"{product.name}/approval/{said.identity}", content)


def _refuse_wrong(entries: list[Entry], said: Answer, product: Product) -> None:
    found = waiting(entries)
    if found is None:
        return
    role, record, decided = found
    if said.decision not in (None, decided["key"]):
        raise StageError(f"{said.decision} does not wait, {decided['key']} (version {record['version']}) does")
    if said.yes and role == "shadow":
        needed = f"{product.shadow.days} whole mature {product.time.block}s"
        raise StageError(
            f"version {record['version']} is still in shadow, for {needed}; it can be refused, not approved"
        )
