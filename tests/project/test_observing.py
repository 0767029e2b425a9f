"""What is seen inside a model is what it computes, in the reference and in any right solution."""

import importlib
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from max.driver import CPU
from max.dtype import DType
from max.experimental.tensor import TensorType

from solutions.engine_02 import Sampling, probabilities
from tests import oracle
from tests.checkpoints import checkpoint, tied_weights
from tests.project.helpers import tensor
from tests.project.suites import variants_of
from tests.samples import BATCH, LENGTH, OTHER, SMALL
from tutor import ROOT
from tutor.course import sources
from tutor.course.registry import Step, all_steps, find_step
from tutor.engine import trees
from tutor.engine.generation import Engine
from tutor.errors import InputError
from tutor.show import sheets
from tutor.show.observing import around_calls, attention_weights, next_logits, softmax
from tutor.show.tracing import Letters, Line, trace

TEXT = "The witch gave Hansel an apple, and Hansel ate the apple. " * 3  # more tokens than D
TOLERANCE = 1e-5  # of a weight: float32 through six layers
OF_MODULES = all_steps()[2:10]  # the steps that are modules, each of them one
RANDOM_MODEL, LAST = ROOT / "tests" / "golden" / "random", 2  # and its last layer
Become = Callable[..., None]


@pytest.fixture
def become(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Become]:
    """Have a learner who wrote the steps as the reference, but for edits of one."""
    forget()
    monkeypatch.setattr(trees, "ROOT", tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "solutions").symlink_to(ROOT / "solutions")
    (tmp_path / "steps").mkdir()
    (tmp_path / "steps" / "__init__.py").touch()
    for step in all_steps():
        (tmp_path / step.file("steps")).write_text(sources.reference(step, "steps"))

    def edit(step: Step, edits: list[list[str]]) -> None:
        forget()
        source = sources.reference(step, "steps")
        for pair in edits:
            old, new = (text.replace("solutions.solution_", "steps.step_") for text in pair)
            assert source.count(old) == 1
            source = source.replace(old, new)
        (tmp_path / step.file("steps")).write_text(source)
        importlib.invalidate_caches()

    yield edit
    forget()


def forget() -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "steps"]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def ids(engine: Engine) -> list[int]:
    return engine.story(TEXT).prompt_ids


@pytest.fixture(scope="module")
def some_ids() -> list[int]:
    """Tokens for the random model, more of them than D, so that they take three runs."""
    return [*map(int, np.random.default_rng(0).integers(97, size=22))]


@pytest.fixture(scope="module")
def some_weights(some_ids: list[int]) -> oracle.Array:
    """The weights in its last layer, [H, T, T]."""
    return by_oracle(trees.load_model(RANDOM_MODEL), some_ids)[LAST]


def by_oracle(model: Any, ids: list[int]) -> list[oracle.Array]:
    """The weights of each layer, [H, T, T]."""
    config = model.config
    named = {name: value.to_numpy().astype(float) for name, value in model.parameters}
    weights = oracle.under(named, "transformer")
    x = weights["wte.weight"][ids][None] + weights["wpe.weight"][: len(ids)]
    found = []
    for layer in range(config.n_layer):
        block = oracle.under(weights, f"h.{layer}")
        normalized = oracle.layer_norm(oracle.under(block, "ln_1"), x, config.layer_norm_epsilon)
        projected = oracle.linear(oracle.under(block, "attn.c_attn"), normalized)[0]
        queries, keys, _ = np.split(projected, 3, axis=-1)
        heads = zip(
            *(np.split(part, config.n_head, axis=-1) for part in (queries, keys)), strict=True
        )
        scores = [query @ key.T / np.sqrt(query.shape[-1]) for query, key in heads]
        found.append(oracle.softmax(np.array(scores) + oracle.causal_mask(len(ids))))
        x = oracle.block(block, x, config.n_head, config.layer_norm_epsilon)
    return found


def variants(*steps: Step) -> list[Any]:
    """The variants of steps, of each of which a quick run has the first."""
    full = pytest.mark.full("looks into models")
    return [
        pytest.param(step, edits, id=f"{step.name}-{name}", marks=[full] * (count > 0))
        for step in steps
        for count, (name, edits) in enumerate(variants_of(step).items())
    ]


