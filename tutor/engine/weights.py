"""The weights of a model folder, named as the steps know them: from one safetensors file or many.

Read leniently: bfloat16, the prefixes that wrappers leave, other heads, buffers. Never a pickle.
"""

import json
import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tutor.engine import settings
from tutor.engine.family import Family
from tutor.errors import InputError, reason

State = Mapping[str, NDArray[Any]]

WEIGHTS, INDEX = "model.safetensors", "model.safetensors.index.json"
MOST_FILES = 1000  # that an index may name

# How the numbers of a weight are stored; bfloat16 is the upper half of a float32.
FLOATS = {"F16": "<f2", "F32": "<f4", "F64": "<f8", "BF16": "<u2"}

# What torch.compile and others put into names, at any place.
WRAPPERS = re.compile(
    r"(?<![^.])(_orig_mod|_fsdp_wrapped_module|_checkpoint_wrapped_module|_forward_module)\."
)
HEAD = "lm_head."
OTHER_HEAD = re.compile(r"[^.]*head[^.]*|score|classifier|qa_outputs")


@dataclass(frozen=True)
class Entry:
    """A tensor in a safetensors file: what it is called there, and where its numbers are."""

    name: str
    file: Path
    dtype: str
    shape: list[int]
    start: int

    def read(self) -> NDArray[Any]:
        """Its numbers, bfloat16 as float32."""
        numbers = np.fromfile(
            self.file, FLOATS[self.dtype], math.prod(self.shape), offset=self.start
        )
        if self.dtype == "BF16":
            numbers = (numbers.astype(np.uint32) << 16).view(np.float32)
        return numbers.reshape(self.shape)


class Tensors(State):
    """Tensors by name, each read anew when it is asked for: only what is kept takes memory."""

    def __init__(self, entries: dict[str, Entry]) -> None:
        self._entries = entries

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self._entries[name].read()

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)


def read(folder: Path) -> State:
    """The weights of a checked folder, under the names that its step converts."""
    return Tensors(select(find(folder), settings.find_family(folder)))


def is_plain(folder: Path) -> bool:
    """Whether the step that loads can read the weights by itself."""
    family = settings.find_family(folder)
    is_one, is_many = ((folder / file).is_file() for file in (WEIGHTS, INDEX))
    # Where there are both, a step that knows an index may take either.
    if (is_one and is_many) if family.reads_many else not is_one:
        return False
    found = find(folder)
    kept = select(found, family)
    return all(
        entry.dtype in family.dtypes and (kept.get(name) is entry or name.endswith(family.skipped))
        for name, entry in found.items()
    )


def count_numbers(folder: Path) -> int:
    """How many numbers the weights of a checked folder are."""
    kept = select(find(folder), settings.find_family(folder))
    return sum(math.prod(entry.shape) for entry in kept.values())


def check(folder: Path) -> int:
    """How many tensors a folder has, if its files are whole and hold numbers that can be read."""
    found, family = find(folder), settings.find_family(folder)
    for entry in select(found, family).values():
        if entry.dtype not in FLOATS:
            raise InputError(
                f"{entry.file} has {entry.name} in {entry.dtype}; save it as F16, BF16 or F32"
            )
        is_matrix = family.transposed and entry.name.endswith(family.transposed)
        if is_matrix and len(entry.shape) == 2 and entry.shape[0] == 3 * entry.shape[1]:
            raise InputError(
                f"{entry.file} has {entry.name} as {entry.shape}, [out, in], where Hugging "
                "Face's GPT-2 has [in, out]; transpose c_attn, c_proj and c_fc, and save it again"
            )
    return len(found)


def find(folder: Path) -> dict[str, Entry]:
    """All tensors of a folder, by their names in its files."""
    if (folder / WEIGHTS).is_file():
        return read_header(folder / WEIGHTS)
    files = read_index(folder / INDEX)
    headers = {file: read_header(folder / file) for file in sorted(set(files.values()))}
    for name, file in files.items():
        if name not in headers[file]:
            raise InputError(
                f"{folder / file} lacks {name}, which {INDEX} has there; fetch both anew"
            )
    return {name: headers[file][name] for name, file in files.items()}


