"""The shapes on the way through each step, as the code of either tree makes them."""

import contextlib
import dataclasses
import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tutor import runtime
from tutor.course import sources
from tutor.course.registry import Step, step_that
from tutor.course.tracks import ENGINE, MODERN
from tutor.engine import checkpoint, settings, trees, weights
from tutor.engine.generation import Engine
from tutor.engine.loops import as_tensor, quieted
from tutor.engine.start import start_engine
from tutor.errors import InputError, reason
from tutor.show import texts
from tutor.show.observing import only_gpt2
from tutor.show.tracing import Letters, Line, shorten, trace

# The sizes of a Llama, unless a model is given: as few as possible are equal.
USUAL_LLAMA = "Qwen3 4B"
LLAMA_SIZES: dict[str, Any] = {
    "vocab_size": 151936,
    "hidden_size": 2560,
    "intermediate_size": 9728,
    "num_hidden_layers": 36,
    "num_attention_heads": 32,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "max_position_embeddings": 40960,
    "rope_theta": 1e6,
    "qk_norm": True,
}

# What the fields of a configuration are called in shapes, or what else they are.
MEANINGS = {
    "vocab_size": "V",
    "n_positions": "the longest T",
    "n_embd": "C",
    "n_layer": "blocks in a row",
    "n_head": "H",
    "n_inner": "L",
    "layer_norm_epsilon": "in each norm",
    "hidden_size": "C",
    "intermediate_size": "L",
    "num_hidden_layers": "blocks in a row",
    "num_attention_heads": "H",
    "num_key_value_heads": "G",
    "head_dim": "D",
    "max_position_embeddings": "the longest T",
    "rms_norm_eps": "in each norm",
    "rope_theta": "sets the speeds",
    "rope_scaling": "slows them",
    "tie_word_embeddings": "the head is a table",
    "qkv_bias": "in attention",
    "qk_norm": "in attention",
}
MASKS = ((4, 0), (2, 3))  # the lengths of those that are shown: of a prompt, and after a cache
LOGITS = (2.0, 1.0, 0.5, 0.0, -1.0)  # of a row that tokens are drawn from
SMALL_LLAMA: dict[str, Any] = {
    "model_type": "llama",
    "vocab_size": 96,
    "hidden_size": 40,
    "intermediate_size": 72,
    "num_hidden_layers": 2,
    "num_attention_heads": 6,
    "num_key_value_heads": 3,
    "head_dim": 8,
    "tie_word_embeddings": True,
}
TEXT = (0, 1, 2, 3, 4, 1, 2)  # for guesses: its last two tokens were there before
CHOSEN = (3, 4, 0, 1, 2)  # what a model chooses after it, and after each of four guesses
SAMPLINGS: tuple[dict[str, float], ...] = ({}, {"temperature": 0.5}, {"top_k": 3}, {"top_p": 0.7})
WIDEST_NUMBER = 5  # of a mask, with the space before it
# The modules of each step, and what they are given.
MODULES: dict[str, dict[str, list[str]]] = {
    "step_03": {"LayerNorm": ["x"]},
    "step_04": {"GPT2MLP": ["x"]},
    "step_05": {"GPT2Embeddings": ["ids"]},
    "step_06": {"GPT2PositionEmbeddings": ["positions"]},
    "step_07": {"GPT2MultiHeadAttention": ["x"]},
    "step_08": {"GPT2Block": ["x"]},
    "step_09": {"MaxGPT2Model": ["ids"]},
    "step_10": {"MaxGPT2LMHeadModel": ["ids"]},
    "engine_01": {"GPT2SamplingHead": ["ids", "temperature"], "GPT2GreedyHead": ["ids"]},
    "engine_03": {"GPT2BatchHead": ["ids", "ids", "mask"]},
    "engine_04": {"GPT2CachedHead": ["new ids", "new ids", "mask of new", "scored", "caches"]},
    "modern_02": {"RMSNorm": ["x"]},
    "modern_03": {"LlamaMLP": ["x"]},
    "modern_05": {"LlamaAttention": ["x", "table", "table", "mask"]},
    "modern_06": {"MaxLlamaLMHeadModel": ["ids"]},
    "modern_08": {"LlamaCachedHead": ["new ids", "new ids", "mask of new", "scored", "caches"]},
    "modern_09": {"MixtureOfExperts": ["x"]},
}
EXPERTS = (3, 2)  # of a block, and those that a token uses; few, to keep the sheet short
PROMPT, NEW_TOKENS = "Once upon a time", 3  # what goes through the loop of step 12


