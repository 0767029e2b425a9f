"""A trained model as a Hugging Face folder."""

import json
from pathlib import Path

import transformers
from safetensors import SafetensorError
from tokenizers import Tokenizer
from transformers import PreTrainedModel, PreTrainedTokenizerFast

from tutor.engine.tokenizer import END_OF_TEXT
from tutor.errors import InputError, reason


def export(model: PreTrainedModel, tokenizer: Tokenizer, folder: Path) -> None:
    """Write a Hugging Face folder, the weights as float16."""
    transformers.utils.logging.disable_progress_bar()
    folder.mkdir(parents=True, exist_ok=True)
    if model.config.model_type == "gpt2":
        model.config.activation_function = "gelu_new"
    try:
        model.half().save_pretrained(folder)
    except SafetensorError as error:
        raise InputError(
            f"the model cannot be written to {folder} ({reason(error)}); make room, and run the "
            "same command again"
        ) from None
    write_tokenizer(tokenizer, folder, model.config.max_position_embeddings)


def write_tokenizer(tokenizer: Tokenizer, folder: Path, n_positions: int) -> None:
    """The tokenizer, as transformers 4 and 5 read it."""
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        bos_token=END_OF_TEXT,
        eos_token=END_OF_TEXT,
        unk_token=END_OF_TEXT,
        model_max_length=n_positions,
        clean_up_tokenization_spaces=False,
    ).save_pretrained(folder)
    # transformers 5 names a class that transformers 4 does not know; both know this one.
    settings = folder / "tokenizer_config.json"
    entries = json.loads(settings.read_text()) | {"tokenizer_class": "PreTrainedTokenizerFast"}
    settings.write_text(json.dumps(entries, indent=2) + "\n")
