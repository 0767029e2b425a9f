"""Train a bundled model: a small GPT-2 or Llama and its tokenizer, on a file of tales.

    python -m tools.models.train_model --text fairy_tales.txt
    python -m tools.models.train_model --text fairy_tales.txt --architecture llama

Needs the `train` extra. The text holds tales between lines of `<|endoftext|>`.
Ctrl-C loses nothing: the same command goes on from the last checkpoint, and,
as batches and dropout depend only on the seed and the step, ends where an
uninterrupted run would have ended.
"""

import argparse
import hashlib
import json
import math
import os
import platform
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import nn
from torch.nn import functional as F
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
)

from tutor import ROOT
from tutor.engine.checkpoint import FILES

END_OF_TEXT = "<|endoftext|>"


def main() -> None:
    options = parse_options()
    torch.set_num_threads(options.threads)
    torch.set_float32_matmul_precision("high")
    options.work.mkdir(parents=True, exist_ok=True)

    train_tales, heldout_tales = split_tales(options.text, options.heldout, options.seed)
    tokenizer = train_tokenizer(train_tales, options.vocab_size)
    train_ids, heldout_ids = encode(tokenizer, train_tales), encode(tokenizer, heldout_tales)
    heldout_bytes = sum(len(tale.encode()) + len("\n") for tale in heldout_tales)
    print(f"{len(train_ids):,} training tokens, {len(heldout_ids):,} held-out tokens")
    if min(len(train_ids), len(heldout_ids)) <= options.n_positions:
        raise SystemExit(
            f"{options.text}: {len(train_tales)} texts and {len(heldout_tales)} held out "
            f"are too few: each side needs more than {options.n_positions} tokens"
        )

    torch.manual_seed(options.seed)
    model = MODELS[options.architecture](options).to(options.device)
    trainer = Trainer(model, train_ids, heldout_ids, options)
    try:
        best_state, history = trainer.run()
    except KeyboardInterrupt:
        raise SystemExit("interrupted; the same command goes on from the last checkpoint") from None

    model.load_state_dict(best_state, strict=False)
    loss = min(entry["heldout_loss"] for entry in history)
    report = {
        "heldout_nats_per_token": round(loss, 4),
        "heldout_nats_per_byte": round(loss * len(heldout_ids) / heldout_bytes, 4),
        "heldout_tokens": len(heldout_ids),
        "heldout_tales": len(heldout_tales),
        "train_tokens": len(train_ids),
        "train_tales": len(train_tales),
        "parameters": sum(p.numel() for p in model.parameters()),
        "torch": torch.__version__.split("+")[0],
        "python": platform.python_version(),
        "options": {
            name: value
            for name, value in vars(options).items()
            if name not in ("text", "work", "output", "until")
        },
        "history": history,
    }
    export(model, tokenizer, options.output)
    (options.output / "training.json").write_text(json.dumps(report, indent=1) + "\n")
    write_checksums(options.output)
    print(json.dumps({k: v for k, v in report.items() if k != "history"}, indent=1))


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a bundled model.")
    parser.add_argument("--text", type=Path, required=True, help="tales between end-of-text lines")
    parser.add_argument("--architecture", choices=sorted(MODELS), default="gpt2")
    parser.add_argument("--output", type=Path, help="default: the bundled model's folder")
    parser.add_argument("--work", type=Path, help="default: a folder in build/training")
    parser.add_argument("--vocab-size", type=int, default=4096)
    parser.add_argument("--n-positions", type=int, default=256)
    parser.add_argument("--n-embd", type=int, default=192)
    parser.add_argument("--n-layer", type=int, default=6)
    parser.add_argument("--n-head", type=int, default=6)
    parser.add_argument("--groups", type=int, default=2, help="of keys and values, in a Llama")
    parser.add_argument("--n-inner", type=int, default=608, help="width of a Llama's MLP")
    parser.add_argument("--dropout", type=float, default=0.1)
    parser.add_argument("--steps", type=int, default=3000, help="of the schedule")
    parser.add_argument("--until", type=int, default=sys.maxsize, help="the step to stop at")
    parser.add_argument("--batch-size", type=int, default=32, help="sequences a step")
    parser.add_argument("--lr", type=float, default=6e-3)
    parser.add_argument("--weight-decay", type=float, default=0.1)
    parser.add_argument("--warmup", type=int, default=100, help="steps")
    parser.add_argument("--heldout", type=float, default=0.05, help="share of the tales")
    parser.add_argument("--evaluate-every", type=int, default=100, help="steps")
    parser.add_argument("--patience", type=int, default=5, help="evaluations without progress")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    options = parser.parse_args()
    options.output = options.output or ROOT / "models" / BUNDLED[options.architecture]
    options.work = options.work or ROOT / "build" / "training" / options.architecture
    return options