@dataclass(frozen=True)
class Sheet:
    """A table of a step's shapes: its heads, its lines, and whose sizes have which letters."""

    head: tuple[str, str, str]
    lines: list[Line]
    letters: Letters
    whose: str


def of_step(step: Step, model: str | None, tree: str) -> Sheet:
    """The shapes of a step, for GPT-2 small, the first Llama or another model.

    Weights are loaded for the steps that use them, and then those of the bundled model.
    """
    if not step.track.computes:
        lines = texts.of_text(step, checkpoint.find_model(model), tree)
        return Sheet(("function", "in → out", "what comes out"), lines, Letters({}), "")
    runtime.activate()
    trees.load_step(tree, step)  # it says which steps are not finished, of those that this one uses
    if {"loads", "generates", "llama_loads"} & {*step.roles}:
        return of_weights(step, model, tree)
    if {"samples", "speculates", "batches_continuously", "answers"} & {*step.roles}:
        return of_tokens(step, tree)
    if step.track == MODERN:
        config = llama_sizes_of(tree_of(step_that("llama_sizes"), step, tree), model)
        letters, usual = Letters.of_llama(config), USUAL_LLAMA
    else:
        config = sizes_of(tree_of(step_that("sizes"), step, tree), model)
        letters, usual = Letters.of(config), "GPT-2 small"
    whose = f", as in {model or usual}"
    if {"sizes", "llama_sizes"} & {*step.roles}:
        return Sheet(("field", "size", "letter"), of_config(config), letters, whose[2:])
    if "masks" in step.roles:
        return Sheet(("mask", "shape", "numbers"), of_mask(tree), letters, "")
    if "mixes" in step.roles:
        experts = dict(zip("EK", EXPERTS, strict=True))
        letters = Letters(letters.sizes | experts, letters.others)
    if "llama_caches" in step.roles:
        letters = Letters(letters.sizes, [*letters.others, config.n_positions])
    if "rotates" in step.roles:
        head = ("function", "in → out", "radians")
        return Sheet(head, of_rotation(tree, config, letters), letters, whose)
    head = ("module or operation", "in → out", "weights")
    return Sheet(head, of_modules(tree, step, config, letters), letters, whose)


def tree_of(other: Step, step: Step, tree: str) -> str:
    """Where another step comes from: the learner's tree if theirs uses it, else the solutions."""
    return tree if other in sources.used(step, like_reference=False) else "solutions"


def of_tokens(step: Step, tree: str) -> Sheet:
    """The shapes of a step that has to do with tokens alone, whatever model scores them."""
    if "samples" in step.roles:
        return Sheet(("sampling", "in → out", "probabilities"), of_sampling(tree), Letters({}), "")
    if "speculates" in step.roles:
        return Sheet(("call", "in → out", "tokens"), of_guesses(tree), Letters({}), "")
    return of_serving(tree, step)


def of_weights(step: Step, model: str | None, tree: str) -> Sheet:
    """The shapes of a step that uses weights."""
    head = ("tensor in the file", "there → in the model", "")
    if "llama_loads" in step.roles:
        lines, letters = of_llama_checkpoint(tree, model)
        return Sheet(head, lines, letters, f", as in {model or 'a small Llama'}")
    engine = start_engine(model, tree=tree_of(step_that("loads"), step, tree))
    only_gpt2(engine.folder, f"tutor show shapes {step.short}")
    whose, letters = f", as in {model or checkpoint.BUNDLED_MODEL.name}", Letters.of(engine.config)
    if "generates" in step.roles:
        head = ("call", "ids → what comes of them", "text")
        return Sheet(head, of_loop(tree, engine), letters, whose)
    state = weights.read(checkpoint.find_model(model))
    return Sheet(head, of_checkpoint(tree, engine, state), letters, whose)


