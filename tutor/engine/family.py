"""What the engine has to know of a family of models: how folders are read, and what makes them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from tutor.course.registry import Role
from tutor.engine.entries import Entries, Rule

State = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Family:
    """Models of one model_type. The functions take the module of a step, of either tree."""

    label: str  # what people call it
    # config.json
    rules: Mapping[str, Rule]  # for the entries that are there
    needed: tuple[str, ...]  # entries that have to be there
    counts: tuple[str, ...]  # entries that say of how many parts the model is made
    fault: Callable[[Entries], str]  # what is wrong with several entries at once, or nothing
    # Weights
    trunk: str  # what stands before the names of all but the head
    is_trunk_needed: bool  # by the step that loads
    body: tuple[str, ...]  # the parts after the trunk; the first is the embedding
    buffers: str  # a pattern for names that are no weights
    transposed: str  # the end of the name of a matrix that is [in, 3 in] in the file
    # What the step that loads reads by itself: types, buffers that it skips, and many files
    dtypes: tuple[str, ...]
    skipped: tuple[str, ...]
    reads_many: bool
    # Steps
    sizes: Role
    make_config: Callable[[Any, Entries], Any]
    positions: str  # the field that says how many there are
    columns: Callable[[Any], int]  # numbers that a cache keeps of each position
    model: Role
    make_model: Callable[[Any, Any, Entries], Any]  # of a config
    loads: Role
    load: Callable[..., Any]  # of a folder, for a device
    convert: Callable[[Any, State, Any], State]  # for a config
    caches: Role
    cached_model: str
    batch_model: str  # of engine 03; none if that has none for this family
