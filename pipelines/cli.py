"""The command line: `evergreen replay | status | alerts | explain | evaluation-set | experiment | validate-config | ui`, who
serves, and the care of a home.

Heavy imports wait inside the commands, so that `--help` answers at once.
"""

import logging
import sys
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from evergreen.errors import EvergreenError
from pipelines import places
from pipelines.care_cli import care_app
from pipelines.config_cli import config_app
from pipelines.evaluation_cli import evaluation_app
from pipelines.experiment_cli import experiment_app
from pipelines.new_cli import new_app
from pipelines.serving_cli import serving_app

if TYPE_CHECKING:
    from evergreen.config import Product
    from pipelines.resources import Home

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Continual learning that stays right in production.",
)
app.add_typer(serving_app)
app.add_typer(care_app)
app.add_typer(config_app)
app.add_typer(evaluation_app)
app.add_typer(experiment_app)
app.add_typer(new_app)
ProductName = Annotated[
    str, typer.Argument(metavar="PRODUCT", help="the name of a file in configs/products, without .yaml")
]


@app.command()
def replay(
    product: ProductName = "flights",
    to: Annotated[
        str | None,
        typer.Option(help="a date or an hour in the last period; default: 84 periods from the product's start"),
    ] = None,
) -> None:
    """Live a product's days through the real jobs, from where it stopped."""
    from pipelines.replay import deliver_sample, opened_replay
    from pipelines.screen import Bar, console, print_summary

    found = _product(product)
    last = _last_day(found, to)
    with console.status("writing the sample deliveries"):
        written = deliver_sample(found)
    if written:
        console.print(f"Wrote {written} sample files to the landing zone.")
    with opened_replay(found) as running, Bar(found.name) as bar:
        done = running.run(last, bar)
        home = running.home
    if not done:
        console.print(f"Nothing is left: every {found.time.word} up to {last} is done.")
    print_summary(found, home, last)


@app.command()
def status(product: ProductName = "flights") -> None:
    """Who serves, since when, what is pending, and what was decided last."""
    from pipelines.screen import print_status

    print_status(_product(product), _home())


@app.command()
def alerts(
    product: ProductName = "flights",
    test: Annotated[bool, typer.Option("--test", help="send a test message on every channel instead")] = False,
) -> None:
    """What asks for a person now: what, since when, how bad, what to do."""
    from pipelines.alerting import send_test
    from pipelines.screen import print_alerts

    found = _product(product)
    if not test:
        print_alerts(found, _home())
        return
    receipts = send_test(found, logging.getLogger("evergreen"))
    print(*receipts, sep="\n")
    if any(receipt.problem for receipt in receipts):
        raise typer.Exit(1)


@app.command()
def explain(product: ProductName, prediction: Annotated[str, typer.Option(help="the id of the predicted row")]) -> None:
    """Trace one prediction: row, delivery, who served, model, training, config, gates."""
    from evergreen.explain import explain as trace
    from pipelines.screen import print_explanation

    found, home = _product(product), _home()
    print_explanation(trace(home.store(found), found, home.promotions(found).entries(), prediction), found)


@app.command()
def ui(
    port: Annotated[int, typer.Option(help="of the Dagster UI")] = 3000,
    mlflow_port: Annotated[int, typer.Option(help="of the MLflow UI")] = 5000,
) -> None:
    """Open the Dagster UI, its daemon and the MLflow UI on this home, on loopback; Ctrl-C stops them."""
    from pipelines.servers import serve

    serve(port, mlflow_port)


def _product(name: str) -> "Product":
    from evergreen.product_files import find_product

    return find_product(places.configs() / "products", name)


def _last_day(product: "Product", to: str | None) -> date:
    """The last period to replay: as asked, or the 84th of the product's life; never past its end or into the future."""
    from evergreen.periods import Periods

    periods = Periods.of(product.time)
    over, first = periods.last_ended(datetime.now(UTC)), periods.start
    end = min(periods.end or over, over)
    last = periods.asked_for(to) if to else min(end, periods.after(first, 83))
    if to and not first <= last <= end:
        raise EvergreenError(f"--to {to}: {product.name} has {product.time.word}s from {first} to {end}")
    return last


def _home() -> "Home":
    from pipelines.resources import Home

    return Home(path=str(places.home()))


def main() -> None:
    """The entry point: an error that Evergreen raised on purpose is shown as its message alone."""
    try:
        app()
    except EvergreenError as problem:
        print(f"evergreen: {problem}", file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        print("evergreen: stopped; the same command goes on from here", file=sys.stderr)
        sys.exit(130)


if __name__ == "__main__":
    main()