def sizes_of(tree: str, model: str | None) -> Any:
    """The GPT2Config of a tree, with the sizes of GPT-2 small or of a model."""
    if not model:
        config = trees.load_step(tree, step_that("sizes")).GPT2Config
        with trees.learners_code(tree):
            return config()
    folder = checkpoint.find_model(model)
    checkpoint.check_folder(folder)
    only_gpt2(folder, "tutor show shapes of such a step")
    try:
        with trees.learners_code(tree):
            return trees.make_config(folder, tree)
    except ValueError as error:
        raise InputError(f"{folder} has sizes that cannot be: {reason(error)}") from None


def llama_sizes_of(tree: str, model: str | None) -> Any:
    """The LlamaConfig of a tree, with the usual sizes or those of a model."""
    code = trees.load_step(tree, step_that("llama_sizes"))
    if not model:
        with trees.learners_code(tree):
            return code.LlamaConfig(**LLAMA_SIZES)
    file = checkpoint.find_model(model) / settings.CONFIG
    if not file.is_file():
        raise InputError(f"{file.parent} has no {file.name}")
    try:
        with trees.learners_code(tree):
            return code.read_config(settings.read_json(file))
    except ValueError as error:
        raise InputError(f"{file} is no Llama's: {reason(error)}") from None


def of_config(config: Any) -> list[Line]:
    """The sizes of a configuration, which all shapes are made of."""
    entries = [(each.name, getattr(config, each.name)) for each in dataclasses.fields(config)]
    lines = [Line(name, shapes=str(size), weights=MEANINGS.get(name, "")) for name, size in entries]
    if hasattr(config, "head_dim"):
        return lines
    head_dim = config.n_embd // config.n_head
    return [*lines, Line("n_embd / n_head", shapes=str(head_dim), weights="D")]


def of_mask(tree: str) -> list[Line]:
    """The mask of step 02 for lengths that are known later, and for two that are."""
    from max.driver import CPU
    from max.dtype import DType
    from max.experimental.compilation import stage
    from max.experimental.tensor import Tensor, TensorType

    causal_mask = trees.load_step(tree, step_that("masks")).causal_mask
    options = {"dtype": DType.float32, "device": CPU()}

    def mask(new: Tensor, cached: Tensor) -> Any:
        return causal_mask(new.shape[0], cached.shape[0], **options)

    with trees.learners_code(tree):
        new, cached = (TensorType(DType.float32, [name], device=CPU()) for name in ("T", "P"))
        (known_later,) = stage(mask)(new, cached).out_layouts
        masks = [causal_mask(*lengths, **options).to_numpy() for lengths in MASKS]
    lines = [Line("causal_mask(T, P)", shapes=f"[{', '.join(map(str, known_later.shape))}]")]
    for lengths, numbers in zip(MASKS, masks, strict=True):
        rows = ["".join(f"{number:{WIDEST_NUMBER}.0f}" for number in row) for row in numbers]
        name = f"causal_mask{lengths}"
        lines.append(Line(name, shapes=str(list(numbers.shape)), weights=rows[0]))
        lines += [Line("", weights=row) for row in rows[1:]]
    return lines


def of_sampling(tree: str) -> list[Line]:
    """What engine 02 leaves of a row of logits, by settings, and what it draws."""
    code, logits = trees.load_step(tree, step_that("samples")), np.array([LOGITS], dtype=np.float32)
    lines = [Line("", shapes="logits", weights="".join(f"{each:6.1f}" for each in LOGITS))]
    with trees.learners_code(tree):
        for options in SAMPLINGS:
            sampling = code.Sampling(**options)
            cut = code.probabilities(logits, sampling)
            name = f"Sampling({', '.join(f'{key}={value}' for key, value in options.items())})"
            shapes = f"{list(logits.shape)} → {list(cut.shape)}"
            lines.append(Line(name, "", shapes, "".join(f"{each:6.2f}" for each in cut[0])))
        drawn = code.choose(logits, sampling, [np.random.default_rng(0)])
    return [*lines, Line("choose", "", f"{list(logits.shape)} → {list(drawn.shape)}")]


