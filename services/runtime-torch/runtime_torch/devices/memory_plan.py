"""How a run spends memory: the fastest way that stays within its limit."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Literal, NamedTuple

from ..fault import Fault
from ..models.model_config import ModelConfig
from ..run_features import keeps_start, shares_rows
from ..spec import Freeze, Full, Grpo, Lora, LoraFields, Qlora, Reward, RuntimeSpec

MemoryMode = Literal["whole-step", "layer-recompute"]

# Above this, bigger products are not faster on a CPU, and activations only cost memory.
_TOKEN_BUDGET = 512
# A GPU is filled by many rows at once: the most that fits is taken.
_GPU_TOKEN_BUDGETS = (16_384, 8192, 4096, 2048, 1024, 512)
_MIB = 1024 * 1024
_FLOAT_BYTES = 4
# Of a number that is trained, what an optimiser keeps: two moments, in 8 bits with a scale for 256 of them, none but
# the means of rows and columns, one.
_STATE_BYTES = {"adamw": 8, "adamw8bit": 2 * (1 + 4 / 256), "adafactor": 0, "muon": 4}
# Of a quantised weight: its bits, and in 4 bits a scale of 8 bits for 64 of them, and one in float32 for 256 of those.
_QUANTISED_BYTES = {4: 0.5 + 1 / 64 + 4 / (64 * 256), 8: 1}
# Positions whose logits are in memory at a time.
CHUNK_POSITIONS = 256
# Logits, their log-softmax, their gradients, and what the operation in progress makes of them.
_LOGIT_COPIES = 4
# Python, PyTorch with its CUDA libraries, transformers, PEFT and bitsandbytes once imported; measured.
_RUNTIME_MIB = 800
# What an optimiser makes of a matrix while it moves it, and of its gradient while that is added up.
_MATRIX_COPIES = 2


# What of a sharded model is whole at a time: a layer, and the next one that is fetched meanwhile.
_WHOLE_LAYERS = 2


@dataclass(frozen=True)
class Room:
    """The memory of each of a run's processes."""

    mib: int
    processes: int = 1
    on_gpu: bool = False


class Held(NamedTuple):
    """What of a model and of its rows a process has, as fields of a plan."""

    sharded: bool = False
    offloaded: bool = False
    rows_shared: bool = False


@dataclass(frozen=True)
class MemoryPlan:
    memory_mode: MemoryMode
    token_budget: int
    """Tokens a micro-batch holds at most; a longer row (or pair) has one of its own."""
    sharded: bool = False
    """Whether each process holds a part of the model instead of all of it."""
    offloaded: bool = False
    """Whether that part lies in the machine's memory, and only what is computed on the GPU."""
    rows_shared: bool = False
    """Whether each process takes a part of each row: where a row is too long for one of them."""
    needed_mib: float = 0
    saves_beside: bool = False
    """Whether a checkpoint is copied, and written while the next steps are made: where there is room for the copy."""

    def described(self, room: Room) -> str:
        held = f"a part in each of {room.processes} processes" if self.sharded else "whole in each process"
        if self.offloaded:
            held = f"in the machine's memory, for each of {room.processes} processes"
        needed = f"about {self.needed_mib:.0f} MiB of {room.mib} are needed"
        saves = "beside the steps" if self.saves_beside else "between steps, as there is no room for a copy"
        how = f"{self.memory_mode}, {self.token_budget} tokens at a time"
        if self.rows_shared:
            how += f" over all {room.processes} processes"
        return f"the model lies {held}, {how}; {needed}; checkpoints are written {saves}"


def adapter_parameters(config: ModelConfig, lora: LoraFields) -> int:
    """Upper bound: as if every linear layer were adapted. DoRA has a magnitude for each output."""
    matrices = sum(lora.r * (inputs + outputs) for inputs, outputs in config.linear_shapes)
    magnitudes = _outputs(config) if lora.use_dora else 0
    return config.num_hidden_layers * (matrices + magnitudes) + whole_parameters(config, lora)


