"""How a run spends memory: the fastest way that stays within its limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal

from .fault import Fault
from .model_config import ModelConfig
from .spec import Freeze, Full, Lora, LoraFields, Qlora, Reward, RuntimeSpec

MemoryMode = Literal["whole-step", "layer-recompute"]

# Above this, bigger products are not faster on a CPU, and activations only cost memory.
_TOKEN_BUDGET = 512
# A GPU is filled by many rows at once: the most that fits is taken.
_GPU_TOKEN_BUDGETS = (16_384, 8192, 4096, 2048, 1024, 512)
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


# What of a sharded model is whole at a time: a layer, and the next one that is fetched meanwhile.
_WHOLE_LAYERS = 2


@dataclass(frozen=True)
class Room:
    """The memory of each of a run's processes."""

    mib: int
    processes: int = 1
    on_gpu: bool = False


@dataclass(frozen=True)
class MemoryPlan:
    memory_mode: MemoryMode
    token_budget: int
    """Tokens a micro-batch holds at most; a longer row (or pair) has one of its own."""
    sharded: bool = False
    """Whether each process holds a part of the model instead of all of it."""
    needed_mib: float = 0

    def described(self, room: Room) -> str:
        held = f"a part in each of {room.processes} processes" if self.sharded else "whole in each process"
        needed = f"about {self.needed_mib:.0f} MiB of {room.mib} are needed"
        return f"the model lies {held}, {self.memory_mode}, {self.token_budget} tokens at a time; {needed}"


def adapter_parameters(config: ModelConfig, lora: LoraFields) -> int:
    """Upper bound: as if every linear layer were adapted."""
    sizes = 4 * config.hidden_size + 2 * (config.query_size + config.key_size)
    return config.num_hidden_layers * lora.r * (sizes + 3 * (config.hidden_size + config.intermediate_size))


def _components(spec: RuntimeSpec, config: ModelConfig, room: Room, way: MemoryPlan) -> dict[str, float]:
    half = spec.precision in ("bfloat16", "float16")
    weight_bytes = 2 if half and not isinstance(spec.tuning, Full | Freeze) else _FLOAT_BYTES
    activation_bytes = 2 if half else _FLOAT_BYTES
    match spec.tuning:
        case Full():
            trained = config.parameters
        case Freeze(trainable_layers=layers):
            trained = layers * config.layer_parameters
        case Lora() | Qlora() as lora:
            trained = adapter_parameters(config, lora)
    tokens = way.token_budget
    # What autograd keeps of a layer for a token; fitted to the measured peak of 135 million parameters, 512 tokens.
    kept_per_token = 14 * config.hidden_size + 6 * (config.query_size + config.key_size) + 8 * config.intermediate_size
    layer = tokens * kept_per_token * activation_bytes
    if way.memory_mode == "whole-step":
        kept = config.num_hidden_layers * layer
    else:
        kept = config.num_hidden_layers * tokens * config.hidden_size * activation_bytes + layer
    parts = room.processes if way.sharded else 1
    whole = _WHOLE_LAYERS * config.layer_parameters + config.outer_parameters if way.sharded else 0
    # The whole weights of the layer that is computed, and their gradients before they are dealt out.
    whole_bytes = weight_bytes + (_FLOAT_BYTES if isinstance(spec.tuning, Full) else 0)
    # A reward model gives a row one number, no score for each word.
    words = 0 if isinstance(spec.method, Reward) else config.vocab_size
    return {
        "weights": config.parameters * weight_bytes / parts / _MIB,
        "adapterAndOptimiser": _TRAINED_COPIES * trained * _FLOAT_BYTES / parts / _MIB,
        "activations": kept / _MIB,
        "head": _LOGIT_COPIES * CHUNK_POSITIONS * words * _FLOAT_BYTES / _MIB,
        # On a GPU what is free was measured with the libraries loaded.
        "runtime": 0 if room.on_gpu else _RUNTIME_MIB,
        **({"wholeLayers": whole * whole_bytes / _MIB} if way.sharded else {}),
    }


def _ways(spec: RuntimeSpec, longest_pass: int, room: Room) -> Iterator[MemoryPlan]:
    """From the fastest. A model is sharded where the whole of it is trained, and where it does not fit otherwise."""
    modes: tuple[MemoryMode, ...] = (spec.memory_mode,) if spec.memory_mode else ("whole-step", "layer-recompute")
    budgets = _GPU_TOKEN_BUDGETS if room.on_gpu else (_TOKEN_BUDGET,)
    tokens = dict.fromkeys(max(budget, longest_pass) for budget in budgets)
    several = room.processes > 1
    whole = [] if several and isinstance(spec.tuning, Full) and spec.mode != "score" else [False]
    for sharded in [*whole, *([True] if several else [])]:
        for memory_mode in modes:
            for budget in tokens:
                yield MemoryPlan(memory_mode, budget, sharded)


def plan_memory(spec: RuntimeSpec, config: ModelConfig, longest_pass: int, room: Room) -> MemoryPlan:
    """Raises `device.out-of-memory` with the numbers when no way, or not the one that is forced, fits."""
    parts: dict[str, float] = {}
    for way in _ways(spec, longest_pass, room):
        parts = _components(spec, config, room, way)
        needed = sum(parts.values())
        if needed <= room.mib:
            if room.on_gpu:
                _check_host(spec, config, parts["weights"], way)
            return replace(way, needed_mib=needed)
    raise _exhausted(parts, room.mib)


def _check_host(spec: RuntimeSpec, config: ModelConfig, weights_mib: float, way: MemoryPlan) -> None:
    """Weights come to a GPU through the memory of its machine: layer by layer those that are sharded."""
    outer = max(config.layer_parameters, config.outer_parameters) * _FLOAT_BYTES / _MIB
    parts = {"weights": outer if way.sharded else weights_mib, "runtime": _RUNTIME_MIB}
    if sum(parts.values()) > spec.limits.memory_mib:
        raise _exhausted(parts, spec.limits.memory_mib)


def _exhausted(parts: dict[str, float], allowed_mib: int) -> Fault:
    listed = ", ".join(f"{name} {mib:.0f}" for name, mib in parts.items())
    needed = f"The run needs about {sum(parts.values()):.0f} MiB ({listed})"
    return Fault("device.out-of-memory", f"{needed} and may take {allowed_mib} MiB.")
