"""What every block of a product file shares: strict keys, and the kinds of names."""

from typing import Annotated

from croniter import croniter
from pydantic import BaseModel, ConfigDict, Field

Share = Annotated[float, Field(ge=0, le=1)]


ClassName = Annotated[str, Field(coerce_numbers_to_str=True, description="of a class; YAML may write a number")]


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", description="lower case, digits and underscores")]


Address = Annotated[str, Field(pattern=r"^[^\s@<>,]+@[^\s@<>,]+$", description="an e-mail address, without a name")]


EnvironmentName = Annotated[
    str, Field(pattern=r"^[A-Z][A-Z0-9_]*$", description="environment variable that holds the secret, never the secret")
]


def is_cron(line: str) -> bool:
    return len(line.split()) == 5 and croniter.is_valid(line)


def is_empty(value: object) -> bool:
    """For `exclude_if`: whether an option is not used."""
    return not value


class Section(BaseModel):
    """A block of YAML: unknown keys are refused, values never change after load."""

    model_config = ConfigDict(extra="forbid", frozen=True)