def whole_parameters(config: ModelConfig, tuning: object) -> int:
    """Of embeddings and head what is trained whole beside an adapter; where they are tied it is one matrix."""
    modules = len(set(tuning.modules_to_save or ())) if isinstance(tuning, LoraFields) else 0
    return min(modules, 1 if config.tie_word_embeddings else 2) * config.vocab_size * config.hidden_size


def _outputs(config: ModelConfig) -> int:
    return sum(outputs for _, outputs in config.linear_shapes)


def _frozen(spec: RuntimeSpec, config: ModelConfig, weight_bytes: int) -> float:
    """Weights that stay as they are. In few bits, one matrix at a time is made whole again."""
    if isinstance(spec.tuning, Full | Freeze):
        return (config.parameters - _trained_weights(spec.tuning, config)) * weight_bytes
    if isinstance(spec.tuning, Lora):
        return config.parameters * weight_bytes
    quantised = config.num_hidden_layers * config.linear_parameters
    largest = max(inputs * outputs for inputs, outputs in config.linear_shapes)
    whole = (config.parameters - quantised + largest) * weight_bytes
    return quantised * _QUANTISED_BYTES[spec.tuning.bits] + whole


def _trained(spec: RuntimeSpec, config: ModelConfig) -> float:
    """Values, gradients, and what the optimiser keeps."""
    optimiser = spec.hyperparameters.optimizer or "adamw"
    start = _FLOAT_BYTES if keeps_start(spec) else 0
    each = 2 * _FLOAT_BYTES + _STATE_BYTES[optimiser] + start
    match spec.tuning:
        case Full() | Freeze() as whole:
            # What is of no layer Muon leaves to AdamW.
            muon = isinstance(whole, Full) and optimiser == "muon"
            left = (_STATE_BYTES["adamw"] - _STATE_BYTES["muon"]) * config.outer_parameters if muon else 0
            return _trained_weights(whole, config) * each + left
        case Lora() | Qlora() as lora:
            # PiSSA's start stays beside what becomes of it.
            start = _FLOAT_BYTES if lora.init_lora_weights == "pissa" else 0
            return adapter_parameters(config, lora) * (each + start)


def _trained_weights(tuning: Full | Freeze, config: ModelConfig) -> int:
    return config.parameters if isinstance(tuning, Full) else tuning.trainable_layers * config.layer_parameters


def _cast(spec: RuntimeSpec, config: ModelConfig) -> int:
    """Of weights in single precision, the copies in halves with which is computed."""
    if not _computes_in_halves(spec):
        return 0
    whole = isinstance(spec.tuning, Full | Freeze)
    return 2 * (config.parameters if whole else whole_parameters(config, spec.tuning))


def _computes_in_halves(spec: RuntimeSpec) -> bool:
    return spec.precision in ("bfloat16", "float16")


def _largest_matrix(spec: RuntimeSpec, config: ModelConfig) -> int:
    """Of those that are trained whole."""
    matrices = [inputs * outputs for inputs, outputs in config.linear_shapes]
    match spec.tuning:
        case Full():
            return max(*matrices, config.vocab_size * config.hidden_size)
        case Freeze():
            return max(matrices)
        case Lora() | Qlora() as lora:
            return config.vocab_size * config.hidden_size if whole_parameters(config, lora) else 0


def _kept_of_token(spec: RuntimeSpec, config: ModelConfig) -> int:
    """
    Numbers of a layer: what two norms are given and give, queries with the keys and values of as many heads, the answer
    of attention and its copy, four of the MLP's width and what is made of one more. In halves there are copies between
    precisions besides. Measured: docs/reference/memory.md.
    """
    if _computes_in_halves(spec):
        return 14 * config.hidden_size + 6 * (config.query_size + config.key_size) + 8 * config.intermediate_size
    return 4 * config.hidden_size + 5 * config.query_size + 5 * config.intermediate_size


