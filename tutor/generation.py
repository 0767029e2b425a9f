"""Text from a model folder: the engine that `tutor generate` runs, for use from Python as well.

from tutor.generation import Engine

engine = Engine()
print(engine.write("Once upon a time", seed=1))
"""

import functools
import secrets
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tutor import checkpoint, loading, runtime
from tutor.errors import InputError
from tutor.loading import Tokenizer, learners_code
from tutor.loops import Columns, Loop, Options, make_loop

if TYPE_CHECKING:
    from max.driver import Device


UNFINISHED = "\N{REPLACEMENT CHARACTER}"  # where the bytes of a text end within a character


@dataclass
class Story:
    """A prompt, and what has been written on from it so far."""

    prompt: str
    prompt_ids: list[int]
    seed: int
    new_ids: list[int] = field(default_factory=list)
    text: str = ""  # after the prompt, in whole characters
    has_ended: bool = False  # the model has ended it
    _pending: list[int] = field(default_factory=list)  # tokens of a character that is not whole yet

    def add(self, token: int, tokenizer: Tokenizer) -> str:
        """Take one more token; the text that is complete with it, which may be none."""
        self.new_ids.append(token)
        self._pending.append(token)
        text = tokenizer.decode(self._pending)
        return "" if text.endswith(UNFINISHED) else self.finish(tokenizer)

    def finish(self, tokenizer: Tokenizer) -> str:
        """The text of the tokens that are left."""
        text = tokenizer.decode(self._pending)
        self._pending = []
        self.text += text
        return text


@dataclass(frozen=True)
class Engine:
    """A model and its tokenizer, ready to write; the model is compiled when that begins."""

    config: Any
    tokenizer: Tokenizer
    make_loop: Callable[[], Loop]
    tree: str = "solutions"
    model: Any = None  # not compiled

    @functools.cached_property
    def loop(self) -> Loop:
        """The compiled model in its loop."""
        with learners_code(self.tree):
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
        story = Story("", ids, secrets.randbits(32) if seed is None else seed)
        if isinstance(prompt, str):
            story.prompt = prompt
        else:
            # Token ids may end within a character, which takes up to four of them.
            parts = [self.tokenizer.decode(ids[: len(ids) - count]) for count in range(4)]
            count = next((n for n, part in enumerate(parts) if not part.endswith(UNFINISHED)), 0)
            story.prompt, story._pending = parts[count], ids[len(ids) - count :]
        return story

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
        stop = self.tokenizer.end_of_text() if options.stop_at_eos else None
        return self._advance(stories, self.loop.tokens(prompts, seeds, options, stop), stop)

    def _advance(
        self, stories: Sequence[Story], columns: Columns, stop: int | None
    ) -> Iterator[list[str]]:
        with learners_code(self.tree):
            for column in columns:
                if strange := [
                    token for token in column if not 0 <= token < self.config.vocab_size
                ]:
                    raise ValueError(
                        f"the next token is {strange[0]}, which the model does not know"
                    )
                yield [self._add(*pair, stop) for pair in zip(stories, column, strict=True)]
        yield [story.finish(self.tokenizer) for story in stories]

    def _add(self, story: Story, token: np.int64, stop: int | None) -> str:
        story.has_ended |= bool(token == stop)
        return "" if story.has_ended else story.add(int(token), self.tokenizer)

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
            raise InputError(
                f"the prompt has {len(ids)} tokens, but the model sees {most} at most; shorten it"
            )


def load_engine(
    model: str | None = None,
    *,
    tree: str = "solutions",
    device: str = "cpu",
    dtype: str = "float32",
    cache: bool = True,
) -> Engine:
    """The engine for a model: a folder, a name on the Hugging Face Hub, or the bundled one.

    With the tree "steps" the learner's own code runs: the loop of engine 04, or while that is not
    finished, the one of engine 03 or of step 12.
    """
    if dtype == "q4_0" and (tree != "solutions" or not cache or device != "cpu"):
        raise InputError("--dtype q4_0 is for the reference with its cache, on the CPU")
    runtime.activate()
    place = find_device(device)
    folder = checkpoint.find_model(model)
    checkpoint.check_folder(folder)
    tokenizer = loading.load_tokenizer(folder)
    loaded = loading.load_model(folder, tree, place)
    if dtype == "q4_0":
        from tutor.quantization import quantize

        quantize(loaded)
    return Engine(
        loaded.config, tokenizer, lambda: make_loop(tree, loaded, place, cache), tree, loaded
    )


def find_device(name: str) -> "Device":
    """The device of this name, if there is one."""
    from max.driver import CPU, Accelerator, accelerator_count

    if name == "cpu":
        return CPU()
    if not accelerator_count():
        raise InputError(f"--device {name}: MAX finds no accelerator here; leave it out")
    return Accelerator()
