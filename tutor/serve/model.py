"""What a server runs: a compiled model with its cache, and the steps for rows and requests."""

import dataclasses
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from tutor.course.registry import Role, Step, step_that
from tutor.engine import trees
from tutor.engine.generation import Engine, find_device
from tutor.engine.loops import Loop, Tokens, compare, make_loop, quiet


@dataclass(frozen=True)
class Served:
    """A model under its name, ready to be compiled, and the code that serves it."""

    name: str
    engine: Engine
    rows: ModuleType  # engine 06, of either tree
    answers: ModuleType  # engine 07, of either tree
    stand_ins: list[Step]  # for which the reference is used

    def make_batch(self, slots: int) -> Any:
        """What engine 06 calls a RunningBatch, on the compiled model."""
        loop: Any = self.engine.loop
        return self.rows.RunningBatch(Silenced(loop.model, self.engine.silent), slots)


class Silenced:
    """A CachedModel for a running batch, whose head never predicts a token without text."""

    def __init__(self, model: Any, silent: Tokens) -> None:
        self.config, self.device, self.dtype = model.config, model.device, model.dtype
        self.cache_shape, self._head, self._silent = model.cache_shape, model.head, silent

    def head(self, *inputs: Any) -> Any:
        """The logits of the compiled head, [B, S, V]."""
        logits = self._head(*inputs)
        return quiet(logits, self._silent) if self._silent.size else logits


def prepare(engine: Engine, name: str) -> Served:
    """The code for an engine's tree; the reference's for steps that the learner hasn't finished."""
    tree, stand_ins = engine.tree, list[Step]()

    def choose(role: Role) -> str:
        step = step_that(role)
        if trees.find_unfinished(tree, step):
            stand_ins.append(step)
            return "solutions"
        return tree

    trees_of_rows = choose(engine.family.caches), choose("batches_continuously"), choose("answers")
    of_cache, of_rows, of_answers = trees_of_rows

    def make() -> Loop:
        device = find_device("cpu")
        loop = make_loop(of_cache, engine.model, device, True, engine.silent, family=engine.family)
        if of_cache != tree:
            compare(loop, engine.model, device)
        return loop

    return Served(
        name,
        dataclasses.replace(engine, make_loop=make),
        trees.load_step(of_rows, step_that("batches_continuously")),
        trees.load_step(of_answers, step_that("answers")),
        stand_ins,
    )
