"""Whole graphs in NumPy: what stands in for a graph that MAX would have to compile.

A graph is lowered, as MAX's compiler and its interpreter do first, and each of its operations
becomes a step of a program. A size with a name, such as `batch`, has a slot like any other value.
"""

import math
import operator
import re
from collections import Counter
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
from max import _core
from max._core.dialects import kgen, mo, mosh, rmo
from max.driver import CPU
from max.dtype import DType
from max.graph import AlgebraicDim, DeviceRef, Dim, Graph, Shape, StaticDim, SymbolicDim

from tutor.runtime.numpy_operations import (
    OPERATIONS,
    SHAPED,
    STORES,
    Array,
    Function,
    UnsupportedOpError,
    operands_of,
)
from tutor.runtime.numpy_programs import Input, Program, Slot, Step

__all__ = ["Program", "UnsupportedOpError", "translate"]

# What MAX's eager kernels compute with on the CPU; its compiler takes 16-bit floats as well.
DTYPES = {
    *(DType.bool, DType.float32, DType.float64),
    *(DType.int8, DType.int16, DType.int32, DType.int64),
    *(DType.uint8, DType.uint16, DType.uint32, DType.uint64),
}

# Operations that only say in which order others are done, or what is true of sizes.
SKIPPED = {"ChainCreateOp", "ParamDeclareOp"}

# How a size follows from others.
ARITHMETIC: dict[kgen.POC, Function] = {
    kgen.POC.add: lambda *sizes: sum(sizes),
    kgen.POC.mul: lambda *sizes: math.prod(sizes),
    kgen.POC.mul_no_wrap: lambda *sizes: math.prod(sizes),
    kgen.POC.div: operator.floordiv,
}


def translate(graph: Graph) -> Program:
    """A graph as a program. Raises UnsupportedOpError if NumPy cannot compute it as MAX would."""
    module: Any = graph._module.clone()
    _core.lower(module, [rmo.passes.LegalizeRMOOps()])
    body = next(op for op in module.body if isinstance(op, mo.GraphOp))
    return Translation(body.regions[0].front).program


