"""A clone's own features and model: the guide's example as it stands, and what happens after an edit."""

import re
import sys

import numpy as np
import pandas as pd
import pytest
import yaml

from evergreen import models, trust
from evergreen.config import Product
from evergreen.digests import digest_file
from evergreen.errors import ConfigError, ModelError, SourceError
from evergreen.product_files import overlay, parse
from evergreen.recipes import recorded_recipe, with_features_of
from evergreen.rehearsal import rehearse
from evergreen.storage import Store
from evergreen.validation import empty_batch, validate
from tests.evergreen.builders import REPOSITORY, SHOP, day, orders

GUIDE = (REPOSITORY / "docs" / "guides" / "your_own_code.md").read_text()


@pytest.fixture
def clone(tmp_path, monkeypatch):
    """A folder beside which modules are found, with the guide's two modules."""
    monkeypatch.syspath_prepend(tmp_path)
    for path, source in re.findall(r"```python\n# (\S+)\n(.*?)```", GUIDE, re.DOTALL):
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(source)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("own", "elsewhere")]:
        monkeypatch.delitem(sys.modules, name)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("own", "elsewhere")]:
        del sys.modules[name]


def edit(clone, old, new, module="features"):
    path = clone / "own" / f"{module}.py"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


def declared():
    """The shop with what the guide puts into its product file."""
    content = SHOP
    for block in re.findall(r"```yaml\n(.*?)```", GUIDE, re.DOTALL):
        content = overlay(content, yaml.safe_load(block))
    return parse(Product, content, "shop")


def delivered(number=1, rows=60):
    random = np.random.default_rng(number)
    return orders(
        number,
        [f"{number}-{row}" for row in range(rows)],
        amount=random.uniform(1, 9, rows),
        pieces=random.integers(0, 5, rows),
        color=random.choice(["red", "blue"], rows),
    )


def test_the_guide_s_features_are_computed_before_anything_else(clone):
    product = declared()
    batch = validate(delivered(), product, day(1)).batch
    known = delivered().amount / delivered().pieces
    assert batch.piece.tolist() == pytest.approx(known.where(np.isfinite(known)).tolist(), nan_ok=True)
    assert (set(batch.at_night), batch.piece.dtype) == ({0.0}, np.dtype("float64"))
    assert list(empty_batch(product)) == list(batch)


def test_the_guide_s_model_is_fitted_written_and_read_back(clone, tmp_path):
    product = declared()
    rehearse(product)
    batch = validate(delivered(), product, day(1)).batch
    rows = batch.assign(label=(batch.amount > 5).astype("float64"))
    fitted = models.fit(product.training.model, product.features, 7, rows)
    models.save(fitted, tmp_path / "model")
    loaded = models.load(tmp_path / "model", digest_file(tmp_path / "model"))
    assert np.array_equal(models.predict(loaded, rows), models.predict(fitted, rows))


OWN_CLASS = """
from sklearn.linear_model import LogisticRegression

class Careful(LogisticRegression):
    pass

def build(seed):
    return Careful(C=0.1)
"""


def test_a_class_of_the_clone_s_own_package_is_trusted_where_its_product_names_it(clone, tmp_path):
    (clone / "own" / "model.py").write_text(OWN_CLASS)
    product = declared()
    rehearse(product)
    batch = validate(delivered(), product, day(1)).batch
    fitted = models.fit(product.training.model, product.features, 7, batch.assign(label=[0.0, 1.0] * 30))
    packages = trust.packages_of(product.training.model)
    assert trust.types_in(fitted, packages)[-1] == "own.model.Careful"
    models.save(fitted, tmp_path / "model")
    assert models.load(tmp_path / "model", digest_file(tmp_path / "model"), packages)["model"].C == 0.1
    with pytest.raises(ModelError, match=r"holds own\.model\.Careful: .* names others in training\.model\.trusts"):
        trust.types_in(fitted)
    with pytest.raises(ModelError, match="cannot be loaded"):
        models.load(tmp_path / "model", digest_file(tmp_path / "model"))


def test_a_class_of_another_package_is_trusted_where_the_product_file_names_that(clone):
    (clone / "elsewhere.py").write_text(OWN_CLASS)
    (clone / "own" / "model.py").write_text(
        "from elsewhere import Careful\n\n\ndef build(seed):\n    return Careful()\n"
    )
    with pytest.raises(ConfigError, match=r"cannot be loaded: .*elsewhere\.Careful"):
        rehearse(declared())
    trusting = overlay(declared().model_dump(mode="json"), {"training": {"model": {"trusts": ["elsewhere"]}}})
    rehearse(parse(Product, trusting, "shop"))


def test_an_edited_module_is_another_recipe_and_its_batches_say_who_made_them(clone):
    before = declared()
    edit(clone, "rows.amount / rows", "2 * rows.amount / rows")
    after = declared()
    assert before.recipe != after.recipe
    assert set(before.features.marks).isdisjoint(after.features.marks)
    assert set(after.features.marks) <= set(validate(delivered(), after, day(1)).batch)
    edit(clone, "2 * rows.amount / rows", "rows.amount / rows")
    assert declared().recipe == before.recipe


