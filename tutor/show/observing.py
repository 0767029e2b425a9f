"""What happens inside a model of either tree, seen from outside: every call of a module."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from tutor.engine import settings
from tutor.engine.families import GPT2
from tutor.engine.loops import as_tensor
from tutor.errors import InputError

if TYPE_CHECKING:
    from max.experimental.tensor import Tensor

Array = NDArray[np.float32]

Run = Callable[[], Any]
# Told of a module, how to run it, and its inputs; what it returns is the result of the call.
Around = Callable[[Any, Run, tuple[Any, ...]], Any]


@contextmanager
def around_calls(around: Around) -> Iterator[None]:
    """Have every call of a module go through a function, as long as this lasts."""
    from max.experimental.nn import Module

    run = Module.__call__

    def call(module: Any, *inputs: Any, **named: Any) -> Any:
        return around(module, lambda: run(module, *inputs, **named), (*inputs, *named.values()))

    with mock.patch.object(Module, "__call__", call):
        yield


def only_gpt2(folder: Path, what: str) -> None:
    """Refuse a model of another family, which this cannot show."""
    if (family := settings.find_family(folder)) is not GPT2:
        raise InputError(f"{what} shows a GPT-2, but {folder} has a {family.label}")


def next_logits(model: Any, ids: list[int]) -> Array:
    """What a model says after the last of these tokens, [V]."""
    logits: Array = model(as_tensor([ids])).to_numpy()[0, -1]
    return logits


def softmax(logits: Array, temperature: float) -> NDArray[np.float64]:
    """What each token is drawn with at this temperature, which is above 0. Shape: [V] -> [V]."""
    with np.errstate(over="ignore"):  # near 0 the others come to -inf, and a share of 0
        weights = np.exp((logits.astype(np.float64) - logits.max()) / temperature)
    shares: NDArray[np.float64] = weights / weights.sum()
    return shares


def attention_weights(model: Any, ids: list[int], layer: int) -> Array:
    """How much each token (row) takes from each token (column), for every head, [H, T, T].

    These are the weights that the model's own code mixes values by, with its own scale, mask and
    softmax, however it is written. Its code keeps them to itself, so they are read off: what
    `c_attn` says of the values is replaced by unit vectors, and what then arrives at `c_proj` is
    nothing but weights. Queries and keys stay as they are. A head has room for D unit vectors, so
    that this takes a run of the layer's attention for every D tokens.
    """
    block = model.transformer.h[layer]
    attention, x = block.attn, input_of(block, model, ids)
    length, heads = len(ids), model.config.n_head
    width = model.config.n_embd // heads
    weights = np.zeros((heads, length, length), np.float32)
    for first in range(0, length, width):
        last = min(first + width, length)
        values = np.zeros((length, heads, width), np.float32)
        values[range(first, last), :, range(last - first)] = 1
        mixed = mix(attention, x, values)  # [T, H, D]
        weights[:, :, first:last] = mixed.swapaxes(0, 1)[:, :, : last - first]
    return weights


def input_of(block: Any, model: Any, ids: list[int]) -> "Tensor":
    """What a block of the model hands to its attention, [1, T, C]."""
    attention = block.attn
    found: list[Tensor] = []

    def note(module: Any, run: Run, inputs: tuple[Any, ...]) -> Any:
        if module is attention:
            found.append(inputs[0])
        return run()

    with around_calls(note):
        model(as_tensor([ids]))
    if not found:
        raise unseen(block, "attn")
    return found[0]


def mix(attention: Any, x: "Tensor", values: Array) -> Array:
    """What an attention would mix of these values instead of its own, both [T, H, D]."""
    from max.experimental.tensor import Tensor

    width = values[0].size
    replaced, arrived = False, None

    def replace(module: Any, run: Run, inputs: tuple[Any, ...]) -> Any:
        nonlocal replaced, arrived
        if module is attention.c_proj:
            arrived = np.array(inputs[0].to_numpy())
        result = run()
        if module is not attention.c_attn:
            return result
        replaced, projected = True, np.array(result.to_numpy())  # [1, T, 3C]
        projected[..., 2 * width :] = values.reshape(len(values), width)
        return Tensor.from_dlpack(projected)

    with around_calls(replace):
        attention(x)
    if arrived is None or not replaced:
        raise unseen(attention, "c_proj" if replaced else "c_attn")
    mixed: Array = arrived.reshape(values.shape)
    return mixed


def unseen(module: Any, name: str) -> InputError:
    """The error that a module does not call a part of it, so that nothing can be seen."""
    file = f"{type(module).__module__.replace('.', '/')}.py"
    return InputError(
        f"{file} does not call {name}, so its weights cannot be shown; "
        f"call it, as in self.{name}(x)"
    )
