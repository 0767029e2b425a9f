"""What each change from GPT-2 to Llama is worth: the bundled GPT-2 with one of them at a time.

    python -m tools.models.ablate_llama --text fairy_tales.txt

Each takes the first 400 steps of the schedule, as the bundled models did with none of the changes
and with all. The held-out losses go to book/src/data/ablation.json. Needs the `train` extra; goes
on where it was interrupted.
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from tools.models import train_model
from tutor import ROOT
from tutor.engine.checkpoint import BUNDLED
from tutor.train.data import prepare
from tutor.train.models import begin_as_gpt2, count
from tutor.train.settings import Settings
from tutor.train.trainer import Trainer

CHANGES = {
    "norm": "RMSNorm",
    "groups": "groups of heads",
    "mlp": "SwiGLU",
    "positions": "rotary positions",
}
RESULT = ROOT / "book" / "src" / "data" / "ablation.json"
STEPS = 400


def main() -> None:
    options = train_model.parse_options()
    train_model.begin(options)
    settings = train_model.settings_of(options)
    train_tales, heldout_tales = train_model.split_tales(options.text, settings)
    data = prepare(train_tales, heldout_tales, settings.vocab_size)
    none, everything = (
        json.loads((folder / "training.json").read_text(encoding="utf-8")) for folder in BUNDLED
    )
    rows = {
        "none": row("GPT-2", none["parameters"], none["history"]),
        "all": row("Llama: all of these", everything["parameters"], everything["history"]),
    }
    for change, name in CHANGES.items():
        work = options.work.parent / f"ablation-{change}"
        work.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(settings.seed)
        model = make_model(change, settings)
        trainer = Trainer(model, data.train_ids, data.heldout_ids, settings, work, compiled=True)
        trainer.restore()
        trainer.run(STEPS)
        rows[change] = row(name, count(model), trainer.history)
        RESULT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def row(name: str, parameters: int, history: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    losses = {entry["step"]: entry["heldout_loss"] for entry in history if entry["step"] <= STEPS}
    return {"name": name, "parameters": parameters, "heldout_loss": losses}


def make_model(change: str, settings: Settings) -> PreTrainedModel:
    """Hugging Face's Llama with GPT-2's part wherever that is not what changes."""
    width, heads = settings.n_embd, settings.n_head
    config = LlamaConfig(
        vocab_size=settings.vocab_size,
        max_position_embeddings=settings.n_positions,
        hidden_size=width,
        num_hidden_layers=settings.n_layer,
        num_attention_heads=heads,
        num_key_value_heads=settings.groups if change == "groups" else heads,
        intermediate_size=4 * width * 2 // 3,  # as many numbers in three matrices as in GPT-2's two
        attention_bias=True,
        mlp_bias=True,
        rms_norm_eps=1e-5,
        tie_word_embeddings=True,
    )
    model = LlamaForCausalLM(config)
    body = model.model
    for block in body.layers:
        if change != "mlp":
            block.mlp = GELUMLP(width)
        if change != "norm":
            block.input_layernorm = nn.LayerNorm(width)
            block.post_attention_layernorm = nn.LayerNorm(width)
    if change != "norm":
        body.norm = nn.LayerNorm(width)
    if change != "positions":
        body.embed_tokens = TokensAndPositions(settings.vocab_size, width, settings.n_positions)
        body.rotary_emb = NoRotation(width // heads)
        model.lm_head.weight = body.embed_tokens.weight
    begin_as_gpt2(model, settings)
    return model


class GELUMLP(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.up_proj, self.down_proj = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)
        nn.init.normal_(self.up_proj.weight, std=0.02)
        nn.init.zeros_(self.up_proj.bias)
        nn.init.zeros_(self.down_proj.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.down_proj(F.gelu(self.up_proj(x), approximate="tanh"))


class TokensAndPositions(nn.Embedding):
    def __init__(self, vocab_size: int, width: int, n_positions: int) -> None:
        super().__init__(vocab_size, width)
        self.positions = nn.Parameter(torch.empty(n_positions, width))
        for table in (self.weight, self.positions):
            nn.init.normal_(table, std=0.02)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        return super().forward(ids) + self.positions[: ids.shape[1]]


class NoRotation(nn.Module):
    """Turns every query and key by nothing."""

    def __init__(self, head_dim: int) -> None:
        super().__init__()
        self.head_dim = head_dim

    def forward(self, x: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, ...]:
        ones = x.new_ones(*position_ids.shape, self.head_dim)
        return ones, torch.zeros_like(ones)


if __name__ == "__main__":
    main()
