"""Export what the book's widgets show: numbers of the bundled model, as the solutions compute them.

python -m tools.book.export_widget_data            write book/src/data/ and book/fallbacks/
python -m tools.book.export_widget_data --check    only tell which differ by more than rounding,
                                                   and exit with 1 if any does

The data of a widget are a script, since a page that is opened from a file can load nothing else.
The fallbacks are tables for readers without scripts.
"""

import itertools
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from unittest.mock import patch

import numpy as np
from max.driver import CPU
from max.dtype import DType
from max.experimental import functional as F
from max.experimental.tensor import Tensor
from numpy.typing import NDArray
from safetensors.numpy import load_file

from solutions.engine_02 import Sampling, probabilities
from solutions.solution_02 import causal_mask
from solutions.solution_11 import convert_state_dict, load_pretrained
from solutions.text_01 import join, spell
from solutions.text_02 import count_pieces, learn_merges
from tools import derived
from tools.book import widget_tables as tables
from tutor import ROOT
from tutor.engine.checkpoint import BUNDLED_MODEL
from tutor.engine.tokenizer import TOKENIZER, Tokenizer

Array = NDArray[np.floating]

BOOK = ROOT / "book"
PROMPTS = (
    "Once upon a time there was a",
    "The king said to his",
    "The king's daughter was as beautiful as the",
    "He cut off the dragon's",
)
SENTENCE = "The witch gave Hansel an apple, and Hansel ate the apple."
PIECE = " lower"
ROSE = "a rose is a rose is a rose"
LENS = "Once upon a time there was a king and a"
LENS_TOKENS = 3
TOKEN = 11  # the last apple: the first query that is shown, and the vector that is followed
LAYER, HEAD = 3, 0  # what is shown first: a head that looks for the verb
SHOWN_TOKENS, SHOWN_NUMBERS = 12, 48  # as many as a phone has room for
LOGIT_DIGITS, VECTOR_DIGITS = 4, 3

# What the tables compare.
TEMPERATURES = {f"{value}": Sampling(value) for value in (0.5, 1.0, 1.5)}
CUTS = {"all": Sampling(), "top_k 10": Sampling(top_k=10), "top_p 0.9": Sampling(top_p=0.9)}

# So many units of the last digit that is written may differ: float32 is not the same everywhere.
TOLERANCE = 1.5


class Source:
    """The bundled model and its tokenizer."""

    def __init__(self) -> None:
        self.model = load_pretrained(BUNDLED_MODEL)
        self.tokenizer = Tokenizer(BUNDLED_MODEL / TOKENIZER)
        _, self.merges, _ = self.tokenizer.parts() or ({}, [], [])

    def tokens(self, text: str) -> list[str]:
        return [self.tokenizer.decode([token]) for token in self.tokenizer.encode(text)]

    def ids(self, text: str) -> Tensor:
        return Tensor.from_dlpack(np.array([self.tokenizer.encode(text)], dtype=np.int64))

    def logits(self, text: str) -> Array:
        """The logits after the last token, [V]."""
        return np.array(self.model(self.ids(text)).to_numpy()[0, -1])

    def attention(self, text: str) -> list[Array]:
        """The weights of each layer, [H, T, T]: what F.softmax returns in solution 07."""
        weights: list[Array] = []
        softmax = F.softmax

        def record(scores: Tensor) -> Tensor:
            result: Tensor = softmax(scores)
            weights.append(np.array(result.to_numpy()[0]))
            return result

        with patch.object(F, "softmax", record):
            self.model(self.ids(text))
        return weights

    def stages(self, text: str, position: int) -> list[list[Array]]:
        """By block and stage, the vector of a position, [C]: the steps of solution 08."""
        stack, ids = self.model.transformer, self.ids(text)
        positions = Tensor.arange(ids.shape[1], dtype=DType.int64, device=ids.device)
        x, blocks = stack.wte(ids) + stack.wpe(positions), []
        for block in stack.h:
            ln_1 = block.ln_1(x)
            attn = block.attn(ln_1)
            ln_2 = block.ln_2(x + attn)
            mlp = block.mlp(ln_2)
            stages = (x, ln_1, attn, x + attn, ln_2, mlp, x + attn + mlp)
            blocks.append([np.array(stage.to_numpy()[0, position]) for stage in stages])
            x = stages[-1]
        return blocks

    def lens(self, text: str) -> list[Array]:
        """What the head makes of the last token's vector, at the start and after each block."""
        blocks = self.stages(text, len(self.tokenizer.encode(text)) - 1)
        vectors = np.stack([blocks[0][0], *(stages[-1] for stages in blocks)])  # [L + 1, C]
        normed = self.model.transformer.ln_f(Tensor.from_dlpack(vectors))
        return list(np.array(self.model.lm_head(normed).to_numpy()))


