"""The loop that trains: a step, now and then a look at held-out text, and a checkpoint."""

import json
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from torch.nn import functional as F
from transformers import PreTrainedModel

from tutor.errors import InputError, reason
from tutor.terminal import interrupts
from tutor.terminal.console import OpenConsole
from tutor.train.folder import CHECKPOINT
from tutor.train.settings import Settings

SECONDS = 600.0  # that Ctrl-C waits for a step, a look at held-out text, and what is written then
SAMPLE = 40  # tokens that show how far a model is
TEMPERATURE = 0.8


class Trainer:
    """Muon for the matrices of the blocks, AdamW for all else; the best state is kept.

    Batches and dropout depend only on the seed and the step, so a training that was interrupted
    ends where it would have ended anyway.
    """

    def __init__(
        self,
        model: PreTrainedModel,
        train_ids: NDArray[np.int64],
        heldout_ids: NDArray[np.int64],
        settings: Settings,
        work: Path,
        *,
        compiled: bool = False,
    ) -> None:
        self.model, self.train_ids, self.settings = model, train_ids, settings
        self.heldout = windows(heldout_ids, settings.n_positions)
        self.checkpoint = work / CHECKPOINT
        self.optimizers = make_optimizers(model, settings.weight_decay)
        # Without tile registers (AMX), a CPU multiplies float32 faster than bfloat16.
        self.bfloat16 = settings.device == "cuda" or torch.cpu._is_amx_tile_supported()
        self.loss = torch.compile(self._loss) if compiled else self._loss
        self.step, self.train_loss = 0, math.nan
        self.history: list[dict[str, float]] = []
        self.best: dict[str, torch.Tensor] = {}

    def run(self, until: int = sys.maxsize, sample: Callable[[], str] | None = None) -> None:
        """Train until the last step, or until the held-out loss stops falling."""
        steps = min(self.settings.steps, until)
        columns = ("{task.description}", BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        shown = [TextColumn(each) if isinstance(each, str) else each for each in columns]
        with Progress(*shown, console=OpenConsole(highlight=False)) as progress:
            bar = progress.add_task("training", total=steps, completed=self.step)
            while self.step < steps and not self.stalled():
                with interrupts.held(SECONDS):
                    self.train_step()
                    said = f"loss {self.train_loss:.3f}"
                    progress.update(bar, completed=self.step, description=said)
                    if self.step % self.settings.evaluate_every == 0 or self.step == steps:
                        self.evaluate()
                        self._tell(progress.console, sample)

    def _tell(self, console: Console, sample: Callable[[], str] | None) -> None:
        heldout_loss = self.history[-1]["heldout_loss"]
        console.print(
            f"step {self.step}: training {self.train_loss:.3f}, "
            f"held out {heldout_loss:.4f} nats per token"
        )
        if sample:
            console.print(Text(sample(), style="dim"), soft_wrap=True)

    def _loss(self, rows: torch.Tensor) -> torch.Tensor:
        with torch.autocast(rows.device.type, torch.bfloat16, enabled=self.bfloat16):
            logits = self.model(rows[:, :-1], use_cache=False).logits
        return F.cross_entropy(logits.flatten(0, 1).float(), rows[:, 1:].flatten())

    def train_step(self) -> None:
        self.model.train()
        torch.manual_seed(self.settings.seed + self.step)
        loss = self.loss(self._batch())
        loss.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        for optimizer in self.optimizers.values():
            for group in optimizer.param_groups:
                group["lr"] = self._learning_rate()
            optimizer.step()
            optimizer.zero_grad()
        self.train_loss = float(loss.detach())
        self.step += 1

    def seconds_per_step(self, steps: int = 2) -> float:
        """How long a step takes here; the first one takes longer, and does not count."""
        self.train_step()
        start = time.perf_counter()
        for _ in range(steps):
            self.train_step()
        return (time.perf_counter() - start) / steps

    def _learning_rate(self) -> float:
        """Linear warm-up, then linear decay to nothing."""
        rise = (self.step + 1) / self.settings.warmup
        fall = (self.settings.steps - self.step) / (self.settings.steps - self.settings.warmup)
        return float(self.settings.lr * min(rise, fall))

    def _batch(self) -> torch.Tensor:
        """Each epoch cuts the stream at another offset and shuffles the windows."""
        length, size = self.settings.n_positions, self.settings.batch_size
        per_epoch = (len(self.train_ids) // length - 2) // size
        epoch, index = divmod(self.step, per_epoch)
        rng = np.random.default_rng((self.settings.seed, epoch))
        rows = windows(self.train_ids[rng.integers(length) :], length)
        chosen = rng.permutation(len(rows))[index * size : (index + 1) * size]
        return torch.from_numpy(rows[chosen]).to(self.settings.device)

    def evaluate(self) -> None:
        """Measure the held-out loss, and keep all that it takes to continue from here."""
        heldout_loss = self._heldout_loss()
        if heldout_loss < min((h["heldout_loss"] for h in self.history), default=math.inf):
            self.best = {k: v.detach().clone() for k, v in self.model.state_dict().items()}
        self.history.append(
            {
                "step": self.step,
                "train_loss": round(self.train_loss, 4),
                "heldout_loss": round(heldout_loss, 5),
            }
        )
        self._save()

    @torch.no_grad()
    def _heldout_loss(self) -> float:
        self.model.eval()
        total = tokens = 0.0
        for rows in np.array_split(self.heldout, math.ceil(len(self.heldout) / 32)):
            batch = torch.from_numpy(rows).to(self.settings.device)
            logits = self.model(batch[:, :-1], use_cache=False).logits
            total += F.cross_entropy(
                logits.flatten(0, 1), batch[:, 1:].flatten(), reduction="sum"
            ).item()
            tokens += batch[:, 1:].numel()
        return total / tokens

    @torch.no_grad()
    def write(self, prompt: list[int]) -> list[int]:
        """Tokens that the model, as it is now, continues a prompt with."""
        self.model.eval()
        generator = torch.Generator().manual_seed(self.settings.seed)
        ids = list(prompt)
        for _ in range(SAMPLE):
            known = torch.tensor([ids[-self.settings.n_positions :]], device=self.settings.device)
            logits = self.model(known, use_cache=False).logits[0, -1].float().cpu()
            shares = F.softmax(logits / TEMPERATURE, dim=-1)
            ids.append(int(torch.multinomial(shares, 1, generator=generator)))
        return ids[len(prompt) :]

    def stalled(self) -> bool:
        """Whether the held-out loss has stopped falling."""
        losses = [entry["heldout_loss"] for entry in self.history]
        return (
            len(losses) - 1 - int(np.argmin(losses)) >= self.settings.patience if losses else False
        )

    def is_kept(self) -> bool:
        """Whether the checkpoint is of this step."""
        return bool(self.history) and self.history[-1]["step"] == self.step

    def _save(self) -> None:
        tensors = dict(prefixed("model", self.model.state_dict()))
        tensors |= prefixed("best", self.best)
        for name, optimizer in self.optimizers.items():
            for index, state in optimizer.state_dict()["state"].items():
                tensors |= prefixed(f"{name}.{index}", state)
        # The head shares the storage of the embedding, which safetensors refuses to write twice.
        tensors = {k: v.clone() for k, v in tensors.items() if not k.endswith("lm_head.weight")}
        progress = json.dumps({"step": self.step, "history": self.history})
        partial = self.checkpoint.with_suffix(".partial")
        try:
            save_file(tensors, partial, metadata={"progress": progress})
        except (OSError, SafetensorError) as error:
            partial.unlink(missing_ok=True)
            raise InputError(
                f"{self.checkpoint} cannot be written ({reason(error)}); make room, and run the "
                "same command again: it continues from the last checkpoint"
            ) from None
        partial.replace(self.checkpoint)

    def restore(self) -> None:
        """Continue from the checkpoint, if there is one."""
        if not self.checkpoint.exists():
            return
        tensors = load_file(self.checkpoint)
        progress = json.loads(read_metadata(self.checkpoint)["progress"])
        self.step, self.history = progress["step"], progress["history"]
        self.train_loss = self.history[-1]["train_loss"]
        # What the head shares is not in the file, and comes with the embedding.
        self.model.load_state_dict(unprefixed("model", tensors), strict=False)
        self.best = unprefixed("best", tensors)
        for name, optimizer in self.optimizers.items():
            state: dict[int, dict[str, torch.Tensor]] = {}
            for key, tensor in unprefixed(name, tensors).items():
                index, _, field = key.partition(".")
                state.setdefault(int(index), {})[field] = tensor
            optimizer.load_state_dict(optimizer.state_dict() | {"state": state})


def make_optimizers(model: nn.Module, weight_decay: float) -> dict[str, torch.optim.Optimizer]:
    """Muon for the matrices of the blocks, and AdamW for all other parameters."""
    matrices: list[nn.Parameter] = []
    others: list[nn.Parameter] = []
    for name, parameter in model.named_parameters():
        in_block = ".h." in name or ".layers." in name
        (matrices if in_block and parameter.ndim == 2 else others).append(parameter)
    return {
        "muon": torch.optim.Muon(
            matrices, weight_decay=weight_decay, adjust_lr_fn="match_rms_adamw"
        ),
        "adamw": torch.optim.AdamW(others, betas=(0.9, 0.95), weight_decay=0.0, fused=True),
    }


def windows(ids: NDArray[np.int64], length: int) -> NDArray[np.int64]:
    """Cut a stream into rows of `length + 1` ids; a row's last id begins the next row."""
    count = (len(ids) - 1) // length
    return np.lib.stride_tricks.sliding_window_view(ids, length + 1)[::length][:count].copy()


def prefixed(prefix: str, state: dict[str, torch.Tensor]) -> Iterator[tuple[str, torch.Tensor]]:
    """Entries with a prefix before their names."""
    return ((f"{prefix}.{key}", value) for key, value in state.items())


def unprefixed(prefix: str, tensors: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """The entries with a prefix, without it."""
    return {k[len(prefix) + 1 :]: v for k, v in tensors.items() if k.startswith(prefix + ".")}


def read_metadata(path: Path) -> dict[str, Any]:
    """What a safetensors file says beside its tensors."""
    with safe_open(path, "pt") as file:
        return dict(file.metadata())