def read_index(path: Path, *, complete: bool = True) -> dict[str, str]:
    """The file of each tensor, as an index tells it; all of them are in the folder itself.

    Unless the index came first, and they do not have to be there yet.
    """
    files = settings.read_json(path).get("weight_map")
    if not (isinstance(files, dict) and files):
        raise InputError(f"{path} has no weight_map; fetch it anew")
    for file in files.values():
        if not (isinstance(file, str) and re.fullmatch(r"[\w-][\w.-]*\.safetensors", file)):
            raise InputError(
                f"{path} names {str(file)!r:.80}, which is no safetensors file of its folder; "
                "choose another model"
            )
    names = sorted(set(files.values()))
    if len(names) > MOST_FILES:
        raise InputError(f"{path} names {len(names)} files; no model has more than {MOST_FILES}")
    for name in names if complete else []:
        if not (path.parent / name).is_file():
            raise InputError(f"{path.parent} has no {name}, which {INDEX} names; fetch it, too")
    return files


def read_header(path: Path) -> dict[str, Entry]:
    """The tensors of a safetensors file, if it is whole."""
    from safetensors import SafetensorError, safe_open

    path.open("rb").close()  # safetensors says of a file that it may not open that there is none
    try:
        with safe_open(path, "numpy"):  # checks that every tensor lies within the file
            pass
    except SafetensorError as error:
        raise InputError(
            f"{path} is damaged, or no safetensors file ({reason(error)}); fetch it anew"
        ) from None
    with path.open("rb") as file:
        size = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(size))
    return {
        name: Entry(name, path, each["dtype"], each["shape"], 8 + size + each["data_offsets"][0])
        for name, each in header.items()
        if name != "__metadata__"
    }


def select(found: dict[str, Entry], family: Family) -> dict[str, Entry]:
    """The tensors that make a model, by the names that its step knows them by.

    What cannot be told from a weight is kept, for that step to refuse.
    """
    names = {name: WRAPPERS.sub("", name) for name in found}
    outer = find_prefix(names.values(), family)
    has_trunk = f"{outer}{family.trunk}{family.body[0]}.weight" in names.values()
    selected: dict[str, Entry] = {}
    for name, unwrapped in names.items():
        own = unwrapped.removeprefix(outer)
        is_outside = not unwrapped.startswith(outer) and not own.startswith(HEAD)
        is_buffer = is_whole(own, found[name].dtype) or re.fullmatch(family.buffers, own)
        if is_outside or is_buffer or is_other_head(own, family, has_trunk):
            continue
        if family.is_trunk_needed and own.partition(".")[0] in family.body:
            own = family.trunk + own
        if own in selected:
            raise InputError(
                f"{found[name].file} has {own} twice, as {selected[own].name} and {name}; "
                "save the weights of one model"
            )
        selected[own] = found[name]
    return selected


def find_prefix(names: Iterable[str], family: Family) -> str:
    """What stands before the names of a model, as where it is part of a larger one."""
    embedding = f"{family.body[0]}.weight"  # there is one in every file
    prefixes = {
        name.removesuffix(embedding).removesuffix(family.trunk)
        for name in names
        if f".{name}".endswith(f".{embedding}")
    }
    return prefixes.pop() if len(prefixes) == 1 else ""


def is_whole(name: str, dtype: str) -> bool:
    """Whether a tensor has whole numbers, as masks and the like have: nothing that was learned."""
    last = name.rpartition(".")[2]
    return dtype not in FLOATS and not dtype.startswith("F") and last not in ("weight", "bias")


def is_other_head(name: str, family: Family, has_trunk: bool) -> bool:
    """Whether a tensor belongs to another head than the one for language."""
    first = name.partition(".")[0]
    if has_trunk:
        return first not in (family.trunk.rstrip("."), "lm_head", *family.body)
    return first != "lm_head" and bool(OTHER_HEAD.fullmatch(first))