def export(source: Source) -> dict[Path, str]:
    """All files with their contents."""
    logits = [source.logits(prompt) for prompt in PROMPTS]
    attention, blocks = source.attention(SENTENCE), source.stages(SENTENCE, TOKEN)
    tokens = source.tokens(SENTENCE)
    tensors = load_file(BUNDLED_MODEL / "model.safetensors")
    state = convert_state_dict(tensors, source.model.config)
    data = {
        "next-token": next_token_data(source, logits),
        "block": block_data(tokens[TOKEN], blocks),
        "checkpoint": checkpoint_data(tensors, state),
        "merges": {"merges": quote([" ".join(pair) for pair in source.merges])},
    }
    fallbacks = {
        "checkpoint": checkpoint_table(tensors, state),
        "next-token": next_token_table(source, logits[0], "temperature", TEMPERATURES),
        "sampling": next_token_table(source, logits[0], "what is cut", CUTS),
        "causal-mask": "".join(mask_table(4, cached) for cached in (0, 2)),
        "attention": tables.attention(LAYER, HEAD, attention[LAYER][HEAD], tokens),
        "lens": lens_table(source),
        "block": tables.block(LAYER, tokens[TOKEN], [describe(x) for x in blocks[LAYER]]),
        "learning": learning_table(ROSE),
        "merges": merges_table(source, PIECE),
    }
    scripts = {BOOK / "src" / "data" / f"{name}.js": script(name, data[name]) for name in data}
    return scripts | {BOOK / "fallbacks" / f"{name}.html": text for name, text in fallbacks.items()}


def next_token_data(source: Source, logits: list[Array]) -> dict[str, str]:
    vocabulary = [source.tokenizer.decode([token]) for token in range(len(logits[0]))]
    prompts = [
        fields({"text": quote(prompt), "logits": numbers(row, LOGIT_DIGITS)})
        for prompt, row in zip(PROMPTS, logits, strict=True)
    ]
    return {"vocabulary": quote(vocabulary), "prompts": lines(prompts)}


def block_data(token: str, blocks: list[list[Array]]) -> dict[str, str]:
    """The first numbers of each vector; norm, mean and spread of all of them."""
    stages = []
    for block in blocks:
        entries = []
        for vector in block:
            values = {name: f"{x:.{VECTOR_DIGITS}f}" for name, x in describe(vector).items()}
            values["numbers"] = numbers(vector[:SHOWN_NUMBERS], VECTOR_DIGITS)
            entries.append(fields(values))
        stages.append(lines(entries))
    first = {"token": quote(token), "width": f"{len(blocks[0][0])}", "layer": f"{LAYER}"}
    return {**first, "blocks": lines(stages)}


def checkpoint_data(tensors: Mapping[str, Array], state: Mapping[str, Array]) -> dict[str, str]:
    """Each tensor of the file, and the one whose numbers the head has as well."""
    entries = [
        fields(
            {
                "name": quote(name),
                "shape": quote(tensor.shape),
                "isTransposed": quote(is_transposed(tensor, state[name])),
            }
        )
        for name, tensor in tensors.items()
    ]
    head = next(name for name in tensors if state[name] is state["lm_head.weight"])
    return {"head": quote(head), "tensors": lines(entries)}


def is_transposed(tensor: Array, converted: Array) -> bool:
    return not np.array_equal(tensor, converted)


def checkpoint_table(tensors: Mapping[str, Array], state: Mapping[str, Array]) -> str:
    """The tensors outside of the blocks and those of the first block, in the file and the model."""
    rows = {
        name: (tensor.shape, state[name].shape, is_transposed(tensor, state[name]))
        for name, tensor in tensors.items()
        if ".h." not in name or ".h.0." in name
    }
    return tables.checkpoint(rows)


