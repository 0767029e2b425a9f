"""Record how MAX's functions are called, in tutor/exercises/recorded/signatures.json.

    python -m tools.course.record_signatures [--check]

A check looks there when a call does not fit, since it does without MAX.
"""

import inspect
import json
from collections.abc import Iterator
from typing import Any

from tools import derived
from tutor.check.slips import SIGNATURES

NOT_MAX = ("Any", "Mapping", "Path", "Sequence", "Type", "TypeVar", "Coroutine", "wraps")


def main() -> None:
    derived.update("Record how MAX's functions are called.", [(SIGNATURES, signatures())])


def signatures() -> str:
    """A file: by name, as F.mean or Tensor.mean, the arguments as they are written."""
    from tutor import runtime

    runtime.activate()
    from max.experimental import functional, nn
    from max.experimental.tensor import Tensor

    owners = {"F": functional, "Tensor": Tensor, "nn": nn}
    found = {f"{owner}.{name}": call for owner in owners for name, call in calls(owners[owner])}
    return json.dumps(found, indent=1) + "\n"


def calls(owner: Any) -> Iterator[tuple[str, str]]:
    """The names of what can be called, and what is written between the parentheses."""
    for name in sorted(vars(owner) if not isinstance(owner, type) else dir(owner)):
        value = getattr(owner, name)
        if name.startswith("_") or not callable(value) or name in NOT_MAX:
            continue
        try:
            signature = inspect.signature(value)
        except (TypeError, ValueError):
            continue
        yield name, ", ".join(written(signature))


def written(signature: inspect.Signature) -> Iterator[str]:
    """The arguments without their types; self is not written."""
    star = False
    for name, each in signature.parameters.items():
        if name == "self":
            continue
        if each.kind is each.VAR_POSITIONAL:
            star = True
            yield f"*{name}"
        elif each.kind is not each.VAR_KEYWORD:
            if each.kind is each.KEYWORD_ONLY and not star:
                star = True
                yield "*"
            yield name if each.default is each.empty else f"{name}={each.default!r}"


if __name__ == "__main__":
    main()
