"""Model folders: where they come from, and whether they hold a model as this course builds it."""

import json
from pathlib import Path

import psutil

from tutor import ROOT
from tutor.engine import settings, weights
from tutor.engine.settings import CONFIG, GENERATION
from tutor.engine.tokenizer import TOKENIZER, TWO_FILES
from tutor.engine.weights import INDEX, WEIGHTS
from tutor.errors import InputError

BUNDLED = tuple(ROOT / "models" / name for name in ("fairy-tales", "llama-tales"))
BUNDLED_MODEL = BUNDLED[0]  # unless another is named
FILES = (CONFIG, WEIGHTS, TOKENIZER)  # of a folder as most are
CONTEXT = 4096  # positions that are reserved, unless the model has fewer or another number is given
PICKLES = ("*.bin", "*.pt", "*.pth", "*.ckpt", "*.pkl")


def find_model(name: str | None) -> Path:
    """The folder of a model: a bundled one, a local folder, or a name on the Hugging Face Hub."""
    path = local_folder(name)
    try:
        if name != "" and path.is_dir():
            return path
        is_local = not name or name.startswith((".", "/", "~")) or path.exists()
    except OSError as error:
        raise InputError(f"--model {name!r} cannot be opened: {error.strerror}") from None
    if is_local or name is None:
        raise InputError(f"--model {name!r} is no folder; give a folder or a Hub name, like gpt2")
    return fetch_model(name)


def local_folder(name: str | None) -> Path:
    """Where a model is if it is here: `llama-tales` is a bundled one, `./llama-tales` is not."""
    if name is None:
        return BUNDLED_MODEL
    return next((folder for folder in BUNDLED if folder.name == name), Path(name))


def fetch_model(name: str) -> Path:
    """The folder of a model from the Hugging Face Hub; kept, so that it is downloaded once."""
    folder = download(name, [*FILES, GENERATION, INDEX])
    more = [] if (folder / TOKENIZER).is_file() else [*TWO_FILES]
    if (folder / INDEX).is_file() and not (folder / WEIGHTS).is_file():
        more += sorted(set(weights.read_index(folder / INDEX, complete=False).values()))
    return download(name, more) if more else folder


def download(name: str, files: list[str]) -> Path:
    """The folder of a model from the Hugging Face Hub, with those of these files that it has."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HFValidationError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(name, allow_patterns=files))
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
    """Refuse, in one line, a folder that holds no model as this course builds it."""
    if missing := what_is_missing(folder):
        raise InputError(f"{folder} has no {missing}")
    entries = settings.read_config(folder / CONFIG)
    tensors = weights.check(folder)
    # Only to build so many layers could take forever; all else that does not fit shows on loading.
    for name in settings.find_family(folder).counts:
        if entries.get(name, 0) > tensors:
            raise InputError(
                f"{folder / CONFIG} has {name} {entries[name]}, but {WEIGHTS} has no more than "
                f"{tensors} tensors; take both from the same model"
            )


def choose_context(folder: Path, known: int, wanted: int | None) -> int:
    """How many positions to reserve, of those that a model knows."""
    if wanted is None:
        return min(known, CONTEXT)
    if not 1 <= wanted <= known:
        raise InputError(
            f"--context must be 1 to {known}, the positions that the model in {folder} knows, "
            f"but is {wanted}"
        )
    return wanted


def check_memory(folder: Path, columns: int, context: int) -> None:
    """Refuse a model that is larger than the memory that is free.

    A number takes 4 bytes, in the weights and in the columns of the cache, one for each position.
    """
    parameters = weights.count_numbers(folder)
    needed, free = 4 * (parameters + columns * context), psutil.virtual_memory().available
    if needed > free:
        raise InputError(
            f"{folder} needs {needed / 1e9:.1f} GB of memory, {4 * parameters / 1e9:.1f} for "
            f"{parameters:,} parameters in float32, the rest for a cache of {context:,} "
            f"positions, but {free / 1e9:.1f} GB are free; choose a smaller model or --context"
        )


def is_plain(folder: Path) -> bool:
    """Whether the step that loads can read a checked folder by itself."""
    encoding = json.detect_encoding((folder / CONFIG).read_bytes())
    return encoding == "utf-8" and weights.is_plain(folder)


def what_is_missing(folder: Path) -> str:
    """The first file that a folder lacks, and what to do; nothing if it has all.

    A model without a tokenizer takes token ids, and gives some.
    """

    def has(*files: str) -> bool:
        return all((folder / file).is_file() for file in files)

    if not has(CONFIG):
        return f"{CONFIG}; a model folder holds {', '.join(FILES)}"
    if not (has(WEIGHTS) or has(INDEX)):
        if pickles := sorted(file.name for kind in PICKLES for file in folder.glob(kind)):
            return (
                f"{WEIGHTS}, but {pickles[0]}, a pickle, which could run any code when it is read; "
                "save the model as safetensors"
            )
        return f"{WEIGHTS}; a model folder holds {', '.join(FILES)}"
    return ""