def test_an_earlier_recipe_is_fed_by_the_code_that_it_was_trained_with(clone, tmp_path):
    store, before = Store(tmp_path / "home"), declared()
    store.write("raw_events", day(1), delivered())
    store.write_document("training_set", day(1), {"product": before.model_dump(mode="json")})
    edit(clone, "rows.amount / rows", "2 * rows.amount / rows")
    today = validate(delivered(), declared(), day(1)).batch

    recipe = recorded_recipe(store, {"as_of": str(day(1)), "recipe": before.recipe})
    fed = with_features_of(recipe, today, store, [day(1)])

    assert fed.order_id.tolist() == today.order_id.tolist()
    assert (2 * fed.piece).tolist() == pytest.approx(today.piece.tolist(), nan_ok=True)
    assert with_features_of(declared(), today, store, [day(1)]) is today


def test_recorded_code_that_is_not_the_recipe_s_is_not_run(clone, tmp_path):
    product = declared()
    recorded = product.model_dump(mode="json")
    recorded["features"]["module"]["source"] += "\nraise SystemExit\n"
    Store(tmp_path).write_document("training_set", day(1), {"product": recorded})
    with pytest.raises(ModelError, match=r"is not that of the recipe .*; it is not run"):
        recorded_recipe(Store(tmp_path), {"as_of": str(day(1)), "recipe": product.recipe})


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("rows.assign(piece=rows.amount / rows.amount.mean())", "gives a row another piece among others than alone"),
        ("rows.assign(piece=rows.amount.shift())", "another piece among others"),
        ("rows.assign(piece=rows.amount.rank())", "another piece among others"),
        ("rows.iloc[::-1]", "must return the rows that it was given, each in its place"),
        ("rows.head(3)", "must return the rows that it was given"),
        ("rows.to_numpy()", "must return the rows that it was given"),
        ("rows.assign(piece=rows.weight)", r"failed \(AttributeError: .*weight.*\); mend it and run the day again"),
    ],
)
def test_a_function_that_breaks_the_contract_is_refused(clone, body, message):
    source = f"import pandas as pd\n\ndef add(rows):\n    return {body}\n"
    (clone / "own" / "features.py").write_text(source)
    with pytest.raises(SourceError, match=message):
        validate(delivered(), declared(), day(1))


def test_what_was_delivered_stays_whatever_the_function_makes_of_it(clone):
    source = "def add(rows):\n    return rows.assign(amount=0.0, order_id='x', piece=1.0, at_night=True)\n"
    (clone / "own" / "features.py").write_text(source)
    found = validate(delivered(), declared(), day(1))
    assert found.batch.amount.tolist() == delivered().amount.tolist()
    assert found.batch.order_id.tolist() == delivered().order_id.tolist()


def test_quarantined_rows_are_kept_as_they_were_delivered(clone):
    product = parse(
        Product, overlay(declared().model_dump(mode="json"), {"validation": {"quarantine_at_most": 0.9}}), "shop"
    )
    found = validate(delivered(rows=3).assign(amount=["many", "2", "3"]), product, day(1))
    assert found.quarantine.reasons.tolist() == ["amount: not a number"]
    assert found.batch.amount.tolist() == [2.0, 3.0]
    assert set(pd.json_normalize(yaml.safe_load(found.quarantine.row[0]))) == set(delivered())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"features": {"module": "own.nothing:add"}}, r"there is no own/nothing\.py in the repository"),
        ({"features": {"module": "own.features:ad"}}, r"has no function ad \(it has: add\)"),
        ({"features": {"module": "add"}}, "String should match pattern|there is no"),
        ({"training": {"model": {"kind": "module", "function": "own.model:made"}}}, r"\(it has: build\)"),
    ],
)
def test_a_function_that_is_not_there_is_named_when_the_file_is_read(clone, changes, message):
    with pytest.raises(ConfigError, match=message):
        parse(Product, overlay(declared().model_dump(mode="json"), changes), "shop")


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ("'a forest'", "must return a scikit-learn estimator, not str"),
        ("1 / 0", r"build\(7\) failed \(ZeroDivisionError"),
        ("LogisticRegression", "must return a scikit-learn estimator, not type"),
        ("RandomForestRegressor()", "is no classifier, and the task is binary"),
    ],
)
def test_a_build_that_breaks_the_contract_is_refused_by_the_rehearsal(clone, returned, message):
    source = (
        "from sklearn.ensemble import RandomForestRegressor\nfrom sklearn.linear_model import LogisticRegression\n\n"
    )
    (clone / "own" / "model.py").write_text(f"{source}def build(seed):\n    return {returned}\n")
    with pytest.raises(ConfigError, match=message):
        rehearse(declared())


def test_reading_a_product_file_runs_none_of_its_code(clone):
    edit(clone, "import pandas as pd", "raise SystemExit('it was run')")
    assert declared().features.module.function == "own.features:add"