def _activations(spec: RuntimeSpec, config: ModelConfig, room: Room, way: MemoryPlan, number_bytes: int) -> float:
    """What autograd keeps for the way back, and what is made of a matrix meanwhile."""
    kept = _kept_of_token(spec, config)
    parts = room.processes if way.sharded else 1
    working = _MATRIX_COPIES * _FLOAT_BYTES * _largest_matrix(spec, config) / parts
    if isinstance(spec.tuning, LoraFields) and spec.tuning.use_dora:
        # Each output of the weights and of the adapter, and in float32 the weight that the adapter makes of a matrix.
        kept += 2 * _outputs(config)
        working += _FLOAT_BYTES * max(inputs * (inputs + 3 * outputs) for inputs, outputs in config.linear_shapes)
    tokens = way.token_budget / (room.processes if way.rows_shared else 1)
    # Keys and values of all processes, and once more with as many heads as queries have.
    gathered = 2 * (config.query_size + config.key_size) * way.token_budget if way.rows_shared else 0
    layer, layers = (tokens * kept + gathered) * number_bytes, config.num_hidden_layers
    if way.memory_mode == "whole-step":
        return layers * layer + working
    return layers * tokens * config.hidden_size * number_bytes + layer + working


def _whole_layers(spec: RuntimeSpec, config: ModelConfig, weight_bytes: int) -> float:
    """Of a sharded model, the whole weights of what is computed, and their gradients before they are dealt out."""
    layers, outer = _WHOLE_LAYERS * config.layer_parameters, config.outer_parameters
    beside = whole_parameters(config, spec.tuning) * 2 * _FLOAT_BYTES
    if isinstance(spec.tuning, Qlora):  # layers come in few bits, of which one matrix is made whole
        few = _WHOLE_LAYERS * config.linear_parameters
        largest = max(inputs * outputs for inputs, outputs in config.linear_shapes)
        return few * _QUANTISED_BYTES[spec.tuning.bits] + (layers - few + largest + outer) * weight_bytes + beside
    return (layers + outer) * (weight_bytes + (_FLOAT_BYTES if isinstance(spec.tuning, Full) else 0)) + beside


def _components(
    spec: RuntimeSpec, config: ModelConfig, longest_pass: int, room: Room, way: MemoryPlan
) -> dict[str, float]:
    weight_bytes = _weight_bytes(spec)
    activation_bytes = 2 if _computes_in_halves(spec) else _FLOAT_BYTES
    parts = room.processes if way.sharded else 1
    # A reward model gives a row one number, no score for each word.
    words = 0 if isinstance(spec.method, Reward) else config.vocab_size
    # While a group of answers is generated, keys and values of all that stands before are kept.
    cached = spec.method.group_size * longest_pass if isinstance(spec.method, Grpo) else 0
    cache = 2 * config.num_hidden_layers * config.key_size * cached * activation_bytes
    on_device = 0 if way.offloaded else 1 / parts
    # The way back keeps what was cast, also of layers whose whole weights were given back; one computed again does not.
    cast = 0 if way.sharded and way.memory_mode == "layer-recompute" else _cast(spec, config)
    return {
        "weights": (_frozen(spec, config, weight_bytes) * on_device + cast) / _MIB,
        "adapterAndOptimiser": _trained(spec, config) * on_device / _MIB,
        "activations": _activations(spec, config, room, way, activation_bytes) / _MIB,
        "head": _LOGIT_COPIES * CHUNK_POSITIONS * words * _FLOAT_BYTES / _MIB,
        **({"cache": cache / _MIB} if cache else {}),
        # On a GPU what is free was measured with the libraries loaded.
        "runtime": 0 if room.on_gpu else _RUNTIME_MIB,
        **({"wholeLayers": _whole_layers(spec, config, weight_bytes) / _MIB} if way.sharded else {}),
    }