def of_guesses(tree: str) -> list[Line]:
    """What a draft of engine 05 guesses after a text, and what stands of that."""
    code, rng = trees.load_step(tree, step_that("speculates")), np.random.default_rng(0)
    ids, logits = np.array(TEXT), np.eye(len(CHOSEN), dtype=np.float32)[[*CHOSEN]]
    with trees.learners_code(tree):
        greedy = trees.load_step(tree, step_that("samples")).Sampling(temperature=0)
        guesses = code.LookupDraft()(ids, len(CHOSEN) - 1, greedy, rng)
        tokens = code.verify(logits, guesses, greedy, rng)
    verified = f"{list(logits.shape)}, {list(guesses.shape)} → {list(tokens.shape)}"
    return [
        Line("the text", "", str(list(ids.shape)), " ".join(map(str, ids))),
        Line(
            "LookupDraft",
            "",
            f"{list(ids.shape)} → {list(guesses.shape)}",
            " ".join(map(str, guesses)),
        ),
        Line("verify", "", verified, " ".join(map(str, tokens))),
    ]


def of_serving(tree: str, step: Step) -> Sheet:
    """The steps that serve a model."""
    if "answers" in step.roles:
        return Sheet(("call", "in → out", "text"), of_answers(tree, step), Letters({}), "")
    head = ("call of the head", "ids, mask → logits", "columns seen")
    return Sheet(head, of_rows(tree, step), Letters({}), "")


class ShownHead:
    """In place of a CachedModel: any token will do, and each call of the head is noted."""

    def __init__(self, config: Any) -> None:
        from max.driver import CPU
        from max.dtype import DType

        self.config, self.device, self.dtype = config, CPU(), DType.float32
        self.lines: list[Line] = []

    def cache_shape(self, batch: int) -> list[int]:
        return [2, batch, 1, self.config.n_positions, 1]

    def head(self, ids: Any, _: Any, mask: Any, *__: Any) -> Any:
        from max.experimental.tensor import Tensor

        logits = np.zeros((int(ids.shape[0]), 1, self.config.vocab_size), np.float32)
        shapes = [[int(size) for size in each.shape] for each in (ids, mask)]
        seen = " ".join(
            "".join("x" if column == 0 else "-" for column in row[-1]) for row in mask.to_numpy()
        )
        name = "join" if shapes[0][1] > 1 or not self.lines else "decode"
        told = f"{', '.join(map(str, shapes))} → {list(logits.shape)}"
        self.lines.append(Line(name, "", told, seen))
        return Tensor.from_dlpack(logits)


def of_rows(tree: str, step: Step) -> list[Line]:
    """What a running batch of engine 06 shows its model, when a second row joins the first."""
    code = trees.load_step(tree, step)
    sizes = trees.load_step(tree, step_that("sizes"))
    with trees.learners_code(tree):
        model = ShownHead(sizes.GPT2Config(len(LOGITS), 16, 2, 1, 1))
        batch = code.RunningBatch(model, 2)
        for prompt in TEXT[:3], TEXT[:2]:
            batch.waiting.append(code.Row([*prompt], np.random.default_rng(0)))
            for _ in range(2):
                batch.step()
    return model.lines


def of_answers(tree: str, step: Step) -> list[Line]:
    """The way of a request through engine 07, with a token for each of its letters."""
    code = trees.load_step(tree, step)
    body = b'{"model": "m", "prompt": "Once", "n": 2, "stop": "end"}'
    lines = [Line("the body", "", f"{len(body)} bytes")]
    with trees.learners_code(tree):
        request = code.parse_request(body, "m")
        rows = code.make_rows(request, [*map(ord, request.prompt)], [])
        lines.append(Line("make_rows", "", f"{len(rows[0].prompt)} tokens → {len(rows)} rows"))
        answer = code.Completion(request, rows, Letterwise())
        for letters in ("the ", "en", "d"):
            rows[0].new += map(ord, letters)
            chunk = answer.chunk(rows[0])
            text = repr(chunk["choices"][0]["text"]) if chunk else ""
            event = f"{len(code.encode_event(chunk))} bytes" if chunk else "no chunk"
            lines.append(Line("chunk", "", f"{len(rows[0].new)} new tokens → {event}", text))
    return lines


class Letterwise:
    """A tokenizer whose tokens are letters."""

    def decode(self, token_ids: list[int]) -> str:
        return "".join(map(chr, token_ids))