def split_tales(path: Path, heldout: float, seed: int) -> tuple[list[str], list[str]]:
    """Whole tales are held out, so that no held-out line has a trained neighbour."""
    tales = [tale.strip() for tale in path.read_text().split(END_OF_TEXT)]
    order = np.random.default_rng(seed).permutation(len(tales))
    count = round(len(tales) * heldout)
    return [tales[i] for i in order[count:]], [tales[i] for i in order[:count]]


def train_tokenizer(tales: list[str], vocab_size: int) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(tales, trainer)
    return tokenizer


def encode(tokenizer: Tokenizer, tales: list[str]) -> np.ndarray:
    """One stream of ids; each tale begins after an end-of-text token."""
    end = tokenizer.token_to_id(END_OF_TEXT)
    return np.array(
        [i for item in tokenizer.encode_batch(tales) for i in (end, *item.ids)], dtype=np.int64
    )


def make_gpt2(options: argparse.Namespace) -> PreTrainedModel:
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=options.vocab_size,
            n_positions=options.n_positions,
            n_embd=options.n_embd,
            n_layer=options.n_layer,
            n_head=options.n_head,
            activation_function="gelu_pytorch_tanh",  # gelu_new, fused; exported under that name
            resid_pdrop=options.dropout,
            embd_pdrop=options.dropout,
            attn_pdrop=0.0,  # PyTorch has no fused CPU attention with dropout
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def make_llama(options: argparse.Namespace) -> PreTrainedModel:
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=options.vocab_size,
            max_position_embeddings=options.n_positions,
            hidden_size=options.n_embd,
            num_hidden_layers=options.n_layer,
            num_attention_heads=options.n_head,
            num_key_value_heads=options.groups,
            intermediate_size=options.n_inner,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    begin_as_gpt2(model, options)
    return model


def begin_as_gpt2(model: nn.Module, options: argparse.Namespace) -> None:
    """Dropout where GPT-2 has it, and its smaller start for what the stream gets added."""
    for name, module in model.named_modules():
        if name.endswith(("embed_tokens", "o_proj", "down_proj")):
            module.register_forward_hook(
                lambda module, _, output: F.dropout(output, options.dropout, module.training)
            )
        if name.endswith(("o_proj", "down_proj")):
            nn.init.normal_(module.weight, std=0.02 / math.sqrt(2 * options.n_layer))


MODELS = {"gpt2": make_gpt2, "llama": make_llama}
BUNDLED = {"gpt2": "fairy-tales", "llama": "llama-tales"}


