"""The sizes by which MAX plans its memory; config.json has all of them."""

from dataclasses import dataclass
from typing import Any, ClassVar

from max.nn.kv_cache import KVCacheParams
from max.pipelines.lib import PipelineConfig
from max.pipelines.lib.interfaces.arch_config import (
    ArchConfigWithAttentionKVCache,
    ArchConfigWithBoundedMaxSeqLen,
)


@dataclass
class GPT2ArchConfig(ArchConfigWithBoundedMaxSeqLen, ArchConfigWithAttentionKVCache):
    """Keys and values of n_layer layers, with n_head heads of D numbers, in float32."""

    DEFAULT_ENCODING: ClassVar = "float32"
    SUPPORTED_ENCODINGS: ClassVar = {"float32"}

    @property
    def num_layers(self) -> int:
        return self.huggingface_config.n_layer

    @property
    def num_key_value_heads(self) -> int:
        return self.huggingface_config.n_head

    @property
    def head_dim(self) -> int:
        return self.huggingface_config.n_embd // self.huggingface_config.n_head

    @classmethod
    def construct_kv_params(
        cls, huggingface_config: Any, pipeline_config: PipelineConfig, *_: Any
    ) -> KVCacheParams:
        config = cls.initialize(pipeline_config, max_seq_len=huggingface_config.n_positions)
        return config.get_kv_params()
