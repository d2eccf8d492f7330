"""What is read of a model's `config.json` before anything heavy is loaded."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ..fault import Fault, blaming

# Those whose packed rows are tested to give what each row gives alone.
ARCHITECTURES = ("LlamaForCausalLM", "MistralForCausalLM", "Qwen2ForCausalLM", "Qwen3ForCausalLM")

_CONFIG_BYTES_MAX = 1_000_000
Size = Annotated[int, Field(gt=0, lt=2**31)]


class ModelConfig(BaseModel):
    """The sizes that decide a run's memory, in transformers' spelling."""

    model_config = ConfigDict(extra="ignore", frozen=True, protected_namespaces=())

    architectures: Annotated[list[str], Field(min_length=1)]
    vocab_size: Size
    hidden_size: Size
    intermediate_size: Size
    num_hidden_layers: Size
    num_attention_heads: Size
    num_key_value_heads: Size | None = None
    head_dim: Size | None = None
    max_position_embeddings: Size | None = None
    tie_word_embeddings: bool = False
    use_sliding_window: bool = False
    # Of Mistral alone, where leaving it out means 4096 positions.
    sliding_window: Size | None = 4096
    quantization_config: object = None

    @property
    def query_size(self) -> int:
        return self.num_attention_heads * self._head_size

    @property
    def key_size(self) -> int:
        return (self.num_key_value_heads or self.num_attention_heads) * self._head_size

    @property
    def _head_size(self) -> int:
        return self.head_dim or self.hidden_size // self.num_attention_heads

    @property
    def linear_shapes(self) -> tuple[tuple[int, int], ...]:
        """Of a layer's linear layers: inputs and outputs."""
        hidden, inner, query, key = self.hidden_size, self.intermediate_size, self.query_size, self.key_size
        attention = (hidden, query), (hidden, key), (hidden, key), (query, hidden)
        return *attention, (hidden, inner), (hidden, inner), (inner, hidden)

    @property
    def linear_parameters(self) -> int:
        return sum(inputs * outputs for inputs, outputs in self.linear_shapes)

    @property
    def layer_parameters(self) -> int:
        return self.linear_parameters + 2 * self.hidden_size + self._architectures_own

    @property
    def _architectures_own(self) -> int:
        """Of a layer, what Llama does not have: biases of queries, keys and values; norms of single heads."""
        match self.architectures[0]:
            case "Qwen2ForCausalLM":
                return self.query_size + 2 * self.key_size
            case "Qwen3ForCausalLM":
                return 2 * self._head_size
            case _:
                return 0

    @property
    def outer_parameters(self) -> int:
        """Of no layer: embeddings, output weights, the last norm."""
        return self.vocab_size * self.hidden_size * (1 if self.tie_word_embeddings else 2) + self.hidden_size

    @property
    def parameters(self) -> int:
        return self.num_hidden_layers * self.layer_parameters + self.outer_parameters


def read_model_config(model_dir: str) -> ModelConfig:
    with blaming("model.unreadable"):
        path = Path(model_dir) / "config.json"
        if path.stat().st_size > _CONFIG_BYTES_MAX:
            raise Fault("model.unreadable", f"config.json has more than {_CONFIG_BYTES_MAX} bytes.")
        try:
            config = ModelConfig.model_validate_json(path.read_bytes())
        except ValidationError as cause:
            issue = cause.errors(include_url=False, include_input=False)[0]
            where = ".".join(str(part) for part in issue["loc"])
            raise Fault("model.unreadable", f"config.json: {where}: {issue['msg']}") from cause
        if config.architectures[0] not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise Fault("model.unreadable", f"config.json: {config.architectures[0]} is not one of {known}.")
        if config.use_sliding_window:
            raise Fault("model.unreadable", "config.json: use_sliding_window is not supported.")
        if config.architectures[0] == "MistralForCausalLM" and config.sliding_window is not None:
            raise Fault("model.unreadable", "config.json: sliding_window is not supported; take a version with null.")
        if config.quantization_config is not None:
            raise Fault("model.unreadable", "config.json: quantised weights cannot be trained.")
        return config
