"""Text from a model folder: the engine that `tutor generate` runs, for use from Python as well.

>>> from tutor.engine.generation import load_engine
>>> engine = load_engine()
>>> engine.write("Once upon a time", seed=1, max_new_tokens=8)
'Once upon a time there reigned prince in a wild country'
"""

import functools
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tutor import runtime
from tutor.engine import checkpoint, settings, trees
from tutor.engine.drafts import make_draft
from tutor.engine.family import Family
from tutor.engine.loops import NONE, Columns, Loop, Options, Tokens, make_loop
from tutor.engine.tokenizer import UNFINISHED, Stream, Tokenizer
from tutor.engine.trees import learners_code
from tutor.errors import InputError
from tutor.runtime import columns

if TYPE_CHECKING:
    from max.driver import Device


@dataclass
class Story:
    """A prompt, and what has been written on from it so far."""

    prompt: str
    prompt_ids: list[int]
    seed: int
    new_ids: list[int] = field(default_factory=list)
    text: str = ""  # after the prompt, in whole characters
    has_ended: bool = False  # the model has ended it
    stream: Stream | None = field(default=None, compare=False, repr=False)

    def add(self, token: int) -> str:
        """Take one more token; the text that is certain with it, which may be none."""
        assert self.stream
        self.new_ids.append(token)
        return self._append(self.stream.add(token))

    def finish(self) -> str:
        """The text of the tokens that are left."""
        assert self.stream
        return self._append(self.stream.finish())

    def _append(self, piece: str) -> str:
        self.text += piece
        return piece


@dataclass(frozen=True)
class Engine:
    """A model and its tokenizer, ready to write; the model is compiled when that begins."""

    config: Any
    tokenizer: Tokenizer
    make_loop: Callable[[], Loop]
    tree: str = "solutions"
    model: Any = None  # not compiled
    ends: Sequence[int] = ()  # tokens that end a text; without any, the tokenizer's own
    silent: Tokens = field(
        default_factory=lambda: NONE, compare=False
    )  # tokens without text, never drawn
    folder: Path = checkpoint.BUNDLED_MODEL

    @property
    def family(self) -> Family:
        """The family of its model."""
        return settings.find_family(self.folder)

    @functools.cached_property
    def loop(self) -> Loop:
        """The compiled model in its loop."""
        with learners_code(self.tree), columns.multiplied():
            return self.make_loop()

    def write(self, prompt: str, *, seed: int | None = None, **options: Any) -> str:
        """The prompt and what is written on from it; `options` are those of Options."""
        story = self.story(prompt, seed)
        for _ in self.run([story], Options(**options)):
            pass
        return prompt + story.text

    def stream(self, prompt: str, *, seed: int | None = None, **options: Any) -> Iterator[str]:
        """Yield what is written after the prompt, as it comes."""
        for (piece,) in self.run([self.story(prompt, seed)], Options(**options)):
            yield piece

    def story(self, prompt: str | Sequence[int], seed: int | None = None) -> Story:
        """A story to begin, from a text or from token ids; without a seed, one is drawn.

        Raises InputError for a prompt that the model cannot go on from.
        """
        ids = self.tokenizer.encode(prompt) if isinstance(prompt, str) else list(prompt)
        self._check_prompt(ids)
        seed = secrets.randbits(32) if seed is None else seed
        if isinstance(prompt, str):
            return Story(prompt, ids, seed, stream=Stream(self.tokenizer, ids))
        # Token ids may end within a character, which takes up to four of them.
        parts = [self.tokenizer.decode(ids[: len(ids) - count]) for count in range(4)]
        count = next((n for n, part in enumerate(parts) if not part.endswith(UNFINISHED)), 0)
        shown = self.tokenizer.without_start(ids[: len(ids) - count])
        stream = Stream(self.tokenizer, ids, count)
        return Story(self.tokenizer.decode(shown), ids, seed, stream=stream)

    def check(self, options: Options) -> None:
        """Raise InputError for options that this model cannot serve."""
        size = self.config.vocab_size
        if options.top_k and options.top_k > size:
            raise InputError(
                f"--top-k must be at most {size}, the tokens that the model knows, "
                f"but is {options.top_k}"
            )

    def run(self, stories: Sequence[Story], options: Options) -> Iterator[list[str]]:
        """Write on, all stories side by side; yield what each token has added to each of them.

        Raises InputError at once for options that cannot be served.
        """
        self.check(options)
        prompts, seeds = [s.prompt_ids for s in stories], [s.seed for s in stories]
        ends = self.find_ends() if options.stop_at_eos else []
        # A loop knows one end; where there are several, it is stopped from here.
        stop = ends[0] if len(ends) == 1 else None
        columns = self.loop.tokens(prompts, seeds, options, stop)
        return self._advance(stories, columns, frozenset(ends))

    def find_ends(self) -> Sequence[int]:
        """The tokens that end a text, if there are any."""
        own = self.tokenizer.end_of_text()
        return self.ends or ([] if own is None else [own])

    def _advance(
        self, stories: Sequence[Story], columns: Columns, ends: frozenset[int]
    ) -> Iterator[list[str]]:
        with learners_code(self.tree):
            for column in columns:
                if strange := [
                    token for token in column if not 0 <= token < self.config.vocab_size
                ]:
                    raise ValueError(
                        f"the next token is {strange[0]}, which the model does not know"
                    )
                yield [self._add(*pair, ends) for pair in zip(stories, column, strict=True)]
                if all(story.has_ended for story in stories):
                    break
        yield [story.finish() for story in stories]

    def _add(self, story: Story, token: np.int64, ends: frozenset[int]) -> str:
        story.has_ended |= int(token) in ends
        return "" if story.has_ended else story.add(int(token))

    def _check_prompt(self, ids: list[int]) -> None:
        size, most = self.config.vocab_size, self.config.n_positions
        if not ids:
            raise InputError("the tokenizer makes no tokens of the prompt; try other words")
        if strange := [token for token in ids if not 0 <= token < size]:
            raise InputError(
                f"the prompt has token {strange[0]}, but the model knows 0 to {size - 1}; "
                "take tokens and model from the same folder"
            )
        if len(ids) > most:
            could = trees.make_config(self.folder, "solutions").n_positions
            raise InputError(
                f"the prompt has {len(ids)} tokens, but the model sees {most} at most; "
                f"shorten it{'' if len(ids) > could else ' or give a larger --context'}"
            )


