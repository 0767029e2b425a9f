"""A draft for speculative decoding: the model itself, with four-bit weights."""

import contextlib
from pathlib import Path
from typing import Any

import psutil

from tutor.course.registry import step_that
from tutor.engine import settings, trees
from tutor.engine.checkpoint import BUNDLED_MODEL

# Parameters for each layer. With fewer, a draft waits for its layers and not for its weights: it
# pays for GPT-2 (10 million) and not for SmolLM2-135M (4.5 million), see benchmarks/README.md.
FEWEST = 7_000_000
BYTES = 0.6  # a parameter, of four-bit weights and their scales
ROOM = 2.0  # times what a draft takes has to be free


def make_draft(model: Any, folder: Path = BUNDLED_MODEL) -> Any:
    """The reference's cached model for a four-bit copy of the model in a folder.

    Or None, where it does not pay.

    That is for a model of small layers, and while MAX has not compiled the draft. None, too, where
    memory is short.
    """
    from max.driver import CPU

    from tutor.engine.quantization import can_quantize, quantize
    from tutor.runtime import graphs

    family, config, parameters = settings.find_family(folder), model.config, dict(model.parameters)
    count = sum(parameter.num_elements() for parameter in parameters.values())
    needed = needed_memory(count, family.columns(config) * config.n_positions)
    layers = getattr(config, family.counts[0])
    if count < FEWEST * layers or needed * ROOM > psutil.virtual_memory().available:
        return None
    sizes = trees.make_config(folder, "solutions")
    draft = trees.make_model(folder, "solutions", sizes, CPU())
    draft.load_state_dict(parameters)  # the same numbers in memory, until they are quantized
    draft.config = config  # with as many positions as are reserved
    if not can_quantize(draft):
        return None
    quantize(draft)
    # Where graphs are compiled later, this one is not worth a word: the model writes without it.
    waiting: list[str] = []
    with contextlib.ExitStack() as stack:
        if graphs.is_postponing():
            waiting = stack.enter_context(graphs.postponed())
        code = trees.load_step("solutions", step_that(family.caches))
        cached = getattr(code, family.cached_model)(draft)
    return None if waiting else cached


def needed_memory(parameters: int, cached: int) -> float:
    """Bytes of a draft and its caches, with so many numbers in each."""
    return BYTES * parameters + 4 * cached
