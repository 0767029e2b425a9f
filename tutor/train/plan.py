"""What a training will be: a model that text and time are enough for, and how many steps."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from tutor.errors import InputError
from tutor.files import free_space
from tutor.train.settings import Settings

SHAPES = ((2, 64), (4, 128), (6, 192), (8, 256), (10, 384), (12, 512), (12, 768))
HEAD = 32  # the width of a head
LENGTHS = (256, 128, 64, 32)  # of what a model sees at once
WINDOWS = 4  # that the held-out text must fill
TOKENS = 5  # for each parameter: what a larger model has to read before it is the better one
PARAMETERS = 2  # for each token of the text: with more, it would be learned by heart
PASSES = 20  # through the text; the same
TRAINING = 0.9  # of the time; in the rest, losses are measured and samples written
EVALUATIONS, LEAST_STEPS = 20, 10
COPIES = 6  # of a model, in memory or in a checkpoint: gradient, averages, best

Measure = Callable[[Settings], float]


@dataclass(frozen=True)
class Wanted:
    """What the user asks for; None is left to the plan."""

    architecture: str = "gpt2"
    minutes: float = 20
    seed: int = 0
    vocab_size: int | None = None
    n_positions: int | None = None
    n_embd: int | None = None
    n_layer: int | None = None
    n_head: int | None = None
    steps: int | None = None


@dataclass(frozen=True)
class Plan:
    """Settings, and how many seconds a step takes here."""

    settings: Settings
    seconds: float

    @property
    def minutes(self) -> float:
        return self.settings.steps * self.seconds / TRAINING / 60


def make_plan(
    wanted: Wanted, settings: Settings, train_tokens: int, heldout_tokens: int, measure: Measure
) -> Plan:
    """The largest model that text and time are enough for, or the smallest one."""
    fitting = fit_text(settings, wanted.n_positions, train_tokens, heldout_tokens)
    plan = None
    for shape in shapes(wanted):
        larger = resize(fitting, wanted.n_head, *shape)
        if plan and parameters(larger) > PARAMETERS * train_tokens:
            break
        seconds = measure(larger)
        steps = max(int(60 * TRAINING * wanted.minutes / seconds), LEAST_STEPS)
        if plan and steps * larger.tokens_per_step < TOKENS * parameters(larger):
            break
        most = max(PASSES * train_tokens // larger.tokens_per_step, LEAST_STEPS)
        plan = Plan(schedule(larger, wanted.steps or min(steps, most)), seconds)
    assert plan
    return plan


def shapes(wanted: Wanted) -> list[tuple[int, int]]:
    """Layers and width of all models that come into question, the smallest first."""
    found = [(wanted.n_layer or layers, wanted.n_embd or width) for layers, width in SHAPES]
    return list(dict.fromkeys(found))


def fit_text(
    settings: Settings, n_positions: int | None, train_tokens: int, heldout_tokens: int
) -> Settings:
    """How much the model sees at once, and how many such pieces a step takes."""
    for length in [n_positions] if n_positions else LENGTHS:
        pieces = train_tokens // length - 2  # each pass begins at another place
        if heldout_tokens > WINDOWS * length and pieces > WINDOWS:
            size = min(settings.batch_size, pieces)
            return dataclasses.replace(settings, n_positions=length, batch_size=size)
    advice = "give more text" + (" or fewer --n-positions" if n_positions else "")
    raise InputError(
        f"{train_tokens:,} tokens to learn from and {heldout_tokens:,} held out are too few for a "
        f"model that sees {length} at once; {advice}"
    )


def resize(settings: Settings, n_head: int | None, n_layer: int, n_embd: int) -> Settings:
    """The sizes that follow from layers and width. Raises InputError if the heads do not fit."""
    heads = n_head or greatest_divisor(n_embd, max(1, n_embd // HEAD))
    step = 2 if settings.architecture == "llama" else 1  # its positions turn pairs of numbers
    if n_embd % (heads * step):
        raise InputError(
            f"--n-embd {n_embd} cannot be divided among --n-head {heads}; "
            f"choose a multiple of {heads * step}"
        )
    return dataclasses.replace(
        settings,
        n_layer=n_layer,
        n_embd=n_embd,
        n_head=heads,
        groups=greatest_divisor(heads, max(1, heads // 2)),
        n_inner=3 * n_embd,  # then a block has as many parameters as GPT-2's
    )


def greatest_divisor(number: int, most: int) -> int:
    """The greatest divisor of a number that is no greater than most."""
    return max(divisor for divisor in range(1, most + 1) if number % divisor == 0)


def schedule(settings: Settings, steps: int) -> Settings:
    """Settings for so many steps."""
    return dataclasses.replace(
        settings,
        steps=steps,
        warmup=max(1, min(settings.warmup, steps // 10)),
        evaluate_every=math.ceil(steps / EVALUATIONS),
    )


def parameters(settings: Settings) -> int:
    """About how many: the tables and the matrices, which are nearly all."""
    tables = settings.vocab_size
    if settings.architecture == "gpt2":
        tables += settings.n_positions
    return settings.n_embd * (tables + 12 * settings.n_embd * settings.n_layer)


def check_room(settings: Settings, folder: Path) -> None:
    """Refuse a model for which there is no memory, or no space where it is to be written."""
    needed = 4 * COPIES * parameters(settings)
    rooms = (
        (psutil.virtual_memory().available, "of memory", "choose a smaller model"),
        (free_space(folder), f"on the disk of {folder}", "make room, or give another --output"),
    )
    for free, where, what in rooms:
        if needed > free:
            raise InputError(
                f"training {parameters(settings):,} parameters takes {needed / 1e9:.2g} GB "
                f"{where}, but {free / 1e9:.2g} GB are free; {what}"
            )