@pytest.mark.full("looks into models")
def test_attention_weights_are_those_of_the_equation(engine: Engine, ids: list[int]) -> None:
    assert len(ids) > engine.config.n_embd // engine.config.n_head
    for layer, values in enumerate(by_oracle(engine.model, ids)):
        weights = attention_weights(engine.model, ids, layer)
        np.testing.assert_allclose(weights, values, atol=TOLERANCE)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, atol=TOLERANCE)
        assert not np.triu(weights, 1).any()


@pytest.mark.full("looks into models")
@pytest.mark.parametrize(("step", "edits"), variants(*map(find_step, ("7", "8", "9", "10"))))
def test_attention_is_seen_in_any_right_solution(
    step: Step,
    edits: list[list[str]],
    become: Become,
    some_ids: list[int],
    some_weights: oracle.Array,
) -> None:
    become(step, edits)
    model = trees.load_model(RANDOM_MODEL, "steps")
    assert type(model).__module__ == "steps.step_10"
    weights = attention_weights(model, some_ids, LAST)
    np.testing.assert_allclose(weights, some_weights, atol=TOLERANCE)


@pytest.mark.full("looks into models")
def test_a_wrong_attention_is_seen_as_it_is(become: Become, some_ids: list[int]) -> None:
    become(find_step("7"), [["scores = scores + causal_mask", "causal_mask"]])
    weights = attention_weights(trees.load_model(RANDOM_MODEL, "steps"), some_ids, 0)
    assert np.triu(weights, 1).max() > 0.01


@pytest.mark.full("looks into models")
@pytest.mark.parametrize("name", ["c_attn", "c_proj", "attn"])
def test_what_is_computed_without_a_call_is_named(
    name: str, become: Become, some_ids: list[int]
) -> None:
    if name == "attn":
        become(find_step("8"), [["self.attn(self.ln_1(x))", "self.attn.forward(self.ln_1(x))"]])
    else:
        given = "x" if name == "c_attn" else "merged"
        by_hand = f"{given} @ self.{name}.weight.T + self.{name}.bias"
        become(find_step("7"), [[f"self.{name}({given})", by_hand]])
    file = "step_08" if name == "attn" else "step_07"
    with pytest.raises(InputError, match=rf"steps/{file}\.py does not call {name},"):
        attention_weights(trees.load_model(RANDOM_MODEL, "steps"), some_ids, 0)


@pytest.mark.full("looks into models")
def test_the_model_computes_as_before_when_nobody_looks(engine: Engine, ids: list[int]) -> None:
    before = next_logits(engine.model, ids)
    attention_weights(engine.model, ids, 2)
    np.testing.assert_array_equal(next_logits(engine.model, ids), before)


def test_next_logits_are_those_of_the_last_token(engine: Engine, ids: list[int]) -> None:
    config = engine.config
    weights = {name: value.to_numpy().astype(float) for name, value in engine.model.parameters}
    logits = oracle.lm_head_model(
        weights, np.array([ids]), config.n_layer, config.n_head, config.layer_norm_epsilon
    )
    np.testing.assert_allclose(next_logits(engine.model, ids), logits[0, -1], atol=1e-3)


@pytest.mark.full("looks into models")
@pytest.mark.parametrize("temperature", [1e-308, 0.1, 0.5, 1.0, 1.5, 1e300])
def test_shares_are_those_that_tokens_are_drawn_with(
    temperature: float, engine: Engine, ids: list[int]
) -> None:
    logits = next_logits(engine.model, ids)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        shares = softmax(logits, temperature)
    with np.errstate(over="ignore"):
        drawn = probabilities(logits[None], Sampling(temperature))[0]
    np.testing.assert_allclose(shares, drawn, rtol=1e-9, atol=1e-300)
    assert shares.sum() == pytest.approx(1)


# Shapes


def flat(line: Line) -> Iterator[Line]:
    yield line
    for part in line.parts:
        yield from flat(part)


