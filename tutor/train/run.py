"""From texts to a model folder: planned, trained, and kept whatever happens."""

import contextlib
import math
import shlex
import textwrap
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import click

from tutor import files
from tutor.errors import InputError
from tutor.terminal import interrupts
from tutor.train import card, folder, plan, texts, tokens
from tutor.train.data import Data, prepare
from tutor.train.plan import Plan, Wanted
from tutor.train.settings import Settings

if TYPE_CHECKING:
    from tutor.train.trainer import Trainer


def train(sources: Sequence[Path], output: Path, wanted: Wanted) -> None:
    """Train a model on texts, or continue to, and write its folder."""
    if math.isnan(wanted.minutes):
        raise InputError("--minutes must be a number, but is nan")
    found = texts.read(sources)
    asked = folder.request(wanted, found)
    record = folder.look(output, asked)
    if record and record["finished"]:
        click.echo(f"{output} is finished. {ready(output, record)}")
        return
    check_torch()
    data = prepare_data(found, wanted)
    record = record or folder.begin(
        output, asked, make_plan(wanted, texts.share(found), data, output)
    )
    said = f"{counted(len(found), 'text')} of {counted(texts.size(found), 'byte')}"
    click.echo(tell(said, folder.plan_of(record), data))
    record["files"] = [source.name for source in sources]
    follow(output, record, data)


def prepare_data(found: Sequence[str], wanted: Wanted) -> Data:
    """What to learn from and what is held out, in tokens that are learned from the former."""
    kept, heldout = texts.divide(found, texts.share(found), wanted.seed)
    return prepare(kept, heldout, wanted.vocab_size or tokens.fitting_vocabulary(texts.size(kept)))


def check_torch() -> None:
    """Refuse to train without PyTorch, and say how to get it."""
    if find_spec("torch") is None:
        raise InputError(
            "training needs PyTorch, which is not installed; put `uv run --extra train` or "
            "`pixi run -e train` before `tutor train`"
        )


def make_plan(wanted: Wanted, share: float, data: Data, output: Path) -> Plan:
    """Measure how fast models train here, and choose one."""
    import torch

    from tutor.train.models import make_model
    from tutor.train.trainer import Trainer

    def measure(settings: Settings) -> float:
        plan.check_room(settings, output)
        model = make_model(settings)
        return Trainer(model, data.train_ids, data.heldout_ids, settings, Path()).seconds_per_step()

    settings = Settings(
        architecture=wanted.architecture,
        vocab_size=data.tokenizer.get_vocab_size(),
        heldout=share,
        seed=wanted.seed,
        device="cuda" if torch.cuda.is_available() else "cpu",
    )
    click.echo("Measuring how long a step takes here …", err=True)
    return plan.make_plan(wanted, settings, len(data.train_ids), len(data.heldout_ids), measure)


def tell(said: str, made: Plan, data: Data) -> str:
    """What is planned, in two lines."""
    settings = made.settings
    name, count = card.NAMES[settings.architecture], card.about(plan.parameters(settings))
    return (
        f"{said}: {len(data.train_ids):,} tokens to learn from, {len(data.heldout_ids):,} held "
        f"out, with a vocabulary of {settings.vocab_size:,}.\n"
        f"A {name} of {count} parameters ({counted(settings.n_layer, 'layer')}, "
        f"width {settings.n_embd}, context {settings.n_positions}): "
        f"{settings.steps:,} steps of {made.seconds:.2g} s, about {in_words(made.minutes)}."
    )


def in_words(minutes: float) -> str:
    """A time as people say it."""
    seconds = max(round(60 * minutes), 1)
    return counted(seconds, "second") if seconds < 90 else counted(round(minutes), "minute")


def counted(number: int, word: str) -> str:
    """A number of things."""
    return f"{number:,} {word}{'' if number == 1 else 's'}"


def follow(output: Path, record: folder.Record, data: Data) -> None:
    """Train as planned, from wherever it is, and write what has come out, even after Ctrl-C."""
    trainer = start(output, record, data)
    prompt = data.tokenizer.encode(data.opening).ids

    def sample() -> str:
        text = data.tokenizer.decode(trainer.write(prompt))
        return textwrap.indent(" ".join(f"{data.opening} … {text}".split()), "  ")

    try:
        trainer.run(sample=sample)
    except KeyboardInterrupt:
        if not trainer.step:
            raise
        if not trainer.is_kept():
            trainer.evaluate()
        finish(output, record, data, trainer)
        click.echo(
            f"Interrupted at step {trainer.step:,} of {trainer.settings.steps:,}; the same "
            f"command continues from here. {ready(output, record)}"
        )
        raise click.exceptions.Exit(interrupts.CODE) from None
    if trainer.step < trainer.settings.steps:
        click.echo("The held-out loss has stopped falling, so this is where to stop.")
    record["finished"] = True
    finish(output, record, data, trainer)
    with contextlib.suppress(OSError):
        trainer.checkpoint.unlink()
    click.echo(ready(output, record))


def start(output: Path, record: folder.Record, data: Data) -> "Trainer":
    """A trainer, at the last checkpoint if there is one."""
    import torch

    from tutor.train.models import make_model
    from tutor.train.trainer import Trainer

    settings = folder.plan_of(record).settings
    torch.manual_seed(settings.seed)
    trainer = Trainer(make_model(settings), data.train_ids, data.heldout_ids, settings, output)
    trainer.restore()
    if trainer.step:
        click.echo(f"Continuing from step {trainer.step:,}.")
    return trainer


def finish(output: Path, record: folder.Record, data: Data, trainer: "Trainer") -> None:
    """Write the best model so far, its card, and what was measured."""
    import torch

    from tutor.train.export import export
    from tutor.train.models import count

    record |= {"opening": data.opening}
    record |= folder.report(trainer.history, data, count(trainer.model), torch.__version__)
    trainer.model.load_state_dict(trainer.best, strict=False)
    export(trainer.model, data.tokenizer, output)
    text = card.card(output.resolve().name, record, record["files"])
    files.write(output / "README.md", text.encode())
    folder.keep(output, record)


def ready(output: Path, record: folder.Record) -> str:
    """How good a model is, and how to let it write."""
    loss = record["heldout_nats_per_token"]
    command = shlex.join(["tutor", "generate", record["opening"], "--model", str(output)])
    return f"Held out, it has {loss:.2f} nats per token. Let it write:\n{command}"
