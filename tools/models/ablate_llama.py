"""What each change from GPT-2 to Llama is worth: the bundled GPT-2 with one of them at a time.

    python -m tools.models.ablate_llama --text fairy_tales.txt

Each takes the first 400 steps of the schedule, as the bundled models did with none of the changes
and with all. The held-out losses go to book/src/data/ablation.json. Needs the `train` extra; goes
on where it was interrupted.
"""

import json
from argparse import Namespace
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from tools.models import train_model
from tutor import ROOT
from tutor.engine.checkpoint import BUNDLED

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
    train_tales, heldout_tales = train_model.split_tales(
        options.text, options.heldout, options.seed
    )
    tokenizer = train_model.train_tokenizer(train_tales, options.vocab_size)
    train_ids = train_model.encode(tokenizer, train_tales)
    heldout_ids = train_model.encode(tokenizer, heldout_tales)
    work, options.until = options.work.parent, STEPS
    none, everything = (
        json.loads((folder / "training.json").read_text(encoding="utf-8")) for folder in BUNDLED
    )
    rows = {
        "none": row("GPT-2", none["parameters"], none["history"]),
        "all": row("Llama: all of these", everything["parameters"], everything["history"]),
    }
    for change, name in CHANGES.items():
        options.work = work / f"ablation-{change}"
        options.work.mkdir(parents=True, exist_ok=True)
        torch.manual_seed(options.seed)
        model = make_model(change, options)
        _, history = train_model.Trainer(model, train_ids, heldout_ids, options).run()
        rows[change] = row(name, sum(p.numel() for p in model.parameters()), history)
        RESULT.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


def row(name: str, parameters: int, history: Iterable[dict[str, Any]]) -> dict[str, Any]:
    losses = {e["step"]: e["heldout_loss"] for e in history if e["step"] <= STEPS}
    return {"name": name, "parameters": parameters, "heldout_loss": losses}


def make_model(change: str, options: Namespace) -> PreTrainedModel:
    """Hugging Face's Llama with GPT-2's part wherever that is not what changes."""
    width, heads = options.n_embd, options.n_head
    config = LlamaConfig(
        vocab_size=options.vocab_size,
        max_position_embeddings=options.n_positions,
        hidden_size=width,
        num_hidden_layers=options.n_layer,
        num_attention_heads=heads,
        num_key_value_heads=options.groups if change == "groups" else heads,
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
        body.embed_tokens = TokensAndPositions(options.vocab_size, width, options.n_positions)
        body.rotary_emb = NoRotation(width // heads)
        model.lm_head.weight = body.embed_tokens.weight
    train_model.begin_as_gpt2(model, options)
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
