"""Train a bundled model: a small GPT-2 or Llama and its tokenizer, on a file of tales.

    python -m tools.models.train_model --text fairy_tales.txt
    python -m tools.models.train_model --text fairy_tales.txt --architecture llama

Needs the `train` extra. The text holds tales between lines of `<|endoftext|>`.
Ctrl-C loses nothing: the same command goes on from the last checkpoint, and,
as batches and dropout depend only on the seed and the step, ends where an
uninterrupted run would have ended. `tutor train` is the same for any text.
"""

import argparse
import dataclasses
import hashlib
import json
import os
import sys
from pathlib import Path

import torch

from tutor import ROOT
from tutor.engine.checkpoint import FILES
from tutor.engine.tokenizer import END_OF_TEXT
from tutor.train import folder, texts
from tutor.train.data import Data, prepare
from tutor.train.export import export
from tutor.train.models import count, make_model
from tutor.train.settings import ARCHITECTURES, Settings
from tutor.train.trainer import Trainer

BUNDLED = {"gpt2": "fairy-tales", "llama": "llama-tales"}


def main() -> None:
    options = parse_options()
    begin(options)
    settings = settings_of(options)
    train_tales, heldout_tales = split_tales(options.text, settings)
    data = prepare(train_tales, heldout_tales, settings.vocab_size)
    check(data, settings, options.text)

    torch.manual_seed(settings.seed)
    trainer = start(options, settings, data)
    try:
        trainer.run(options.until)
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command goes on from the last checkpoint") from None

    trainer.model.load_state_dict(trainer.best, strict=False)
    report = {
        **folder.report(trainer.history, data, count(trainer.model), torch.__version__),
        "heldout_tales": len(heldout_tales),
        "train_tales": len(train_tales),
        "options": dataclasses.asdict(settings) | {"threads": options.threads},
    }
    export(trainer.model, data.tokenizer, options.output)
    (options.output / folder.RECORD).write_text(json.dumps(report, indent=1) + "\n")
    write_checksums(options.output)
    print(json.dumps({k: v for k, v in report.items() if k != "history"}, indent=1))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a bundled model.")
    parser.add_argument("--text", type=Path, required=True, help="tales between end-of-text lines")
    parser.add_argument("--architecture", choices=ARCHITECTURES, default="gpt2")
    parser.add_argument("--output", type=Path, help="default: the bundled model's folder")
    parser.add_argument("--work", type=Path, help="default: a folder in build/training")
    parser.add_argument("--until", type=int, default=sys.maxsize, help="the step to stop at")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    cuda = "cuda" if torch.cuda.is_available() else "cpu"
    for field in dataclasses.fields(Settings):
        if field.name != "architecture":
            default = cuda if field.name == "device" else field.default
            option = f"--{field.name.replace('_', '-')}"
            parser.add_argument(option, type=type(field.default), default=default)
    options = parser.parse_args()
    options.output = options.output or ROOT / "models" / BUNDLED[options.architecture]
    options.work = options.work or ROOT / "build" / "training" / options.architecture
    return options


def begin(options: argparse.Namespace) -> None:
    torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision("high")
    options.work.mkdir(parents=True, exist_ok=True)


def settings_of(options: argparse.Namespace) -> Settings:
    fields = [field.name for field in dataclasses.fields(Settings)]
    return Settings(**{name: getattr(options, name) for name in fields})


def split_tales(path: Path, settings: Settings) -> tuple[list[str], list[str]]:
    tales = [tale.strip() for tale in path.read_text().split(END_OF_TEXT)]
    return texts.hold_out_whole(tales, settings.heldout, settings.seed)


def check(data: Data, settings: Settings, text: Path) -> None:
    train_tokens, heldout_tokens = len(data.train_ids), len(data.heldout_ids)
    print(f"{train_tokens:,} training tokens, {heldout_tokens:,} held-out tokens")
    if min(train_tokens, heldout_tokens) <= settings.n_positions:
        raise SystemExit(
            f"{text} is too short: to learn from and held out, each needs more than "
            f"{settings.n_positions} tokens"
        )


def start(options: argparse.Namespace, settings: Settings, data: Data) -> Trainer:
    """A trainer, at the last checkpoint if there is one."""
    trainer = Trainer(
        *(make_model(settings), data.train_ids, data.heldout_ids, settings, options.work),
        compiled=True,
    )
    trainer.restore()
    if trainer.step:
        print(f"going on from step {trainer.step}")
    return trainer


def write_checksums(output: Path) -> None:
    """Let `tutor doctor` tell whether the folder is what was trained."""
    sums = {name: hashlib.sha256((output / name).read_bytes()).hexdigest() for name in FILES}
    (output / "checksums.json").write_text(json.dumps(sums, indent=1) + "\n")


if __name__ == "__main__":
    main()
