"""Batches in, logits out: what MAX calls between two tokens."""

from dataclasses import dataclass
from typing import Any

from max import tree
from max.driver import Buffer
from max.graph.weights import WeightData
from max.pipelines.context import TextContext
from max.pipelines.lib import ModelInputs, ModuleV3PipelineModelWithKVCache
from max.pipelines.lib.interfaces.batch_processor import ModuleV3SingleReplicaBatchProcessor

from .config import GPT2ArchConfig
from .model import PagedGPT2
from .weights import to_config


@dataclass
class GPT2Inputs(ModelInputs):
    """What PagedGPT2 takes, on the device: the new tokens of a batch, and where each row begins."""

    tokens: Buffer
    input_row_offsets: Buffer
    return_n_logits: Buffer

    @property
    def buffers(self) -> tuple[Buffer, ...]:
        pages = tree.leaves(self.kv_cache_inputs)
        return (self.tokens, self.return_n_logits, self.input_row_offsets, *pages)


class GPT2Batches(ModuleV3SingleReplicaBatchProcessor[TextContext, GPT2Inputs]):
    """Puts the new tokens of all requests one after the other."""

    def _make_inputs(self, **inputs: Any) -> GPT2Inputs:
        return GPT2Inputs(**inputs)


class GPT2Pipeline(ModuleV3PipelineModelWithKVCache[TextContext]):
    """Builds PagedGPT2 and has it compiled with its weights; MAX schedules and samples."""

    model_config_cls = GPT2ArchConfig
    batch_processor_cls = GPT2Batches

    def _create_model_config(self, _: dict[str, WeightData]) -> GPT2ArchConfig:
        return GPT2ArchConfig.initialize(self.pipeline_config, max_seq_len=self.max_seq_len)

    def _instantiate_module(self, model_config: GPT2ArchConfig) -> PagedGPT2:
        model = PagedGPT2(to_config(model_config.huggingface_config), self.kv_params)
        return model.to(self.devices[0])
