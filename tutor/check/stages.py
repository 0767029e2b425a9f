"""What an oracle computed on the way: a wrong answer may be the right one of an earlier stage."""

import functools
from collections import deque
from collections.abc import Callable
from typing import Any, ParamSpec

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Inputs = ParamSpec("Inputs")

MOST = 100  # calls that are remembered; a model of two blocks makes 40

_recent: deque[tuple[str, Array]] = deque(maxlen=2 * MOST)


def stage(name: str) -> Callable[[Callable[Inputs, Array]], Callable[Inputs, Array]]:
    """Remember what a function of an oracle was given, and what it made of that."""

    def remembering(function: Callable[Inputs, Array]) -> Callable[Inputs, Array]:
        @functools.wraps(function)
        def remember(*inputs: Inputs.args, **options: Inputs.kwargs) -> Array:
            result = function(*inputs, **options)
            given = [each for each in inputs if isinstance(each, np.ndarray)]
            _recent.extend((f"goes into {name}", each) for each in given[:1])
            note(f"{name} gives", result)
            return result

        return remember

    return remembering


def note(words: str, array: Array) -> None:
    """Remember an array with words that end the sentence "This is what …"."""
    _recent.append((words, array))


def recent() -> list[tuple[str, Array]]:
    """What was remembered, in words that end a sentence, the oldest first."""
    return list(_recent)
