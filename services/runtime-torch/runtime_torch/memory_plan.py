"""How a run spends memory: the fastest way that stays within its limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .fault import Fault
from .model_config import ModelConfig
from .spec import Freeze, Full, Lora, LoraFields, Qlora, RuntimeSpec

MemoryMode = Literal["whole-step", "layer-recompute"]

# Above this, bigger products are not faster on a CPU, and activations only cost memory.
_TOKEN_BUDGET = 512
_MIB = 1024 * 1024
_FLOAT_BYTES = 4
# Values, gradients and two moments, in float32.
_TRAINED_COPIES = 4
# Positions whose logits are in memory at a time.
CHUNK_POSITIONS = 256
# Logits, their log-softmax, and what the operation in progress makes of them.
_LOGIT_COPIES = 3
# Python, PyTorch with its CUDA libraries, transformers and PEFT once imported; measured.
_RUNTIME_MIB = 720


@dataclass(frozen=True)
class MemoryPlan:
    memory_mode: MemoryMode
    token_budget: int
    """Tokens a micro-batch holds at most; a longer row (or pair) has one of its own."""


def adapter_parameters(config: ModelConfig, lora: LoraFields) -> int:
    """Upper bound: as if every linear layer were adapted."""
    sizes = 4 * config.hidden_size + 2 * (config.query_size + config.key_size)
    return config.num_hidden_layers * lora.r * (sizes + 3 * (config.hidden_size + config.intermediate_size))


def _components(spec: RuntimeSpec, config: ModelConfig, tokens: int, memory_mode: MemoryMode) -> dict[str, float]:
    small = spec.precision == "bfloat16"
    weight_bytes = 2 if small and not isinstance(spec.tuning, Full | Freeze) else _FLOAT_BYTES
    activation_bytes = 2 if small else _FLOAT_BYTES
    match spec.tuning:
        case Full():
            trained = config.parameters
        case Freeze(trainable_layers=layers):
            trained = layers * config.layer_parameters
        case Lora() | Qlora() as lora:
            trained = adapter_parameters(config, lora)
    # What autograd keeps of a layer for a token; fitted to the measured peak of 135 million parameters, 512 tokens.
    kept_per_token = 14 * config.hidden_size + 6 * (config.query_size + config.key_size) + 8 * config.intermediate_size
    layer = tokens * kept_per_token * activation_bytes
    if memory_mode == "whole-step":
        kept = config.num_hidden_layers * layer
    else:
        kept = config.num_hidden_layers * tokens * config.hidden_size * activation_bytes + layer
    return {
        "weights": config.parameters * weight_bytes / _MIB,
        "adapterAndOptimiser": _TRAINED_COPIES * trained * _FLOAT_BYTES / _MIB,
        "activations": kept / _MIB,
        "head": _LOGIT_COPIES * CHUNK_POSITIONS * config.vocab_size * _FLOAT_BYTES / _MIB,
        "runtime": _RUNTIME_MIB,
    }


def plan_memory(spec: RuntimeSpec, config: ModelConfig, longest_pass: int) -> MemoryPlan:
    """Raises `device.out-of-memory` with the numbers when no way, or not the one that is forced, fits."""
    tokens = max(_TOKEN_BUDGET, longest_pass)
    modes: tuple[MemoryMode, ...] = (spec.memory_mode,) if spec.memory_mode else ("whole-step", "layer-recompute")
    parts: dict[str, float] = {}
    for memory_mode in modes:
        parts = _components(spec, config, tokens, memory_mode)
        if sum(parts.values()) <= spec.limits.memory_mib:
            return MemoryPlan(memory_mode, tokens)
    listed = ", ".join(f"{name} {mib:.0f}" for name, mib in parts.items())
    raise Fault(
        "device.out-of-memory",
        f"The run needs about {sum(parts.values()):.0f} MiB ({listed}) and may take {spec.limits.memory_mib} MiB.",
    )