def load_engine(
    model: str | None = None,
    *,
    tree: str = "solutions",
    device: str = "cpu",
    dtype: str = "float32",
    cache: bool = True,
    speculation: bool = False,
    context: int | None = None,
) -> Engine:
    """The engine for a model: a folder, a name on the Hugging Face Hub, or the bundled one.

    With the tree "steps" the learner's own code runs: the loop with the cache, or while that is not
    finished, the one of the batches or of step 12. With speculation a large model is given a draft,
    which pays for a long text alone; the text is the same. `context` is how many positions to
    reserve; without it, those that the model knows, but at most 4096.
    """
    if dtype == "q4_0" and (tree != "solutions" or not cache or device != "cpu"):
        raise InputError("--dtype q4_0 is for the reference with its cache, on the CPU")
    runtime.activate()
    place = find_device(device)
    folder = checkpoint.find_model(model)
    checkpoint.check_folder(folder)
    tokenizer = trees.find_tokenizer(folder, tree)
    loaded = trees.load_model(folder, tree, place, context)
    if dtype == "q4_0":
        from tutor.engine.quantization import quantize

        quantize(loaded)
    wants_draft = speculation and (dtype, device) == ("float32", "cpu")
    ends = settings.find_ends(folder, loaded.config.vocab_size)
    silent = np.setdiff1d(tokenizer.silent(loaded.config.vocab_size), ends)
    return Engine(
        loaded.config,
        tokenizer,
        lambda: make_loop(
            tree,
            loaded,
            place,
            cache,
            silent,
            lambda: make_draft(loaded, folder) if wants_draft else None,
            settings.find_family(folder),
        ),
        tree,
        loaded,
        ends,
        silent,
        folder,
    )


def find_device(name: str) -> "Device":
    """The device of this name, if there is one."""
    from max.driver import CPU, Accelerator, accelerator_count

    if name == "cpu":
        return CPU()
    if not accelerator_count():
        raise InputError(f"--device {name}: MAX finds no accelerator here; leave it out")
    return Accelerator()
