"""The public names of a step, which a check calls."""

from types import ModuleType
from typing import Any

from tutor.check.sandbox.errors import ContractError


def public(step: ModuleType, name: str) -> Any:
    """A public name of a step."""
    try:
        return getattr(step, name)
    except AttributeError:
        raise ContractError(f"the step defines no {name}") from None
