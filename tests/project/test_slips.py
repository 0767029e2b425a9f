"""What is said of errors that people bring from PyTorch, NumPy and haste."""

from collections.abc import Iterator

import pytest

from tests.project import suites
from tests.project.tiers import partly
from tutor.check.results import Result
from tutor.check.sandbox.errors import CodeError, Place
from tutor.check.sandbox.workbench import Workbench
from tutor.check.slips import slip
from tutor.course import sources
from tutor.course.registry import find_step

# A step, what of its reference is replaced by what, and a part of the sentence.
NORM = "F.layer_norm(x, gamma=self.weight, beta=self.bias, epsilon=self.eps)"
SLIPS = [
    ("2", "Dim(num_tokens)", "int(num_tokens)", "cached is not known yet"),
    ("2", "keys[num_tokens:].unsqueeze(1)", "list(range(sequence_length))", "A list is no Tensor"),
    (
        "2",
        "keys > queries",
        "F.gather(keys, keys + 99, axis=0) > queries",
        "looked up where there are 5",
    ),
    ("2", "keys > queries", "F.gather(keys, seen, axis=0) > queries", "whole numbers, and float"),
    ("3", "epsilon=self.eps", "eps=self.eps", "MAX calls it epsilon, not eps."),
    ("3", "Tensor.ones([dim])", "Tensor.ones(dim)", "A shape is a list: Tensor.ones([…])."),
    ("3", NORM, "x.mean(dim=-1)", "MAX calls it axis, not dim."),
    ("3", NORM, "x.mean(axis=-1, keepdim=True)", "leave keepdim out"),
    ("3", NORM, "F.mean(x, axis=-1, keepdims=True)", "leave keepdims out"),
    ("3", NORM, "x.var(axis=-1)", "There is no var"),
    ("3", NORM, "x.pow(2)", "Write x**2."),
    ("4", "F.gelu(", "F.GELU(", "There is no GELU; is it gelu?"),
    ("5", "dim=config.n_embd", "config.n_embd", "Embedding(vocab_size, dim=…)"),
    ("5", "self.wte(input_ids)", "self.wte.weight[input_ids]", "cannot be indexed by a Tensor"),
    ("5", "self.wte(input_ids)", "F.gather(self.wte.weight, input_ids)", "functional as F"),
    ("7", "math.sqrt(self.head_dim)", "F.sqrt(self.head_dim)", "F.sqrt takes a Tensor"),
    ("7", "reshape([batch, length, width])", "reshape(batch, length, width)", "reshape takes one"),
    ("7", "key.transpose(-1, -2)", "key.transpose(0, 1, 3, 2)", "transpose swaps two axes"),
    ("7", "key.transpose(-1, -2)", "key.permute(0, 1, 3, 2)", "permute takes one list"),
    ("7", "key.transpose(-1, -2)", "key", "transposed, the right one would fit"),
    ("7", "self.c_attn(x)", "c_attn(x)", "through self: self.c_attn"),
    ("7", "length, width = x.shape", "length, width = x.shape()", "shape is no function"),
    (
        "7",
        "config.n_embd // config.n_head",
        "config.n_embd / config.n_head",
        "divide sizes with //",
    ),
    ("8", "self.ln_1(x)", "self.ln1(x)", "There is no ln1; is it ln_1?"),
    ("8", "n_embd, eps=config", "n_embd, config", "LayerNorm(dim, eps=…)"),
    ("8", "GPT2MLP(", "GPT2MLP(config, ", "GPT2MLP(config.n_inner, config)"),
    ("10", "bias=False", "use_bias=False", "There is no use_bias; is it bias?"),
    ("10", "self.lm_head(", "self.lm_heads(", "There is no lm_heads; is it lm_head?"),
    ("12", "F.concat([", "F.cat([", "MAX calls it F.concat."),
    ("1", "int = 50257", "int = (50257,)", "a comma after a value makes one"),
    ("1", "@dataclass\n", "@dataclass(frozen=True)\n", "leave frozen out"),
    ("1", "if self.n_embd %", "if self.n_embd //", "what it refuses here is right"),
    ("1", "__post_init__(self)", "__init__(self)", "GPT2Config(vocab_size=50257, n_positions"),
    ("2", "F.where(keys > queries, hidden, seen)", "F.tril(seen)", "MAX has no F.tril; F.where is"),
    ("2", "F.where(keys > queries, hidden, seen)", "seen.masked_fill(keys)", "has no masked_fill"),
    ("2", "keys > queries, hidden", "hidden, keys > queries", "takes the condition first"),
    ("2", "F.where(keys > queries, hidden, seen)", "hidden if keys > queries else seen", "if, and"),
    ("3", NORM, "F.layer_norm(x, self.weight)", "F.layer_norm(input, gamma, beta, epsilon)"),
    ("3", "nn import Module", "nn import Module, Parameter", "has no Parameter"),
    ("3", "*, eps: float = 1e-5", "*, epsilon: float = 1e-5, eps: float", "(dim, *, eps=1e-05)"),
    (
        "4",
        "Linear(config.n_embd, intermediate_size)",
        "Linear(in_features=1, out_features=2)",
        "Linear(in_dim, out_dim",
    ),
    ("4", "intermediate_size: int, config: GPT2Config", "config, intermediate_size", "wrong way"),
    ("4", 'approximate="tanh"', "approximate=True", '"none", "tanh" and "quick"'),
    ("7", "[width] * 3, axis=-1", "[width] * 3", "F.split works on axis 0"),
    ("7", "[batch, length, width])", "[batch, length, 8])", "keeps all numbers: [2, 1, 3, 8] has"),
    ("7", "F.softmax(scores) @ value", "F.softmax(scores) * value", "counted from the end"),
    (
        "7",
        "        return x.reshape",
        "        x.reshape",
        "a function without a return gives None",
    ),
    ("7", "_split_heads(self, x", "_split_heads(x", "does _split_heads have it?"),
    (
        "8",
        "GPT2MLP(config.n_inner, config)",
        "GPT2MLP(config)",
        "GPT2MLP(intermediate_size, config)",
    ),
    ("8", "self.attn(self.ln_1(x))", "self.attn(x, x)", "GPT2MultiHeadAttention(x)"),
    ("9", "self.wte(input_ids)", "GPT2Embeddings.wte(input_ids)", "GPT2Embeddings is the class"),
    ("11", 'Path(path) / "config.json"', 'Path(f"{path}config.json")', "joins the two"),
    ("11", 'Path(path) / "config.json").read_text()', "Path(path)).read()", "of a path it is"),
    ("11", "default_dtype(DType.float32)", "default_dtype(DType.bfloat16)", "make it in float32"),
    ("11", "    return model\n", "    return model.eval()\n", "has no eval; leave it out"),
    ("11", "        state[name] =", "        hf_state[name + name] = state[name] =", "cannot grow"),
    ("12", "model.config.n_positions", "model.n_positions", "config.n_positions"),
    ("12", "logits = model(", "logits = model.forward(", "A model is called"),
    ("12", "weights.sum(axis=-1, keepdims=True)", "weights.sum(axis=-1)", "keepdims=True keeps"),
    ("m1", "size // self.num_attention_heads", "size // self.heads", "no heads, but vocab_size,"),
    ("m1", 'found.get("rope_scaling", {})', 'found["rope_scaling"]', "no rope_scaling in it"),
    ("m2", "(x, self.weight, self.eps)", "(x, self.eps, self.weight)", "A float stands where"),
    ("m2", "self.weight, self.eps)", "self.weight[:4], self.eps)", "a weight for 4 numbers"),
    ("m3", "F.silu(self.gate_proj(x))", "F.silu(self.gate(x))", "no gate; is it gate_proj?"),
    ("m3", "gate * self.up_proj(x)", "gate @ self.up_proj(x)", "number by number"),
    ("m4", " * rates", " @ rates", "In [2, 5, 1] @ [4] the last size"),
    ("m4", "cos.unsqueeze(1)", "cos.unsqueeze(4)", "3 axes has no place 4 for a new one"),
    ("m4", "cos.unsqueeze(1)", "cos.squeeze(1)", "squeeze takes away an axis of 1"),
    ("m4", "F.cos(angles)", "np.cos(angles)", "what takes Tensors is in F"),
    ("m4", "F.cos(angles)", "math.cos(angles)", "The math module takes plain numbers"),
    ("m4", "F.concat([first", "F.concat(*[first", "F.concat(original_vals, axis=0)"),
    ("m5", ".unsqueeze(1).unsqueeze(1)", ".unsqueeze(1)", "as [4, 1, 1, 1, 1] the shorter one"),
    ("m5", "stacked @ key", "query @ key", "the axes before the last two have to be the same"),
    ("m5", "remember(key, value)", "remember(key)", "remember also needs value."),
    ("m5", "heads, length, head_dim = query", "heads, length = query", "there are 3 names, and on"),
    ("m3", "Linear(hidden_size, int", "Linear(self.hidden_size, int", "hidden_size keeps it."),
    ("m5", "RMSNorm(config.head_dim", "RMSNorm(config", "here it is a whole LlamaConfig."),
    ("m6", "(positions, self.speeds)", "(positions, self.config)", "self.config = config keeps it"),
    (
        "m8",
        "*caches: Tensor\n",
        "caches: Tensor\n",
        "mask, scored, *caches)",
    ),
    ("m6", "cos, sin = rotary", "cos = sin = rotary", "What stands before .unsqueeze is a tuple"),
    ("m6", "memories[i] if memories else None", "memories[i]", "it may be empty"),
    ("m7", "content[8:start]", "content[:start]", "From character 1 on this is no JSON"),
    ("m7", 'DTYPES[entry["dtype"]]', 'entry["dtype"]', "NumPy has no type F32"),
    ("m9", "range(config.num_experts)", "range(config.n_experts)", "is it num_experts?"),
    ("m9", "sum(parts[1:], parts[0])", "F.sum(parts)", "F.sum is called like this"),
    ("m9", "k=count", "k=count + 9", "largest are asked for, of"),
]