def describe(vector: Array) -> dict[str, float]:
    wide = vector.astype(np.float64)
    return {"norm": float(np.linalg.norm(wide)), "mean": wide.mean(), "spread": wide.std()}


def next_token_table(
    source: Source, logits: Array, by: str, settings: Mapping[str, Sampling]
) -> str:
    columns = {name: probabilities(logits[None], choice)[0] for name, choice in settings.items()}
    likeliest = np.argsort(-logits)[:SHOWN_TOKENS].tolist()
    tokens = {token: source.tokenizer.decode([token]) for token in likeliest}
    return tables.next_tokens(PROMPTS[0], by, columns, tokens)


def merges_table(source: Source, piece: str) -> str:
    """A piece after each of its merges."""
    ranks, tokens, rows = {pair: n for n, pair in enumerate(source.merges)}, spell(piece), []
    while pairs := [pair for pair in itertools.pairwise(tokens) if pair in ranks]:
        best = min(pairs, key=ranks.__getitem__)
        tokens = join(tokens, best)
        rows.append((f"{ranks[best]}", " ".join(best), " ".join(tokens)))
    return tables.merges(piece, "tokens", rows)


def learning_table(text: str) -> str:
    """The pieces of a text after each of its merges."""
    pieces, rows = count_pieces(text), []
    tokens = [list(piece) for piece in pieces]
    for rank, pair in enumerate(learn_merges(pieces, len(text))):
        tokens = [join(piece, pair) for piece in tokens]
        shown = (
            f"{times} × {' '.join(piece)}"
            for piece, times in zip(tokens, pieces.values(), strict=True)
        )
        rows.append((f"{rank}", " ".join(pair), ", ".join(shown)))
    return tables.merges(text, "pieces", rows)


def lens_table(source: Source) -> str:
    rows = []
    for logits in source.lens(LENS):
        shares = probabilities(logits[None], Sampling())[0]
        best = np.argsort(-shares)[:LENS_TOKENS].tolist()
        rows.append({source.tokenizer.decode([token]): shares[token] for token in best})
    return tables.lens(LENS, rows)


def mask_table(length: int, cached: int) -> str:
    mask = causal_mask(length, cached, dtype=DType.float32, device=CPU())
    return tables.mask(mask.to_numpy(), cached)


def script(name: str, data: Mapping[str, str]) -> str:
    """JSON, put where the widget of that name finds it."""
    content = ",\n".join(f"{quote(field)}: {value}" for field, value in data.items())
    return (
        f"// Made by tools/book/export_widget_data.py from {BUNDLED_MODEL.relative_to(ROOT)}/.\n"
        f'(window.courseData ??= {{}})["{name}"] = {{\n{content}\n}};\n'
    )


def fields(values: Mapping[str, str]) -> str:
    return f"{{{', '.join(f'{quote(name)}: {value}' for name, value in values.items())}}}"


def lines(entries: Iterable[str]) -> str:
    content = ",\n".join(entries)
    return f"[\n{content}\n]"


def numbers(values: Array, digits: int) -> str:
    rounded = np.round(values.astype(np.float64), digits) + 0.0  # no -0
    return f"[{','.join(f'{value:.{digits}f}' for value in rounded)}]"


def quote(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)


def same(old: str, new: str) -> bool:
    """Whether two files are equal but for the last digits of their decimal fractions."""
    fraction = r"[−-]?\d+\.\d+"
    if re.split(fraction, old) != re.split(fraction, new):
        return False
    return all(map(agree, re.findall(fraction, old), re.findall(fraction, new)))


def agree(one: str, other: str) -> bool:
    digits = len(one.partition(".")[2])
    difference = float(one.replace("−", "-")) - float(other.replace("−", "-"))
    return digits == len(other.partition(".")[2]) and abs(difference) <= TOLERANCE * 10**-digits


def main() -> None:
    found = (*(BOOK / "src" / "data").glob("*.js"), *(BOOK / "fallbacks").glob("*"))
    files = export(Source()).items()
    derived.update("Export what the book's widgets show.", files, found=found, same=same)


if __name__ == "__main__":
    main()