class Trainer:
    """Muon for the matrices of the blocks, AdamW for all else; the best state is kept."""

    def __init__(
        self,
        model: PreTrainedModel,
        train_ids: np.ndarray,
        heldout_ids: np.ndarray,
        options: argparse.Namespace,
    ) -> None:
        self.model, self.train_ids, self.options = model, train_ids, options
        self.heldout = windows(heldout_ids, options.n_positions)
        matrices: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for name, parameter in model.named_parameters():
            in_block = ".h." in name or ".layers." in name
            (matrices if in_block and parameter.ndim == 2 else others).append(parameter)
        self.optimizers: dict[str, torch.optim.Optimizer] = {
            "muon": torch.optim.Muon(
                matrices, weight_decay=options.weight_decay, adjust_lr_fn="match_rms_adamw"
            ),
            "adamw": torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
        }
        # Without tile registers (AMX), a CPU multiplies float32 faster than bfloat16.
        self.bfloat16 = options.device == "cuda" or torch.cpu._is_amx_tile_supported()
        self.loss = torch.compile(self._loss)
        self.step = 0
        self.history: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}

    def run(self) -> tuple[dict[str, torch.Tensor], list[dict[str, float]]]:
        """Train until the last step, or until the held-out loss stops falling."""
        self._restore()
        steps = min(self.options.steps, self.options.until)
        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*(TextColumn(c) if isinstance(c, str) else c for c in columns)) as progress:
            bar = progress.add_task("training", total=steps, completed=self.step)
            while self.step < steps and not self._stalled():
                train_loss = self._train_step()
                self.step += 1
                progress.update(bar, completed=self.step, description=f"loss {train_loss:.3f}")
                if self.step % self.options.evaluate_every and self.step < steps:
                    continue
                self._record(train_loss)
                progress.console.print(
                    f"step {self.step}: training {train_loss:.3f}, "
                    f"held out {self.history[-1]['heldout_loss']:.4f} nats per token"
                )
        return self.best, self.history

    def _loss(self, rows: torch.Tensor) -> torch.Tensor:
        with torch.autocast(rows.device.type, torch.bfloat16, enabled=self.bfloat16):
            logits = self.model(rows[:, :-1], use_cache=False).logits
        return F.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())

    def _train_step(self) -> float:
        self.model.train()
        torch.manual_seed(self.options.seed + self.step)
        loss = self.loss(self._batch())
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self._learning_rate()
            optimizer.step()
            optimizer.zero_grad()
        return float(loss.detach())

    def _learning_rate(self) -> float:
        """Linear warm-up, then linear decay to nothing."""
        rise = (self.step + 1) / self.options.warmup
        fall = (self.options.steps - self.step) / (self.options.steps - self.options.warmup)
        return float(self.options.lr * min(rise, fall))

    def _batch(self) -> torch.Tensor:
        """Each epoch cuts the stream at another offset and shuffles the windows."""
        length, size = self.options.n_positions, self.options.batch_size
        per_epoch = (len(self.train_ids) // length - 2) // size
        epoch, index = divmod(self.step, per_epoch)
        rng = np.random.default_rng((self.options.seed, epoch))
        rows = windows(self.train_ids[rng.integers(length) :], length)
        chosen = rng.permutation(len(rows))[index * size : (index + 1) * size]
        return torch.from_numpy(rows[chosen]).to(self.options.device)

    def _record(self, train_loss: float) -> None:
        heldout_loss = self._heldout_loss()
        if heldout_loss < min((h["heldout_loss"] for h in self.history), default=math.inf):
            self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.history.append(
            {
                "step": self.step,
                "train_loss": round(train_loss, 4),
                "heldout_loss": round(heldout_loss, 5),
            }
        )
        self._save()

    @torch.no_grad()
    def _heldout_loss(self) -> float:
        self.model.eval()
        total = tokens = 0.0
        for rows in np.array_split(self.heldout, math.ceil(len(self.heldout) / 32)):
            batch = torch.from_numpy(rows).to(self.options.device)
            logits = self.model(batch[:, :-1], use_cache=False).logits
            total += F.cross_entropy(
                logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="sum"
            ).item()
            tokens += batch[:, 1:].numel()
        return total / tokens

    def _stalled(self) -> bool:
        losses = [entry["heldout_loss"] for entry in self.history]
        return (
            len(losses) - 1 - int(np.argmin(losses)) >= self.options.patience if losses else False
        )

    def _save(self) -> None:
        tensors = dict(prefixed("model", self.model.state_dict()))
        tensors |= prefixed("best", self.best)
        for name, optimizer in self.optimizers.items():
            for index, state in optimizer.state_dict()["state"].items():
                tensors |= prefixed(f"{name}.{index}", state)
        # The head shares the storage of the embedding, which safetensors refuses to write twice.
        tensors = {k: v.clone() for k, v in tensors.items() if not k.endswith("lm_head.weight")}
        progress = json.dumps({"step": self.step, "history": self.history})
        partial = self.options.work / "checkpoint.partial"
        save_file(tensors, partial, metadata={"progress": progress})
        partial.replace(self.options.work / "checkpoint.safetensors")

    def _restore(self) -> None:
        path = self.options.work / "checkpoint.safetensors"
        if not path.exists():
            return
        tensors = load_file(path)
        progress = json.loads(read_metadata(path)["progress"])
        self.step, self.history = progress["step"], progress["history"]
        # What the head shares is not in the file, and comes with the embedding.
        self.model.load_state_dict(unprefixed("model", tensors), strict=False)
        self.best = unprefixed("best", tensors)
        for name, optimizer in self.optimizers.items():
            state: dict[int, dict[str, torch.Tensor]] = {}
            for key, tensor in unprefixed(name, tensors).items():
                index, _, field = key.partition(".")
                state.setdefault(int(index), {})[field] = tensor
            optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        print(f"going on from step {self.step}")


def windows(ids: np.ndarray, length: int) -> np.ndarray:
    """Cut a stream into rows of `length + 1` ids; a row's last id begins the next row."""
    count = (len(ids) - 1) // length
    return np.lib.stride_tricks.sliding_window_view(ids, length + 1)[::length][:count].copy()


def prefixed(prefix: str, state: dict[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    return ((f"{prefix}.{key}", value) for key, value in state.items())


def unprefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k[len(prefix) + 1 :]: v for k, v in tensors.items() if k.startswith(prefix + ".")}


def read_metadata(path: Path) -> dict[str, Any]:
    from safetensors import safe_open

    with safe_open(path, "pt") as file:
        return dict(file.metadata())


def export(model: PreTrainedModel, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a Hugging Face folder, the weights as float16."""
    folder.mkdir(parents=True, exist_ok=True)
    if model.config.model_type == "gpt2":
        model.config.activation_function = "gelu_new"
    model.half().save_pretrained(folder)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
        model_max_length=model.config.max_position_embeddings,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)
    # transformers 5 names a class that transformers 4 does not know; both know this one.
    settings = folder / "tokenizer_config.json"
    entries = json.loads(settings.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    settings.write_text(json.dumps(entries, indent=2) + "\n")


def write_checksums(folder: Path) -> None:
    """Let `tutor doctor` tell whether the folder is what was trained."""
    sums = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in FILES}
    (folder / "checksums.json").write_text(json.dumps(sums, indent=1) + "\n")


if __name__ == "__main__":
    main()
