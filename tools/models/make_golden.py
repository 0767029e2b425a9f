"""Write what Hugging Face's own models compute, for tests/project/test_parity.py to compare with.

    python -m tools.models.make_golden            # or only some: fairy-tales, random, llamas …

Needs the `train` extra. Run it after every change of a bundled model. Golden are the bundled
models; a GPT-2 with random weights, which is written beside its golden files; and a tiny model of
each family of Llamas, whose weights tests/llama_folders.py draws again from a seed.
"""

import argparse
import hashlib
import itertools
import json
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    GPT2Config,
    GPT2LMHeadModel,
    PreTrainedModel,
)

from tests.llama_folders import CHECKPOINTS, EXPERTS, Checkpoint, digest, drawn, write_checkpoint
from tutor import ROOT
from tutor.engine.checkpoint import BUNDLED

GOLDEN = ROOT / "tests" / "golden"

STORIES = 3  # of each model
NEW_TOKENS = 40  # that the bundled model adds to each prompt
RANDOM_NEW_TOKENS = 8  # with them a random prompt fills the context
# Rounding moves a logit by 1e-5; a greedy choice by less than this margin could depend on it.
MARGIN = 1e-3
# Of the Llamas: texts of a batch, tokens of each and after it, and at how many there are logits.
TEXTS, LENGTH, LLAMA_NEW_TOKENS, LAST = 2, 20, 5, 4

# More than needed: a prompt is passed over when its story ends early or hangs on a near tie.
PROMPTS = (
    "Once upon a time",
    "The king's youngest daughter had",
    "“Who is there?” asked the witch, and opened the door of her little house",
    "In a dark forest lived a poor wood-cutter with his wife and his two children.",
    "The fox said to the wolf:",
    "There was once a princess who",
    "When the soldier came to the castle at night, he saw a light in the window.",
    "The old woman gave him a golden ring and said,",
)

# No two sizes agree; n_inner is not 4 * n_embd; epsilon is large enough to be seen; own head.
RANDOM_CONFIG = GPT2Config(
    vocab_size=97,
    n_positions=32,
    n_embd=40,
    n_layer=3,
    n_head=5,
    n_inner=72,
    layer_norm_epsilon=0.02,
    tie_word_embeddings=False,
    bos_token_id=None,
    eos_token_id=None,
)


@dataclass
class Story:
    """A prompt and the likeliest tokens after it; as text, too, where there is a tokenizer."""

    prompt_ids: list[int]
    new_ids: list[int]
    prompt: str = ""
    text: str = ""


def main() -> None:
    parser = argparse.ArgumentParser(description="Write golden files.")
    every = [*(folder.name for folder in BUNDLED), "random", "llamas"]
    parser.add_argument("models", nargs="*", default=every, choices=every)
    chosen = parser.parse_args().models
    transformers.utils.logging.disable_progress_bar()
    random_folder = GOLDEN / "random"
    with torch.inference_mode():
        for folder in BUNDLED:
            if folder.name in chosen:
                write_golden(folder, bundled_stories(folder))
        if "random" in chosen:
            write_random_model(random_folder)
            write_golden(random_folder, random_stories(random_folder))
        if "llamas" in chosen:
            write_llamas()


def write_random_model(folder: Path) -> None:
    """A folder as Hugging Face writes it, float16, its logits far from flat."""
    torch.manual_seed(0)
    model = GPT2LMHeadModel(RANDOM_CONFIG)
    for name, parameter in model.named_parameters():
        is_norm = ".ln_" in name and name.endswith("weight")
        torch.nn.init.normal_(parameter, mean=float(is_norm), std=0.3)
    model.half().save_pretrained(folder)
    (folder / "generation_config.json").unlink()


def load(folder: Path) -> PreTrainedModel:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()


def bundled_stories(folder: Path) -> Iterator[Story]:
    model, tokenizer = load(folder), AutoTokenizer.from_pretrained(folder)
    for prompt in PROMPTS:
        story = tell(model, tokenizer.encode(prompt), NEW_TOKENS)
        story.prompt, story.text = prompt, tokenizer.decode(story.prompt_ids + story.new_ids)
        if model.config.eos_token_id in story.new_ids:
            print(f"passed over, as it ends early: {prompt}")
        elif is_decisive(model, story):
            yield story
        else:
            print(f"passed over, as it hangs on a near tie: {prompt}")