def _ways(spec: RuntimeSpec, longest_pass: int, room: Room) -> Iterator[MemoryPlan]:
    """
    From the fastest. A model is sharded where the whole of it is trained, unless it answers, which takes a pass for
    each token; and where it does not fit otherwise. Rows are shared where they are too long for one process; and a
    model leaves a GPU, also a single one, only at last.
    """
    modes: tuple[MemoryMode, ...] = (spec.memory_mode,) if spec.memory_mode else ("whole-step", "layer-recompute")
    budgets = _GPU_TOKEN_BUDGETS if room.on_gpu else (_TOKEN_BUDGET,)
    tokens = dict.fromkeys(max(budget, longest_pass) for budget in budgets)
    several = room.processes > 1
    trains_all = isinstance(spec.tuning, Full) and spec.mode != "score" and not isinstance(spec.method, Grpo)
    whole = [] if several and trains_all else [False]
    held = [Held(sharded) for sharded in [*whole, *([True] if several else [])]]
    if several and shares_rows(spec):
        held += [one._replace(rows_shared=True) for one in held]
    if room.on_gpu:
        held.append(Held(sharded=True, offloaded=True))
    for how in held:
        for memory_mode in modes:
            for budget in tokens:
                yield MemoryPlan(memory_mode, budget, *how)


def plan_memory(spec: RuntimeSpec, config: ModelConfig, longest_pass: int, room: Room) -> MemoryPlan:
    """Raises `device.out-of-memory` with the numbers when no way, or not the one that is forced, fits."""
    parts: dict[str, float] = {}
    for way in _ways(spec, longest_pass, room):
        parts = _components(spec, config, longest_pass, room, way)
        needed = sum(parts.values())
        if needed <= room.mib:
            host_mib, of_mib = needed, room.mib
            if room.on_gpu:
                host, of_mib = _on_host(spec, config, room, way), spec.limits.memory_mib
                host_mib = sum(host.values())
                if host_mib > of_mib:
                    raise _exhausted(host, of_mib)
            copy_mib = _copy_mib(spec, config, room, way)
            return replace(way, needed_mib=needed, saves_beside=host_mib + copy_mib <= of_mib)
    raise _exhausted(parts, room.mib)


def _copy_mib(spec: RuntimeSpec, config: ModelConfig, room: Room, way: MemoryPlan) -> float:
    """A checkpoint is what is trained without its gradients, so less than it takes while it is trained."""
    return _trained(spec, config) / (room.processes if way.sharded else 1) / _MIB


def _on_host(spec: RuntimeSpec, config: ModelConfig, room: Room, way: MemoryPlan) -> dict[str, float]:
    """
    What a run on a GPU takes of the machine's memory: weights come through it, layer by layer those that are sharded,
    and what is offloaded stays there, pinned.
    """
    weight_bytes = _weight_bytes(spec)
    if way.offloaded:
        kept = {"weights": _frozen(spec, config, weight_bytes), "adapterAndOptimiser": _trained(spec, config)}
        return {**{name: bytes_ / room.processes / _MIB for name, bytes_ in kept.items()}, "runtime": _RUNTIME_MIB}
    outer = max(config.layer_parameters, config.outer_parameters) * _FLOAT_BYTES
    by_layers = way.sharded or isinstance(spec.tuning, Qlora)
    return {"weights": (outer if by_layers else config.parameters * weight_bytes) / _MIB, "runtime": _RUNTIME_MIB}


def _weight_bytes(spec: RuntimeSpec) -> int:
    return 2 if _computes_in_halves(spec) and not isinstance(spec.tuning, Full | Freeze) else _FLOAT_BYTES


def _exhausted(parts: dict[str, float], allowed_mib: int) -> Fault:
    listed = ", ".join(f"{name} {mib:.0f}" for name, mib in parts.items())
    needed = f"The run needs about {sum(parts.values()):.0f} MiB ({listed})"
    return Fault("device.out-of-memory", f"{needed} and may take {allowed_mib} MiB.")