@pytest.fixture(scope="module")
def bench() -> Iterator[Workbench]:
    bench = Workbench("solutions", announce=lambda _: None)
    yield bench
    bench.close()


@pytest.mark.parametrize(
    ("name", "old", "new", "said"), partly("slips", SLIPS, SLIPS[::5].__contains__)
)
def test_what_to_write_is_said(name: str, old: str, new: str, said: str, bench: Workbench) -> None:
    step = find_step(name)
    source = sources.reference(step)
    assert old in source
    result = Result(step, "solutions", {})
    changed = source.replace(old, new, 1)
    suites.run_tests(result, bench, changed, stop=True)
    error = result.failures[0].error
    assert isinstance(error, CodeError)
    assert said in slip(suites.as_written(error, step, changed), source)


@pytest.mark.parametrize(
    "error",
    [
        CodeError("ValueError", "something else"),
        CodeError("NameError", "name 'elephant' is not defined"),
        CodeError("AttributeError", "'int' object has no attribute 'elephant'"),
        CodeError("TypeError", "'int' object is not iterable", [Place("a", 1, "f", "for x in 3:")]),
        CodeError("KeyError", "{0} {call}"),
        CodeError("KeyError", "'elephant'", [Place("a", 1, "f", "elephants[name]")]),
        CodeError("IndexError", "tuple index out of range", [Place("a", 1, "f", "F.cos(x)")]),
        CodeError("AssertionError", "", [Place("a", 1, "f", "assert F.cos(x)")]),
        CodeError("AttributeError", "'Elephant' object has no attribute 'trunk'"),
    ],
    ids=str,
)
def test_of_other_errors_nothing_is_said(error: CodeError) -> None:
    assert not slip(error, sources.reference(find_step("7")))
