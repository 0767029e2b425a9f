"""A GPT-2 or a Llama that has learned nothing yet, as Hugging Face's classes have it."""

import math

from torch import nn
from torch.nn import functional as F
from transformers import (
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

from tutor.train.settings import Settings


def make_model(settings: Settings) -> PreTrainedModel:
    """A model of the architecture and the sizes that the settings name."""
    make = {"gpt2": make_gpt2, "llama": make_llama}[settings.architecture]
    return make(settings).to(settings.device)


def make_gpt2(settings: Settings) -> PreTrainedModel:
    """Without dropout in attention, and without a token that only begins texts."""
    return GPT2LMHeadModel(
        GPT2Config(
            vocab_size=settings.vocab_size,
            n_positions=settings.n_positions,
            n_embd=settings.n_embd,
            n_layer=settings.n_layer,
            n_head=settings.n_head,
            activation_function="gelu_pytorch_tanh",  # gelu_new, fused; exported under that name
            resid_pdrop=settings.dropout,
            embd_pdrop=settings.dropout,
            attn_pdrop=0.0,  # PyTorch has no fused CPU attention with dropout
            bos_token_id=0,
            eos_token_id=0,
        )
    )


def make_llama(settings: Settings) -> PreTrainedModel:
    """With the embedding as its head, as GPT-2 has it."""
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=settings.vocab_size,
            max_position_embeddings=settings.n_positions,
            hidden_size=settings.n_embd,
            num_hidden_layers=settings.n_layer,
            num_attention_heads=settings.n_head,
            num_key_value_heads=settings.groups,
            intermediate_size=settings.n_inner,
            rms_norm_eps=1e-5,
            tie_word_embeddings=True,
            bos_token_id=0,
            eos_token_id=0,
        )
    )
    begin_as_gpt2(model, settings)
    return model


def begin_as_gpt2(model: nn.Module, settings: Settings) -> None:
    """Dropout where GPT-2 has it, and its smaller start for what the stream gets added."""
    for name, module in model.named_modules():
        if name.endswith(("embed_tokens", "o_proj", "down_proj")):
            module.register_forward_hook(
                lambda module, _, output: F.dropout(output, settings.dropout, module.training)
            )
        if name.endswith(("o_proj", "down_proj")):
            nn.init.normal_(module.weight, std=0.02 / math.sqrt(2 * settings.n_layer))


def count(model: nn.Module) -> int:
    """The parameters of a model."""
    return sum(parameter.numel() for parameter in model.parameters())
