"""What a task means: how a prediction becomes a decision, what it costs, and how it is measured.

Gates, monitoring and reports speak to a `Task`; nothing outside this package knows what a class is, or how many numbers a prediction
has. Whatever the task, `log_loss` is the one loss of every gate and ledger, in nats, and `roc_auc` the one measure of order; people
are told the task's own words for them.
"""

from evergreen.config import ClassCosts, Costs, Product, UnitCosts
from evergreen.tasks.binary import Binary
from evergreen.tasks.multiclass import Multiclass
from evergreen.tasks.regression import Regression
from evergreen.tasks.task import Bools, Floats, Prior, Task, Words

__all__ = ["Binary", "Bools", "Floats", "Multiclass", "Prior", "Regression", "Task", "Words", "task_of"]


def task_of(product: Product) -> Task:
    """The task that a product declares."""
    costs, label = product.decision.costs, product.label
    if isinstance(costs, Costs):
        return Binary(costs)
    if isinstance(costs, ClassCosts):
        return Multiclass(costs, tuple(label.classes))
    assert isinstance(costs, UnitCosts) and label.spread is not None, "the product file was validated"
    return Regression(costs, label.spread)
