"""Text from a model folder or a Hub name, with the reference or the learner's own steps."""

import importlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console

from tutor import ROOT, runtime
from tutor.errors import InputError

if TYPE_CHECKING:
    from max.experimental.tensor import Tensor

BUNDLED_MODEL = ROOT / "models" / "fairy-tales"
TREES = ("solutions", "steps")
FILES = ("config.json", "model.safetensors", "tokenizer.json")

# Entries of config.json that change what a GPT-2 computes, and the values that ours computes.
SUPPORTED = {
    "model_type": ("gpt2",),
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}


class Tokenizer:
    """The tokenizer of a model folder, from its tokenizer.json, as generation wants it."""

    def __init__(self, path: Path) -> None:
        from tokenizers import Tokenizer as FastTokenizer

        self._tokenizer = FastTokenizer.from_file(str(path))

    def encode(self, text: str, /) -> list[int]:
        ids: list[int] = self._tokenizer.encode(text).ids
        return ids

    def decode(self, token_ids: list[int], /) -> str:
        text: str = self._tokenizer.decode(token_ids, skip_special_tokens=False)
        return text

    def end_of_text(self) -> int | None:
        """The token with which GPT-2 ends a text."""
        token: int | None = self._tokenizer.token_to_id("<|endoftext|>")
        return token


class CompiledModel:
    """A model compiled for any batch and length, with its config: [B, T] int64 -> [B, T, V]."""

    def __init__(self, model: Any, device: Any) -> None:
        from max.dtype import DType
        from max.experimental.tensor import TensorType

        self.config = model.config
        self._run = model.compile(TensorType(DType.int64, ["batch", "length"], device=device))

    def __call__(self, input_ids: "Tensor", /) -> "Tensor":
        logits: Tensor = self._run(input_ids)
        return logits


def load_step(tree: str, number: int) -> ModuleType:
    """The module of a step in either tree."""
    runtime.activate()
    name = f"{tree}.{tree.removesuffix('s')}_{number:02}"
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and name.startswith(error.name):
            path = name.replace(".", "/") + ".py"
            raise InputError(f"{path} is not there; --tree takes {' or '.join(TREES)}") from None
        raise


def find_model(name: str | None) -> Path:
    """The folder of a model: the bundled one, a local folder, or a name on the Hugging Face Hub."""
    if name is None:
        return BUNDLED_MODEL
    if Path(name).is_dir():
        return Path(name)
    if Path(name).exists() or name.startswith((".", "/", "~")):
        raise InputError(f"{name} is not a folder; --model takes a folder or a Hub name, like gpt2")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(FILES)))
    except (HFValidationError, RepositoryNotFoundError):
        raise InputError(
            f"{name} is neither a folder nor a model on the Hugging Face Hub"
        ) from None
    except Exception as error:
        # The Hub's client raises whatever its HTTP library does; all mean the same to the user.
        reason = str(error).strip().split("\n")[0]
        raise InputError(
            f"cannot fetch {name} from the Hugging Face Hub ({reason}); check the network, "
            "give a local folder, or leave out --model"
        ) from None


def check_folder(folder: Path) -> None:
    """Refuse, in one line, a folder that is no GPT-2 as this course builds it."""
    for file in FILES:
        if not (folder / file).is_file():
            raise InputError(f"{folder} has no {file}; a model folder holds {', '.join(FILES)}")
    path = folder / "config.json"
    try:
        entries = json.loads(path.read_text())
    except ValueError as error:
        raise InputError(f"{path} is not JSON ({error}); fetch it anew") from None
    if not isinstance(entries, dict):
        raise InputError(f"{path} holds no settings; fetch it anew")
    for name, supported in SUPPORTED.items():
        if name in entries and entries[name] not in supported:
            raise InputError(
                f"{path} has {name} {entries[name]!r}, but GPT-2 here has {supported[0]!r}; "
                "choose another model"
            )


def load_model(folder: Path, tree: str = "solutions") -> CompiledModel:
    """The model in a folder, compiled; the first time for new code that takes a minute or two."""
    from max.driver import CPU
    from safetensors import SafetensorError

    loading = load_step(tree, 11)
    try:
        model = loading.load_pretrained(folder)
    except SafetensorError as error:
        raise InputError(f"{folder / FILES[1]} is damaged ({error}); fetch it anew") from None
    except (ValueError, TypeError) as error:
        raise InputError(f"{folder} cannot be loaded: {error}") from None
    return CompiledModel(model, CPU())


def load_tokenizer(folder: Path) -> Tokenizer:
    """The tokenizer of a model folder."""
    try:
        return Tokenizer(folder / FILES[2])
    except Exception as error:  # the library raises nothing narrower
        raise InputError(f"{folder / FILES[2]} cannot be read ({error}); fetch it anew") from None


def encode_prompt(prompt: str, tokenizer: Tokenizer, config: Any) -> list[int]:
    """The token ids of a prompt, if the model can go on from them."""
    ids = tokenizer.encode(prompt)
    if len(ids) > config.n_positions:
        raise InputError(
            f"the prompt has {len(ids)} tokens, but the model sees {config.n_positions} at most; "
            "shorten it"
        )
    if max(ids) >= config.vocab_size:
        raise InputError(
            f"the tokenizer made token {max(ids)}, but the model knows {config.vocab_size}; "
            "take both from the same folder"
        )
    return ids


def stream_text(
    model: CompiledModel,
    tokenizer: Tokenizer,
    prompt_ids: list[int],
    max_new_tokens: int,
    temperature: float = 1.0,
    do_sample: bool = True,
    *,
    seed: int | None = None,
    tree: str = "solutions",
) -> Iterator[tuple[str, int]]:
    """Yield the text after the prompt piece by piece, and how many tokens each piece took.

    Stops early where the model ends its text. A character of several tokens comes whole.
    """
    from max.experimental import functional as F
    from max.experimental.tensor import Tensor

    generate_next_token = load_step(tree, 12).generate_next_token
    rng = np.random.default_rng(seed)
    input_ids = Tensor.from_dlpack(np.array([prompt_ids], dtype=np.int64))
    end = tokenizer.end_of_text()
    new_ids: list[int] = []
    shown, pending = "", 0
    for remaining in reversed(range(max_new_tokens)):
        next_id = generate_next_token(model, input_ids, temperature, do_sample, rng=rng)
        if next_id.item() == end:
            break
        input_ids = F.concat([input_ids, next_id], axis=1)
        new_ids.append(int(next_id.item()))
        pending += 1
        text = tokenizer.decode(new_ids)
        if text.endswith("\N{REPLACEMENT CHARACTER}") and remaining:
            continue
        yield text[len(shown) :], pending
        shown, pending = text, 0


@contextmanager
def patience(console: Console, task: str, after: float = 5.0) -> Iterator[None]:
    """Show that something is under way; say after a while that it compiles."""
    with console.status(task) as status:

        def explain() -> None:
            status.update(f"{task}: compiling it for this machine, once; a minute or two …")
            if not console.is_terminal:
                console.print(f"{task}: compiling it, once; a minute or two …")

        timer = threading.Timer(after, explain)
        timer.start()
        try:
            yield
        finally:
            timer.cancel()