class Translation:
    """A program as far as the operations of a graph have been added."""

    def __init__(self, block: Any) -> None:
        self.program = Program()
        self.slots: dict[Any, Slot] = {}  # of the values of the graph
        self.sizes: dict[str, Slot] = {}  # by name or formula
        self.calls: dict[tuple[Any, ...], Slot] = {}  # that are made once, by function and inputs
        for value in block.arguments:
            self.take(value)
        self.stores = Counter(  # that are still to come, by buffer
            self.slots.get(operands_of(op)[0]) for op in block if type(op).__name__ in STORES
        )
        for op in block:
            self.add(op)

    def take(self, value: Any) -> None:
        """Add an input of the graph."""
        check(value)
        slot = self.slots[value] = self.new_slot()
        sizes: list[int | tuple[str, Slot]] = []
        for dim in Shape.from_mlir(value.type.shape):
            if isinstance(dim, StaticDim):
                sizes.append(dim.dim)
            else:
                name = str(dim)
                sizes.append((name, self.sizes.setdefault(name, self.new_slot())))
        self.program.inputs.append(Input(slot, value.type.dtype, sizes))

    def add(self, op: Any) -> None:
        """Add an operation of the graph."""
        name = type(op).__name__
        operands = [self.slots[value] for value in operands_of(op) if not is_chain(value)]
        results = [value for value in op.results if not is_chain(value)]
        for value in results:
            check(value)
        if name == "OutputOp":
            self.program.outputs = operands
        elif name not in SKIPPED:
            slot = self.result_of(name, op, operands)
            if len(results) == 1:
                self.give(results[0], slot)
            else:
                for index, value in enumerate(results):
                    self.give(value, self.call(operator.itemgetter(index), [slot]))

    def result_of(self, name: str, op: Any, operands: list[Slot]) -> Slot:
        """Where the result of an operation will be; of several, all of them."""
        match name:
            case "ConstantOp":
                return self.constant(numbers_of(op))
            case "ConstantExternalOp":
                slot = self.new_slot()
                self.program.weights[slot] = op.name
                return slot
            case "ParamToValueOp" if isinstance(op.value, mosh.ShapeAttr):
                return self.shape(op.value)
            case "ShapeToTensorOp":
                return self.once(as_tensor, operands)
            case "MutableLoadOp":
                # What was read stays as it is, even if the buffer is written again.
                return self.call(np.copy, operands) if self.stores[operands[0]] else operands[0]
            case _ if name in STORES:
                self.stores[operands[0]] -= 1
                return self.call(STORES[name], operands, writes=True)
            case _ if name in SHAPED:
                shape = self.shape(op.results[0].type.shape)
                return self.call(SHAPED[name](op), [shape, *operands])
            case _ if name in OPERATIONS:
                return self.call(OPERATIONS[name](op), operands)
        raise UnsupportedOpError(f"NumPy does not stand in for {describe(op)}")

    def give(self, value: Any, slot: Slot) -> None:
        """Say where a value is. If its type names a size for the first time, it has that size."""
        self.slots[value] = slot
        if is_tensor(value):
            for axis, dim in enumerate(Shape.from_mlir(value.type.shape)):
                if isinstance(dim, SymbolicDim) and dim.name not in self.sizes:
                    self.sizes[dim.name] = self.call(partial(size_along, axis), [slot])

    def shape(self, attribute: Any) -> Slot:
        """A shape, as a tuple."""
        return self.once(as_tuple, [self.size(dim) for dim in Shape.from_mlir(attribute)])

    def size(self, dim: Dim) -> Slot:
        """A size: a number, one that follows from others, or one with a name; None if not known."""
        key = str(dim)
        if key in self.sizes:
            return self.sizes[key]
        if isinstance(dim, SymbolicDim):
            return self.constant(None)
        number = isinstance(dim, StaticDim)
        self.sizes[key] = self.constant(int(dim)) if number else self.formula(dim)
        return self.sizes[key]

    def formula(self, dim: Dim) -> Slot:
        """A size that follows from others."""
        known = all(parameter.name in self.sizes for parameter in dim.parameters)
        if not isinstance(dim, AlgebraicDim) or dim.attr.opcode not in ARITHMETIC or not known:
            raise UnsupportedOpError(f"NumPy does not stand in for a size of {dim}")
        sizes = [self.size(Dim(operand)) for operand in dim.attr.operands]
        return self.call(ARITHMETIC[dim.attr.opcode], sizes)

    def new_slot(self) -> Slot:
        self.program.slots += 1
        return self.program.slots - 1

    def constant(self, value: Any) -> Slot:
        slot = self.new_slot()
        self.program.constants[slot] = value
        return slot

    def call(self, function: Function, inputs: Sequence[Slot], *, writes: bool = False) -> Slot:
        slot = self.new_slot()
        self.program.steps.append(Step(function, inputs, slot, writes))
        return slot

    def once(self, function: Function, inputs: Sequence[Slot]) -> Slot:
        """A call that serves all who need it."""
        key = (function, *inputs)
        if key not in self.calls:
            self.calls[key] = self.call(function, inputs)
        return self.calls[key]


def as_tuple(*sizes: int | None) -> tuple[int | None, ...]:
    return sizes


def as_tensor(shape: tuple[int, ...]) -> Array:
    return np.array(shape, np.int64)


def size_along(axis: int, x: Array) -> int:
    size: int = x.shape[axis]
    return size


def numbers_of(constant: Any) -> Array:
    """The numbers of a constant."""
    kind = constant.results[0].type
    sizes = Shape.from_mlir(kind.shape).static_dims
    array: Array = _core.graph._buffer_from_constant_attr(
        constant.value, kind.dtype, sizes, CPU()
    ).to_numpy()
    return array


def is_chain(value: Any) -> bool:
    """Whether a value only says in which order buffers are read and written."""
    return type(value.type).__name__ == "ChainType"


def is_tensor(value: Any) -> bool:
    """Whether a value is a tensor or a buffer, and no shape."""
    return type(value.type).__name__ in ("TensorType", "BufferType")


def check(value: Any) -> None:
    """Refuse a dtype that MAX's kernels on the CPU do not compute with, and any other device."""
    if not is_tensor(value):
        return
    device = DeviceRef.from_mlir(value.type.device_ref)
    if not device.is_cpu():
        raise UnsupportedOpError(f"NumPy does not stand in for {device}")
    if value.type.dtype not in DTYPES:
        raise UnsupportedOpError(f"NumPy does not stand in for {value.type.dtype.name}")


def describe(op: Any) -> str:
    """The name of an operation, such as mo.conv."""
    text = op.asm(print_generic_op_form=True, skip_regions=True, assume_verified=True)
    found = re.search(r'"([\w.]+)"\(', text)
    return found[1] if found else type(op).__name__
