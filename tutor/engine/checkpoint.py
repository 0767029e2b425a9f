"""Model folders: where they come from, and whether they hold a GPT-2 as this course builds it."""

import json
import math
import reprlib
from pathlib import Path
from typing import Any

from tutor import ROOT
from tutor.errors import InputError, reason

BUNDLED_MODEL = ROOT / "models" / "fairy-tales"
CONFIG, WEIGHTS, TOKENIZER = FILES = ("config.json", "model.safetensors", "tokenizer.json")

# Entries of config.json that change what a GPT-2 computes, and the values that ours computes.
SUPPORTED = {
    "model_type": ("gpt2",),
    "activation_function": ("gelu_new", "gelu_pytorch_tanh"),
    "scale_attn_weights": (True,),
    "scale_attn_by_inverse_layer_idx": (False,),
    "add_cross_attention": (False,),
}
SIZES = ("vocab_size", "n_positions", "n_embd", "n_layer", "n_head", "n_inner")
LARGEST_SIZE = 10**6  # no GPT-2 has more of anything
# What NumPy can read of what safetensors can hold; the last two are for mask buffers.
DTYPES = ("F16", "F32", "F64", "U8", "BOOL")


def find_model(name: str | None) -> Path:
    """The folder of a model: the bundled one, a local folder, or a name on the Hugging Face Hub."""
    if name is None:
        return BUNDLED_MODEL
    path = Path(name)
    try:
        if name and path.is_dir():
            return path
        is_local = not name or name.startswith((".", "/", "~")) or path.exists()
    except OSError as error:
        raise InputError(f"--model {name!r} cannot be opened: {error.strerror}") from None
    if is_local:
        raise InputError(f"--model {name!r} is no folder; give a folder or a Hub name, like gpt2")
    return fetch_model(name)


def fetch_model(name: str) -> Path:
    """The folder of a model from the Hugging Face Hub; kept, so that it is downloaded once."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=list(FILES)))
    except (HFValidationError, RepositoryNotFoundError):
        raise InputError(
            f"--model {name!r} is neither a folder here nor a model on the Hugging Face Hub; "
            "check the spelling"
        ) from None
    except Exception as error:
        # The Hub's client raises whatever its HTTP library does; all mean the same to the user.
        raise InputError(
            f"cannot fetch {name!r} from the Hugging Face Hub ({type(error).__name__}); "
            "check the network, give a local folder, or leave out --model"
        ) from None


def check_folder(folder: Path) -> None:
    """Refuse, in one line, a folder that is no GPT-2 as this course builds it."""
    for file in FILES:
        if not (folder / file).is_file():
            raise InputError(f"{folder} has no {file}; a model folder holds {', '.join(FILES)}")
    entries = read_config(folder / CONFIG)
    tensors = count_tensors(folder / WEIGHTS)
    # Only to build so many layers could take forever; all else that does not fit shows on loading.
    if entries.get("n_layer", 0) > tensors:
        raise InputError(
            f"{folder / CONFIG} has n_layer {entries['n_layer']}, but {WEIGHTS} has no more than "
            f"{tensors} tensors; take both from the same model"
        )


def read_config(path: Path) -> dict[str, Any]:
    """The entries of a config.json, if they are a GPT-2's."""
    try:
        entries = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path} is not JSON ({reason(error)}); fetch it anew") from None
    if not isinstance(entries, dict):
        raise InputError(f"{path} holds no settings; fetch it anew")
    for name, value in entries.items():
        if wanted := what_is_wanted(name, value):
            found = reprlib.repr(value)
            raise InputError(f"{path} has {name} {found}, not {wanted}; choose another model")
    return entries


def what_is_wanted(name: str, value: Any) -> str:
    """What an entry of config.json ought to be; nothing if it is that, or does not matter."""
    if name in SUPPORTED and value not in SUPPORTED[name]:
        return f"{SUPPORTED[name][0]!r}, as in the GPT-2 of this course"
    if name == "n_inner" and value is None:
        return ""
    if name in SIZES and not (type(value) is int and 1 <= value <= LARGEST_SIZE):
        return f"a whole number from 1 to {LARGEST_SIZE:,}"
    if name == "layer_norm_epsilon" and not (type(value) in (int, float) and 0 < value < math.inf):
        return "a small number above 0"
    return ""


def count_tensors(path: Path) -> int:
    """How many tensors a safetensors file has, if it is whole and NumPy can read them all."""
    from safetensors import SafetensorError, safe_open

    path.open("rb").close()  # safetensors says of a file that it may not open that there is none
    try:
        with safe_open(path, "numpy") as file:
            names = file.keys()
            dtypes = {name: file.get_slice(name).get_dtype() for name in names}
    except SafetensorError as error:
        raise InputError(
            f"{path} is damaged, or no safetensors file ({reason(error)}); fetch it anew"
        ) from None
    for name, dtype in dtypes.items():
        if dtype not in DTYPES:
            raise InputError(f"{path} has {name} in {dtype}; save it as F16 or F32")
    return len(dtypes)
