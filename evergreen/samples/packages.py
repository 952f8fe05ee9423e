"""Where the packages that the samples read lie: only their data files are opened, none of them is imported."""

from importlib.util import find_spec
from pathlib import Path

from evergreen.errors import SourceError


def data_folder(package: str) -> Path:
    """The folder `data` of an installed package. Raises SourceError where it is not installed."""
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise SourceError(
            f"the sample needs the package {package}: install Evergreen with its extra, evergreen[sample]"
        )
    return Path(spec.submodule_search_locations[0]) / "data"
