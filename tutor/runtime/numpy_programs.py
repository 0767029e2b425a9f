"""Programs of NumPy: lists of calls, each of which reads slots and fills one.

A program takes the place of a graph that MAX has compiled, and with weights that of a loaded model.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from max.driver import Buffer
from max.dtype import DType

from tutor.runtime.numpy_operations import Array, Function

Slot = int


@dataclass(frozen=True)
class Step:
    """A call with what is in some slots; what it returns goes to another."""

    function: Function
    inputs: Sequence[Slot]
    output: Slot
    writes: bool = False  # to a buffer, so that it is needed although nothing reads its output
    spent: Sequence[Slot] = ()  # slots that no later step reads


@dataclass(frozen=True)
class Input:
    """What a graph takes at one position: each size is a number, or has a name and a slot."""

    slot: Slot
    dtype: DType
    sizes: list[int | tuple[str, Slot]]

    def fill(self, slots: list[Any], position: int, buffer: Buffer) -> None:
        """Put a buffer into its slot, and its sizes; raise ValueError, as MAX does, for another."""
        shape = tuple(buffer.shape)
        if buffer.dtype != self.dtype or len(shape) != len(self.sizes):
            raise self.mismatch(position, buffer)
        for expected, size in zip(self.sizes, shape, strict=True):
            if isinstance(expected, int):
                if size != expected:
                    raise self.mismatch(position, buffer)
                continue
            name, slot = expected
            if slots[slot] is None:
                slots[slot] = size
            elif slots[slot] != size:
                raise ValueError(
                    f"symbolic dimension '{name}' for input {position} does not match prior uses "
                    f"of that dimension: it is {size}, and was {slots[slot]}"
                )
        if not buffer.is_contiguous:
            raise ValueError(f"Input at position {position}: Buffer is not contiguous")
        slots[self.slot] = buffer.to_numpy()

    def mismatch(self, position: int, buffer: Buffer) -> ValueError:
        """What MAX's engine says of a buffer of another type."""
        sizes = ["*" if isinstance(size, tuple) else str(size) for size in self.sizes]
        return ValueError(
            f"Input at position {position}: "
            f"Buffer of type [({', '.join(map(str, buffer.shape))}), {buffer.dtype.name}] "
            f"does not match expected type [({', '.join(sizes)}), {self.dtype.name}]"
        )


@dataclass
class Program:
    """A graph without its weights."""

    slots: int = 0
    inputs: list[Input] = field(default_factory=list)
    constants: dict[Slot, Any] = field(default_factory=dict)
    weights: dict[Slot, str] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    outputs: list[Slot] = field(default_factory=list)

    def bind(self, weights: Mapping[str, Any]) -> "Model":
        """The program with its weights, in the place of what MAX compiles and loads."""
        known = dict(self.constants)
        for slot, name in self.weights.items():
            if name not in weights:
                raise ValueError(f"Weight '{name}' is not in the weights registry.")
            known[slot] = as_array(weights[name])
        # Compute now what is the same in every run, such as a transposed weight.
        steps = []
        with np.errstate(all="ignore"):
            for step in self.steps:
                if step.writes or not known.keys() >= set(step.inputs):
                    steps.append(step)
                else:
                    known[step.output] = step.function(*(known[slot] for slot in step.inputs))
        return Model(self, leave_out_unread(steps, self.outputs), known)


class Model:
    """A program with its weights: buffers in, buffers out, as a model of MAX's engine."""

    def __init__(self, program: Program, steps: list[Step], known: dict[Slot, Any]) -> None:
        self.inputs, self.steps, self.outputs = program.inputs, steps, program.outputs
        read = {*program.outputs, *(slot for step in steps for slot in step.inputs)}
        self.known: list[Any] = [
            known.get(slot) if slot in read else None for slot in range(program.slots)
        ]

    def __call__(self, *buffers: Buffer) -> list[Buffer]:
        """Run the graph. Raises TypeError or ValueError where a model of MAX does."""
        if len(buffers) > len(self.inputs):
            raise TypeError("too many positional arguments")
        if len(buffers) < len(self.inputs):
            raise TypeError(f"missing a required argument: 'input{len(buffers)}'")
        slots = self.known.copy()
        for position, buffer in enumerate(buffers):
            self.inputs[position].fill(slots, position, buffer)
        try:
            with np.errstate(all="ignore"):
                for step in self.steps:
                    slots[step.output] = step.function(*[slots[slot] for slot in step.inputs])
                    for slot in step.spent:
                        slots[slot] = None
        except (ArithmeticError, IndexError) as error:
            raise ValueError(str(error)) from error
        return self.hand_out(slots)

    def hand_out(self, slots: list[Any]) -> list[Buffer]:
        """The outputs, none of which shares its numbers with the model, an input, or another."""
        results: list[Array] = []
        for slot in self.outputs:
            result = np.asarray(slots[slot])
            own = result.flags.owndata and self.known[slot] is None
            repeated = any(result is other for other in results)
            results.append(result if own and not repeated else result.copy())
        return [as_buffer(result) for result in results]


def leave_out_unread(steps: list[Step], outputs: list[Slot]) -> list[Step]:
    """The steps that are needed for the outputs or write, each with the slots that it spends."""
    kept: list[Step] = []
    read = set(outputs)
    for step in reversed(steps):
        if step.writes or step.output in read:
            spent = set(step.inputs) - read
            read |= spent
            kept.append(replace(step, spent=tuple(spent)))
    return kept[::-1]


def as_array(weight: Any) -> Array:
    """The numbers of a weight, which is a tensor, a buffer or an array."""
    if isinstance(weight, np.ndarray):
        return weight
    array: Array = getattr(weight, "driver_tensor", weight).to_numpy()
    return array


def as_buffer(array: Array) -> Buffer:
    """A buffer of the same numbers. MAX takes no array of one boolean that has no axis."""
    if array.dtype == bool and not array.shape:
        return Buffer.from_numpy(array.reshape(1)).view(DType.bool, [])
    return Buffer.from_numpy(array)
