"""Which types a model file may hold: those of this repository that are named here, and classes of packages that are trusted.

skops trusts little by itself. A class is trusted where a package of PACKAGES, or one that the model's record names, defines it under
that very name: what such a package only imports, or a function of it, is not. The digest of a file is checked before: this bounds what
a training may put into one.

This module imports skops, and with it scikit-learn; import it inside the function that needs it.
"""

from collections.abc import Iterable, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

import skops.io

from evergreen.config import PACKAGES, Model, ModuleModel
from evergreen.errors import ModelError
from evergreen.own_modules import reach_own_modules

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

OWN_TYPES = {
    "numpy.dtype",
    "evergreen.features.DateParts",
    "evergreen.features.FeatureEncoder",
    "evergreen.features.KnownCategories",
    "evergreen.features.Words",
    "evergreen.models.FeatureEncoder",  # as files of earlier versions name it
    "evergreen.seasonal_naive.SeasonalNaive",
}


def packages_of(model: Model) -> list[str]:
    """Packages that a declared model needs trusted beside PACKAGES."""
    return model.packages if isinstance(model, ModuleModel) else []


def types_in(pipeline: "Pipeline", packages: Sequence[str] = ()) -> list[str]:
    """The types that a pipeline's file needs trusted beyond what skops trusts. Raises ModelError where one of them is not."""
    found = skops.io.get_untrusted_types(data=skops.io.dumps(pipeline))
    if strangers := sorted(set(found) - set(trusted(found, packages))):
        raise ModelError(
            f"the fitted model holds {', '.join(strangers)}: a model file may hold types of {', '.join([*PACKAGES, *packages])} "
            "alone, or it would not be loaded again; a model of your own names others in training.model.trusts"
        )
    return found


def types_of_file(path: Path, packages: Sequence[str] = ()) -> list[str]:
    """What of the types in a model file is trusted."""
    return trusted(skops.io.get_untrusted_types(file=path), packages)


def trusted(names: Iterable[str], packages: Sequence[str] = ()) -> list[str]:
    """Of these types, by their full names, those that are trusted; `packages` are trusted beside PACKAGES."""
    if packages:
        reach_own_modules()
    return [name for name in names if name in OWN_TYPES or _is_class_of([*PACKAGES, *packages], name)]


def _is_class_of(packages: Sequence[str], name: str) -> bool:
    module, _, attribute = name.rpartition(".")
    if module.partition(".")[0] not in packages:
        return False
    try:
        found = getattr(import_module(module), attribute)
    except (ImportError, AttributeError):
        return False
    return isinstance(found, type) and f"{found.__module__}.{found.__qualname__}" == name