def traced(tree: str, step: Step, config: Any) -> list[Line]:
    lines = sheets.of_modules(tree, step, config, Letters.of(config))
    return [each for line in lines for each in flat(line)]


@pytest.mark.full("looks into models")
@pytest.mark.parametrize("step", OF_MODULES, ids=lambda step: step.name)
def test_traced_shapes_are_those_that_modules_return(step: Step) -> None:
    """In the same order, for a model of one layer, where nothing is shortened."""
    config = sheets.sizes_of("solutions", None)
    for name in ("vocab_size", "n_positions", "n_embd", "n_head"):
        setattr(config, name, getattr(OTHER, name))
    config.n_inner, config.n_layer = OTHER.n_inner, 1
    letters = Letters({"B": BATCH, "T": LENGTH, **Letters.of(config).sizes})
    found: list[str] = []

    def note(module: Any, run: Callable[[], Any], inputs: tuple[Any, ...]) -> Any:
        place = len(found)
        found.append("")
        result = run()
        shapes_of = f"{letters.count(inputs)} → {letters.name(result.shape)}"
        found[place] = f"{type(module).__name__} {shapes_of}"
        return result

    ((name, (kind,)),) = sheets.MODULES[step.name].items()
    code = trees.load_step("solutions", step)
    module = getattr(code, name)(*sheets.arguments("solutions", step, config))
    inputs = {
        "x": np.ones((BATCH, LENGTH, config.n_embd)),
        "ids": np.ones((BATCH, LENGTH), int),
        "positions": np.arange(LENGTH),
    }
    with around_calls(note):
        module(tensor(inputs[kind]))
    lines = [line for line in traced("solutions", step, config) if line.kind]
    assert [f"{line.kind} {line.shapes}" for line in lines] == found


def test_the_operations_of_a_step_are_those_in_its_own_file() -> None:
    lines = traced("solutions", find_step("7"), sheets.sizes_of("solutions", None))
    assert [(line.label, line.shapes) for line in lines] == [
        ("GPT2MultiHeadAttention", "[B, T, C] → [B, T, C]"),
        ("c_attn: Linear", "[B, T, C] → [B, T, 3C]"),
        ("split", "→ 3 [B, T, C]"),
        ("3 times", ""),
        ("reshape", "→ [B, T, H, D]"),
        ("transpose", "→ [B, H, T, D]"),
        ("transpose", "→ [B, H, D, T]"),
        ("@", "→ [B, H, T, T]"),
        ("/", "→ [B, H, T, T]"),
        ("+", "→ [B, H, T, T]"),
        ("softmax", "→ [B, H, T, T]"),
        ("@", "→ [B, H, T, D]"),
        ("transpose", "→ [B, T, H, D]"),
        ("reshape", "→ [B, T, C]"),
        ("c_proj: Linear", "[B, T, C] → [B, T, C]"),
    ]


def test_what_is_taken_out_of_a_tensor_is_an_operation() -> None:
    config = sheets.sizes_of("solutions", None)
    config.n_layer = 1
    _, greedy = sheets.of_modules("solutions", find_step("e1"), config, Letters.of(config))
    assert [(part.name, part.shapes) for part in greedy.parts if not part.kind] == [
        ("[…]", "→ [B, C]"),
        ("cast", "→ [B, V]"),
        ("argmax", "→ [B, 1]"),
        ("squeeze", "→ [B]"),
    ]


def test_a_size_that_could_have_two_letters_stays_a_number() -> None:
    letters = Letters({"C": 8, "V": 8, "L": 32, "H": 1})
    assert letters.name([2, 8, 32, 1, "T"]) == "[2, 8, L, 1, T]"


def test_blocks_that_are_alike_are_shown_once() -> None:
    config = sheets.sizes_of("solutions", None)
    labels = [line.label for line in traced("solutions", find_step("9"), config)]
    assert [label for label in labels if "GPT2Block" in label] == ["h.0 … h.11: GPT2Block"]
    config.n_layer = 1
    labels = [line.label for line in traced("solutions", find_step("9"), config)]
    assert [label for label in labels if "GPT2Block" in label] == ["h.0: GPT2Block"]