def of_rotation(tree: str, config: Any, letters: Letters) -> list[Line]:
    """The speeds, the table and the rotation of modern 04, for lengths that are known later."""
    from max.driver import CPU
    from max.dtype import DType
    from max.experimental.compilation import stage
    from max.experimental.tensor import Tensor, TensorType

    code = trees.load_step(tree, step_that("rotates"))
    heads = ["B", config.num_attention_heads, "T", config.head_dim]
    with trees.learners_code(tree):
        speeds = code.rotary_speeds(config)

        def rotation(positions: Tensor, x: Tensor) -> tuple[Tensor, ...]:
            table = code.rotary_table(positions, speeds)
            return *table, code.rotate(x, *table)

        given = [
            TensorType(DType.int64, ["B", "T"], device=CPU()),
            TensorType(DType.float32, heads, device=CPU()),
        ]
        *table, rotated = stage(rotation)(*given).out_layouts
    shapes = letters.name(speeds.shape), letters.count(table), letters.name(rotated.shape)
    return [
        Line("rotary_speeds", "", f"→ {shapes[0]}", f"{speeds[0]:.2g} … {speeds[-1]:.2g}"),
        Line("rotary_table", "", f"[B, T], {shapes[0]} → {shapes[1]}"),
        Line("rotate", "", f"{letters.name(heads)}, {shapes[1]} → {shapes[2]}"),
    ]


def of_modules(tree: str, step: Step, config: Any, letters: Letters) -> list[Line]:
    """The modules of a step, traced with letters for the sizes of their inputs."""
    from max.experimental import functional as F

    code, types = trees.load_step(tree, step), input_types(config)
    lines = []
    with trees.learners_code(tree):
        for name, inputs in MODULES[step.name].items():
            with F.lazy():  # so that no weights are drawn
                module = getattr(code, name)(*arguments(tree, step, config))
            lines.append(trace(module, [each for key in inputs for each in types[key]], letters))
    return lines


def arguments(tree: str, step: Step, config: Any) -> list[Any]:
    """What the modules of a step are made from."""
    if step.track == ENGINE:
        return [trees.load_step(tree, step_that("model")).MaxGPT2LMHeadModel(config)]
    if "llama_caches" in step.roles:
        return [trees.load_step(tree, step_that("llama_model")).MaxLlamaLMHeadModel(config)]
    if step.track == MODERN:
        own = {"modern_02": [config.hidden_size]}
        own["modern_03"] = [config.hidden_size, config.intermediate_size]
        if "mixes" in step.roles:
            moe = trees.load_step(tree, step).MoEConfig(*EXPERTS, config.intermediate_size, True)
            own[step.name] = [config.hidden_size, moe]
    else:
        own = {"step_03": [config.n_embd], "step_04": [config.n_inner, config]}
    return own.get(step.name, [config])


