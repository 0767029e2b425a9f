"""The model card of a training: what the model is, what it has read, and how well it does."""

from collections.abc import Sequence
from typing import Any

NAMES = {"gpt2": "GPT-2", "llama": "Llama"}


def card(title: str, record: dict[str, Any], files: Sequence[str]) -> str:
    """The card, in Markdown, from what is on record and the names of the files of the texts."""
    options, kind = record["options"], NAMES[record["options"]["architecture"]]
    best = min(record["history"], key=lambda entry: entry["heldout_loss"])
    last = record["history"][-1]["step"]
    passes = last * options["batch_size"] * options["n_positions"] / record["train_tokens"]
    read = ", ".join(f"`{file}`" for file in files)
    return f"""\
---
library_name: transformers
pipeline_tag: text-generation
---

# {title}: a small {kind}

A {kind} of {about(record["parameters"])} parameters. It continues texts in the manner of
those that it has read, mistakes and prejudices included, and knows nothing else.

| | |
|---|---|
| architecture | {kind}: {sizes(options)} |
| weights | float16 in `model.safetensors` |
| tokenizer | byte-level BPE, learned from the same text |
| held-out loss | **{record["heldout_nats_per_token"]:.2f} nats per token, \
{record["heldout_nats_per_byte"]:.3f} nats per byte** |

## Data

{read}: {record["train_tokens"]:,} tokens to learn from, and {record["heldout_tokens"]:,} held out.
Neither weights nor tokenizer have learned from what was held out; only the step to keep was chosen
by it. A model can repeat what it has read, so share it only if you may share the text.

## Recipe

`tutor train` of the course *GPT-2 from scratch on MAX*, seed {options["seed"]}: {last:,} of
{options["steps"]:,} steps of {options["batch_size"]} × {options["n_positions"]} tokens, \
{passes:.1f} passes over the text. Muon for the
matrices of the blocks and AdamW for all else, learning rate {options["lr"]} after \
{options["warmup"]} steps of
warm-up, falling linearly to 0, weight decay {options["weight_decay"]} on the matrices, dropout \
{options["dropout"]}. Kept are
the weights with the lowest held-out loss, of step {best["step"]:,}. `training.json` holds every
setting and the whole curve.

## Use

`tutor generate --model` takes this folder, and so does `AutoModelForCausalLM.from_pretrained`.
"""


def about(parameters: int) -> str:
    """A number of parameters, in millions if there are any."""
    return f"{parameters / 1e6:.1f} million" if parameters >= 1e6 else f"{parameters:,}"


def sizes(options: dict[str, Any]) -> str:
    """The sizes of a model, in words."""
    return (
        f"{options['n_layer']} layers, {options['n_head']} heads, width {options['n_embd']}, "
        f"context {options['n_positions']}, vocabulary {options['vocab_size']:,}"
    )
