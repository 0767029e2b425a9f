"""Time generation without one of the engine's levers at a time, beside the engine as it is.

    python benchmarks/levers.py [--rounds 5] [--output build/generation]

Options, works and rounds are those of generation.py.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import generation
import numpy as np

from tutor.engine.checkpoint import BUNDLED_MODEL


def main() -> None:
    levers = {
        "as it is": generation.course,
        "rows alone": without(multiplying_by_columns),
        "columns alone": without(multiplying_rows),
        "AVX2": without(wide_graphs),
        "sorted, logarithms": without(the_race),
        "bundled, one thread": lambda _: bundled(one_thread=True),
        "bundled, a thread for each CPU": lambda _: bundled(one_thread=False),
    }
    generation.main({name: ("max", made) for name, made in levers.items()}, "as it is")


def without(take_back: Any) -> Any:
    """The engine, once that has been done to it."""

    def engine(folder: Path) -> generation.Generate:
        take_back()
        return generation.course(folder)

    return engine


def multiplying_by_columns() -> None:
    """One graph does for all: x @ W.T."""
    from solutions import engine_04

    engine_04.linear = lambda layer, x: layer(x)


def multiplying_rows() -> None:
    """One way to multiply does for all: W @ x.T."""
    from solutions import engine_04

    def linear(layer: Any, x: Any) -> Any:
        batch, new, width = x.shape
        columns = x.reshape([batch * new, width]).transpose(0, 1)
        product = (layer.weight @ columns).transpose(0, 1)
        return product.reshape([batch, new, layer.weight.shape[0]]) + layer.bias

    engine_04.linear = linear


def wide_graphs() -> None:
    """Graphs for AVX2, on every CPU."""
    from tutor.runtime import kernels

    kernels.WIDE = "none"


def the_race() -> None:
    """Draws by a sort and Gumbel noise."""
    from solutions import engine_02
    from solutions.engine_01 import gumbel_sample

    def probabilities(logits: Any, sampling: engine_02.Sampling) -> Any:
        weights = np.exp((logits - logits.max(axis=-1, keepdims=True)) / sampling.temperature)
        order = np.argsort(-weights, axis=-1)
        ranked = np.take_along_axis(weights / weights.sum(), order, axis=-1)
        ranked[:, sampling.top_k or ranked.shape[-1] :] = 0
        ranked[ranked.cumsum(axis=-1) - ranked >= sampling.top_p * ranked.sum()] = 0
        np.put_along_axis(weights, order, ranked, axis=-1)
        return weights

    def choose(
        logits: Any, sampling: engine_02.Sampling, rngs: Sequence[np.random.Generator]
    ) -> Any:
        if sampling.temperature == 0:
            return logits.argmax(axis=-1)
        with np.errstate(divide="ignore"):
            rows = np.log(probabilities(logits.astype(np.float64), sampling))[:, None]
        return np.concatenate([gumbel_sample(*pair) for pair in zip(rows, rngs, strict=True)])

    engine_02.choose = choose


def bundled(*, one_thread: bool) -> generation.Generate:
    from tutor import runtime

    runtime.activate(one_thread=one_thread)
    generate = generation.course(BUNDLED_MODEL)
    return lambda prompts, count, work: generate(prompts % 4096, count, work)


if __name__ == "__main__":
    main()