@pytest.mark.full("looks into models")
@pytest.mark.parametrize(("step", "edits"), variants(*OF_MODULES))
def test_any_right_solution_has_the_shapes_of_the_reference(
    step: Step, edits: list[list[str]], become: Become
) -> None:
    become(step, edits)
    config = sheets.sizes_of("steps", None)
    assert type(config).__module__ == "steps.step_01"
    config.n_layer = 2
    own, reference = (traced(tree, step, config) for tree in ("steps", "solutions"))
    assert (own[0].label, own[0].shapes) == (reference[0].label, reference[0].shapes)
    known = {(line.label, line.weights) for line in reference if line.kind}
    labels = {label for label, _ in known}
    assert {(line.label, line.weights) for line in own if line.label in labels} <= known


@pytest.mark.full("looks into models")
@pytest.mark.parametrize("step", all_steps(), ids=lambda step: step.name)
def test_every_step_has_shapes(step: Step, become: Become) -> None:
    become(step, [])
    own, reference = (sheets.of_step(step, None, tree) for tree in ("steps", "solutions"))
    assert (own.head, own.lines, own.whose) == (reference.head, reference.lines, reference.whose)
    assert len(reference.lines) > 1 or reference.lines[0].parts
    assert not [each for line in reference.lines for each in flat(line) if each.shapes == "→ []"]


@pytest.mark.full("looks into models")
def test_a_trace_leaves_max_as_it_was() -> None:
    from max.experimental import functional as F
    from max.experimental.nn import Module

    before = dict(vars(F)), Module.__call__
    code = trees.load_step("solutions", find_step("5"))
    module = code.GPT2Embeddings(sheets.sizes_of("solutions", None))
    ids = TensorType(DType.int64, ["B", "T"], device=CPU())
    with pytest.raises(TypeError):
        trace(module, [ids, ids], Letters({}))
    assert (dict(vars(F)), Module.__call__) == before


def test_a_checkpoint_shows_what_is_transposed_tied_and_left_out(engine: Engine) -> None:
    weights = checkpoint(tied_weights(SMALL))
    config = sheets.sizes_of("solutions", None)
    for name in ("vocab_size", "n_positions", "n_embd", "n_head", "n_layer"):
        setattr(config, name, getattr(SMALL, name))
    config.n_inner = 4 * config.n_embd
    like = Engine(config, engine.tokenizer, engine.make_loop)
    lines = [
        each for line in sheets.of_checkpoint("solutions", like, weights) for each in flat(line)
    ]
    shown = {line.name: (line.shapes, line.weights) for line in lines}
    assert len(lines) == len(shown) == 1 + 14 + 4 + 1  # the count, a layer, the rest, and the head
    assert shown["h.0.attn.c_attn.weight"] == ("[C, 3C] → [3C, C]", "transposed")
    assert shown["h.0.attn.c_proj.weight"] == ("[C, C] → [C, C]", "transposed")
    assert shown["h.0.attn.c_attn.bias"] == ("[3C] → [3C]", "")
    assert shown["h.0.attn.bias"] == ("[1, 1, 16, 16] → left out", "")
    assert shown["wte.weight"] == ("[V, C] → [V, C]", "")
    assert shown["lm_head.weight"] == ("→ [V, C]", "as wte.weight")
    assert f"{SMALL.n_layer} times" in shown
    assert "h.1.ln_1.bias" not in shown


@pytest.mark.full("looks into models")
def test_the_loop_shows_what_the_model_is_asked(engine: Engine) -> None:
    (line,) = sheets.of_loop("solutions", engine)
    assert (line.name, line.shapes) == ("generate_tokens", "[1, 4] → [1, 7]")
    assert [part.shapes for part in line.parts] == [f"[1, {n}] → [1, {n}, V]" for n in (4, 5, 6)]
    story = engine.write(sheets.PROMPT, max_new_tokens=3, temperature=0)
    said = [part.weights.removeprefix("then comes ") for part in line.parts]
    assert story == sheets.PROMPT + "".join(map(eval, said))