def random_stories(folder: Path) -> Iterator[Story]:
    """Prompts of one length, so that they can also be told as a batch."""
    model, rng = load(folder), np.random.default_rng(0)
    length = model.config.n_positions - RANDOM_NEW_TOKENS
    while True:
        prompt_ids = rng.integers(model.config.vocab_size, size=length).tolist()
        story = tell(model, prompt_ids, RANDOM_NEW_TOKENS)
        if is_decisive(model, story):
            yield story


def write_llamas() -> None:
    """For each family, what its config.json is in transformers 5, greedy ids, and logits."""
    golden: dict[str, Any] = {}
    kept: dict[str, Any] = {}
    for name, checkpoint in (CHECKPOINTS | EXPERTS).items():
        computed = (llama(checkpoint, seed) for seed in itertools.count())
        golden[name], kept[name] = next(filter(None, computed))
    np.savez(GOLDEN / "llamas.npz", **kept)
    write_json("llamas", {**versions(), "models": golden})


def llama(checkpoint: Checkpoint, seed: int) -> tuple[dict[str, Any], np.ndarray] | None:
    """What such a model of a seed computes, unless that hangs on a near tie."""
    rng = np.random.default_rng(seed)
    state = drawn(checkpoint, rng)
    prompts = rng.integers(checkpoint.entries["vocab_size"], size=(TEXTS, LENGTH)).tolist()
    with tempfile.TemporaryDirectory() as given, tempfile.TemporaryDirectory() as saved:
        write_checkpoint(Path(given), checkpoint, state)
        model = AutoModelForCausalLM.from_pretrained(given, dtype=torch.float32).eval()
        AutoConfig.from_pretrained(given).save_pretrained(saved)
        entries = json.loads(Path(saved, "config.json").read_text(encoding="utf-8"))
    stories = [tell(model, ids, LLAMA_NEW_TOKENS) for ids in prompts]
    if not all(is_decisive(model, story) for story in stories):
        return None
    made = {
        "seed": seed,
        "weights_sha256": digest(state),
        "entries_of_version_5": entries,
        "prompt_ids": prompts,
        "new_ids": [story.new_ids for story in stories],
    }
    return made, np.stack([logits(model, ids)[-LAST:] for ids in prompts])


def tell(model: PreTrainedModel, prompt_ids: list[int], count: int) -> Story:
    """Go on greedily, each time from all tokens so far."""
    ids = list(prompt_ids)
    for _ in range(count):
        ids.append(int(logits(model, ids)[-1].argmax()))
    return Story(prompt_ids, ids[len(prompt_ids) :])


def is_decisive(model: PreTrainedModel, story: Story) -> bool:
    """Whether every greedy choice was made by more than the margin."""
    scores = logits(model, story.prompt_ids + story.new_ids)[len(story.prompt_ids) - 1 : -1]
    best, second = np.sort(scores, axis=-1)[:, :-3:-1].T
    return bool((best - second).min() > MARGIN)


def logits(model: PreTrainedModel, ids: list[int]) -> np.ndarray:
    """Shape: T ids -> [T, V]."""
    scores: np.ndarray = model(torch.tensor([ids])).logits[0].numpy()
    return scores


def write_golden(folder: Path, stories: Iterator[Story]) -> None:
    """Write stories as JSON, and the logits at the last positions of their prompts as .npz.

    The shortest prompts have logits at every position, the others at the last one.
    """
    chosen = list(itertools.islice(stories, STORIES))
    if len(chosen) < STORIES:
        raise SystemExit(f"{folder.name}: too few decisive prompts; add some to this tool")
    model, kept = load(folder), []
    shortest = min(len(story.prompt_ids) for story in chosen)
    for story in chosen:
        scores = logits(model, story.prompt_ids)
        kept.append(scores if len(scores) == shortest else scores[-1:])
    np.savez(GOLDEN / f"{folder.name}.npz", *kept)
    golden = {
        "model_sha256": hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest(),
        **versions(),
        "stories": [asdict(story) for story in chosen],
    }
    write_json(folder.name, golden)
    spread = np.concatenate(kept).std(axis=-1).mean()
    print(f"{folder.name}: {len(chosen)} stories, standard deviation of a logit {spread:.2f}")


def versions() -> dict[str, str]:
    return {
        "transformers": transformers.__version__,
        "torch": torch.__version__.split("+")[0],
    }


def write_json(name: str, golden: dict[str, Any]) -> None:
    text = json.dumps(golden, indent=1, ensure_ascii=False)
    (GOLDEN / f"{name}.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
