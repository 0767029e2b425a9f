"""Which pack serves on this machine, or why NumPy computes."""

import os
from dataclasses import dataclass
from importlib.metadata import version

from tutor.runtime import kernels, trial


@dataclass(frozen=True)
class Choice:
    """The pack that serves here; or none, and why NumPy stands in for MAX's kernels."""

    pack: kernels.Pack | None
    why: str = ""
    is_fault: bool = False  # of the pack or of this machine


def choose_pack() -> Choice:
    """What computes here, as far as that is known before MAX starts."""
    wish = os.environ.get(kernels.VARIABLE)
    if wish == kernels.NUMPY:
        return Choice(None, f"{kernels.VARIABLE}={kernels.NUMPY} is set")
    try:
        pack = kernels.find_pack()
    except kernels.DamagedPackError as error:
        return Choice(None, f"{error}. {kernels.RESTORE}", is_fault=True)
    if pack is None:
        where = f"{kernels.this_platform()} with MAX {version('max')}"
        return Choice(None, f"there are no compiled kernels for {where}")
    if wish != kernels.TRUSTED and (failure := trial.failure(pack)):
        return Choice(None, failure, is_fault=True)
    return Choice(pack)
