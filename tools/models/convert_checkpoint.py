"""Turn a checkpoint of CS336's TransformerLM into a model folder: a Llama, as the Hub has them.

    python -m tools.models.convert_checkpoint model.pt OUT --num-heads 12

Needs the `train` extra. Only numbers are read from the file (weights_only), never code. The sizes
follow from the weights; those that you give are checked.
"""

import argparse
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from tutor.engine import cs336, tokenizer
from tutor.errors import InputError, reason

SIZES = ("vocab_size", "d_model", "num_layers", "d_ff")


def main() -> None:
    options = parse_options()
    try:
        convert(options)
    except InputError as error:
        print(f"{error}.")
        raise SystemExit(2) from None
    print(f"Wrote {options.output}. Now: tutor generate --model {options.output} …")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Turn a checkpoint into a model folder.")
    parser.add_argument("checkpoint", type=Path, help="what torch.save wrote")
    parser.add_argument("output", type=Path, help="the folder to write")
    parser.add_argument("--num-heads", type=int, required=True)
    parser.add_argument("--context-length", type=int, default=1024)
    parser.add_argument("--rope-theta", type=float, default=10000.0)
    for name in SIZES:
        parser.add_argument(f"--{name.replace('_', '-')}", type=int, help="checked if given")
    parser.add_argument("--vocab", type=Path, help="vocab.json; the folder gets a tokenizer")
    parser.add_argument("--merges", type=Path, help="merges.txt")
    parser.add_argument("--eos-token-id", type=int, help="the token that ends a text")
    parser.add_argument(
        "--rename", action="append", default=[], metavar="OLD=NEW", help="a name, or a part of it"
    )
    return parser.parse_args()


def convert(options: argparse.Namespace) -> None:
    """Write the folder. Raises InputError for what cannot be converted."""
    names = dict(pair.split("=", 1) for pair in options.rename if "=" in pair)
    if len(names) < len(options.rename):
        raise InputError("--rename must look like OLD=NEW, as in attention=attn")
    if (options.vocab is None) != (options.merges is None):
        raise InputError("--vocab and --merges belong together; give both or neither")
    state = {
        name: tensor.float().numpy()
        for name, tensor in cs336.renamed(read(options.checkpoint), names).items()
    }
    cs336.check_sizes(state, {name: getattr(options, name) for name in SIZES})
    cs336.write_folder(
        options.output,
        state,
        options.num_heads,
        context_length=options.context_length,
        rope_theta=options.rope_theta,
        end=options.eos_token_id,
        words=options.vocab and tokenizer.read(options.vocab, options.merges),
    )


def read(path: Path) -> Mapping[str, torch.Tensor]:
    """The weights in a file of torch.save, by themselves or beside an optimizer and the like."""
    try:
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"{path} is not there") from None
    except (pickle.UnpicklingError, RuntimeError, EOFError, OSError) as error:
        raise InputError(
            f"{path} cannot be read without running code from it ({reason(error)}); "
            "save its state_dict() anew"
        ) from None
    inside = list(saved.values()) if isinstance(saved, Mapping) else []
    found: list[Mapping[str, torch.Tensor]] = [each for each in (saved, *inside) if is_state(each)]
    if len(found) != 1:
        raise InputError(
            f"{path} has {len(found)} entries that are the weights of a model; save one state_dict"
        )
    return found[0]


def is_state(entry: Any) -> bool:
    """Whether something is weights by their names."""
    return (
        isinstance(entry, Mapping)
        and bool(entry)
        and all(
            isinstance(name, str) and isinstance(value, torch.Tensor)
            for name, value in entry.items()
        )
    )


if __name__ == "__main__":
    main()
