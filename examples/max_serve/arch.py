"""What MAX looks up under the name in a model's config.json: the parts, and what they can do."""

from max.graph.weights import WeightsFormat
from max.pipelines.context import TextContext
from max.pipelines.context.exceptions import InputError
from max.pipelines.kv_cache.memory_planner import PagedMemoryPlanner
from max.pipelines.lib import SupportedArchitecture, TextTokenizer
from max.pipelines.modeling.types import PipelineTask

from .config import GPT2ArchConfig
from .pipeline import GPT2Batches, GPT2Pipeline
from .weights import convert_weights


def check_request(context: TextContext) -> None:
    """Refuse ids that the model doesn't have, which end the server, and logprobs, left empty."""
    size = context.vocab_size
    if unknown := [int(token) for token in context.tokens.all if not 0 <= token < size]:
        raise InputError(f"token ids must be from 0 to {size - 1}, but one is {unknown[0]}")
    if context.log_probabilities:  # LogProbabilitiesMixin would add a graph for them
        raise InputError("logprobs must be left out: this architecture has none")


gpt2 = SupportedArchitecture(
    name="GPT2LMHeadModel",
    task=PipelineTask.TEXT_GENERATION,
    example_repo_ids=["openai-community/gpt2"],
    config=GPT2ArchConfig,
    default_encoding=GPT2ArchConfig.DEFAULT_ENCODING,
    supported_encodings=GPT2ArchConfig.SUPPORTED_ENCODINGS,
    default_weights_format=WeightsFormat.safetensors,
    weight_adapters={WeightsFormat.safetensors: convert_weights},
    pipeline_model=GPT2Pipeline,
    batching=GPT2Batches,
    tokenizer=TextTokenizer,
    context_type=TextContext,
    context_validators=[check_request],
    memory_planner=PagedMemoryPlanner,
    supports_overlap_scheduler=False,
    supports_device_graph_capture=False,
)
