"""A draft for speculative decoding: the model itself, with four-bit weights."""

import contextlib
from typing import Any

import psutil

from tutor.course.registry import step_that
from tutor.engine import trees

FEWEST = 50_000_000  # parameters; a smaller model is as fast as its draft
BYTES = 0.6  # a parameter, of four-bit weights and their scales
ROOM = 2.0  # times what a draft takes has to be free


def make_draft(model: Any) -> Any:
    """The reference's CachedModel for a four-bit copy of a model; or None, where it does not pay.

    That is for a small model, and while MAX has not compiled the draft. None, too, where memory is
    short.
    """
    from max.driver import CPU
    from max.dtype import DType
    from max.experimental import functional as F
    from max.experimental.tensor import default_device, default_dtype

    from tutor.engine.quantization import can_quantize, quantize
    from tutor.runtime import graphs

    config, parameters = model.config, dict(model.parameters)
    count = sum(parameter.num_elements() for parameter in parameters.values())
    if count < FEWEST or needed_memory(config, count) * ROOM > psutil.virtual_memory().available:
        return None
    with F.lazy(), default_device(CPU()), default_dtype(DType.float32):
        draft = trees.load_step("solutions", step_that("model")).MaxGPT2LMHeadModel(config)
    draft.load_state_dict(parameters)  # the same numbers in memory, until they are quantized
    if not can_quantize(draft):
        return None
    quantize(draft)
    # Where graphs are compiled later, this one is not worth a word: the model writes without it.
    waiting: list[str] = []
    with contextlib.ExitStack() as stack:
        if graphs.is_postponing():
            waiting = stack.enter_context(graphs.postponed())
        cached = trees.load_step("solutions", step_that("caches")).CachedModel(draft)
    return None if waiting else cached


def needed_memory(config: Any, parameters: int) -> float:
    """Bytes of a draft and its caches."""
    numbers: int = 2 * config.n_layer * config.n_embd * config.n_positions
    return BYTES * parameters + 4 * numbers