def input_types(config: Any) -> dict[str, list[Any]]:
    """What modules are given, with letters in place of sizes that are known later."""
    from max.driver import CPU
    from max.dtype import DType
    from max.experimental.tensor import TensorType
    from max.graph import BufferType, DeviceRef

    def of(dtype: DType, *shape: int | str) -> list[Any]:
        return [TensorType(dtype, shape, device=CPU())]

    if hasattr(config, "hidden_size"):
        width, layers = config.hidden_size, config.num_hidden_layers
        cache = ["B", config.num_key_value_heads, config.n_positions, config.head_dim]
        own = {"table": of(DType.float32, "B", "T", config.head_dim // 2)}
    else:
        width, layers = config.n_embd, config.n_layer
        cache = ["B", config.n_head, config.n_positions, width // config.n_head]
        own = {"positions": of(DType.int64, "T"), "temperature": of(DType.float32)}
    return own | {
        "ids": of(DType.int64, "B", "T"),
        "x": of(DType.float32, "B", "T", width),
        "mask": of(DType.float32, "B", "T", "T"),
        "new ids": of(DType.int64, "B", "N"),
        "mask of new": of(DType.float32, "B", "N", "T"),
        "scored": of(DType.int64, "S"),
        "caches": [BufferType(DType.float32, cache, DeviceRef.CPU())] * 2 * layers,
    }


def of_checkpoint(tree: str, engine: Engine, state: Mapping[str, Any]) -> list[Line]:
    """The tensors of a checkpoint as they are in its file, and as step 11 converts them."""
    with trees.learners_code(tree):
        convert = trees.load_step(tree, step_that("loads")).convert_state_dict
        converted = dict(convert(state, engine.config))
    return of_conversion(state, converted, Letters.of(engine.config))


def of_llama_checkpoint(tree: str, model: str | None) -> tuple[list[Line], Letters]:
    """The same of modern 07, for a model or for a small Llama, and the letters of its sizes."""
    code = trees.load_step(tree, step_that("llama_loads"))
    with contextlib.ExitStack() as stack:
        if model:
            folder = checkpoint.find_model(model)
        else:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            write_small_llama(folder, tree)
        config = llama_sizes_of(tree, str(folder))
        stack.enter_context(trees.learners_code(tree))
        state = code.read_tensors(folder)
        converted = dict(code.convert_state_dict(state, config))
    letters = Letters.of_llama(config)
    return of_conversion(state, converted, letters), letters


def write_small_llama(folder: Path, tree: str) -> None:
    """A folder of a Llama whose sizes all differ, with random weights and a tied head."""
    from max.experimental import functional as F
    from safetensors.numpy import save_file

    (folder / settings.CONFIG).write_text(json.dumps(SMALL_LLAMA), encoding="utf-8")
    config = llama_sizes_of(tree, str(folder))
    code = trees.load_step(tree, step_that("llama_model"))
    with trees.learners_code(tree), F.lazy():
        parameters = dict(code.MaxLlamaLMHeadModel(config).parameters)
    rng, state = np.random.default_rng(0), {}
    for name, value in parameters.items():
        if not name.startswith("lm_head"):
            numbers = rng.normal(size=[int(size) for size in value.shape])
            state[name] = numbers.astype(np.float16)
    save_file(state, folder / weights.WEIGHTS)


def of_conversion(
    state: Mapping[str, Any], converted: dict[str, Any], letters: Letters
) -> list[Line]:
    """The tensors of a file, and what each of them is in the model, maybe by another name."""
    lines = []
    for name, before in sorted(state.items()):
        own = next((each for each in (name, f"transformer.{name}") if each in converted), None)
        after = converted.pop(own) if own else None
        shape = "left out" if after is None else letters.name(after.shape)
        remark = "transposed" if is_transposed(before, after) else ""
        lines.append(Line(brief(name), "", f"{letters.name(before.shape)} → {shape}", remark))
    # What is left has no name in the file: the head, which has the weights of the embedding.
    for name, after in converted.items():
        like = next((each for each in state if np.array_equal(state[each], after)), "")
        source = f"as {brief(like)}" if like else ""
        lines.append(Line(name, "", f"→ {letters.name(after.shape)}", source))
    return shorten(lines)


def brief(name: str) -> str:
    """A name, of which a Llama's are long: without what nearly all of them have."""
    inner = name.removeprefix("model.")
    return name if inner == name else inner.removesuffix(".weight")


def is_transposed(before: Any, after: Any) -> bool:
    """Whether a weight was transposed, which the shape of a square one does not tell."""
    return np.array_equal(before.T, after) and not np.array_equal(before, after)


def of_loop(tree: str, engine: Engine) -> list[Line]:
    """The ids on their way through the loop of step 12, and the tokens that it makes."""
    letters, ids = Letters({"V": engine.config.vocab_size}), engine.story(PROMPT).prompt_ids
    calls = []

    model = quieted(engine.model, engine.silent)

    class Watched:
        """The model, and what it is asked."""

        config = engine.config

        def __call__(self, input_ids: Any, /) -> Any:
            logits = model(input_ids)
            calls.append(f"{letters.name(input_ids.shape)} → {letters.name(logits.shape)}")
            return logits

    with trees.learners_code(tree):
        generate = trees.load_step(tree, step_that("generates")).generate_tokens
        output = generate(Watched(), as_tensor([ids]), NEW_TOKENS, do_sample=False)
        made = [engine.tokenizer.show(token) for token in output.to_numpy()[0, len(ids) :].tolist()]
    lines = [
        Line("model", "", shapes, f"then comes {token!r}")
        for shapes, token in zip(calls, made, strict=False)
    ]
    shapes = f"{[1, len(ids)]} → {letters.name(output.shape)}"
    return [Line("generate_tokens", "", shapes, repr(PROMPT), lines)]
