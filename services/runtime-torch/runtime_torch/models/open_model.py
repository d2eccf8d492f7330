"""Loads the model of a run, puts on it what is trained, and brings it to where it computes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path

import torch
from transformers import PreTrainedModel

from ..devices.memory_plan import MemoryPlan
from ..fault import blaming
from ..processes.group import Group
from ..processes.sharding import StartFromWeights, shard
from ..run_features import begins_by_pissa, keeps_start
from ..runs.open_run import Inputs
from ..spec import Freeze, Qlora, Reward, RuntimeSpec
from ..tunings.adapter_tuning import LoraTuning
from ..tunings.pissa_tuning import PissaTuning
from ..tunings.tuning import Tuning, WeightTuning
from .context_attention import across_processes
from .fused_attention import HeadShape, fastest_attention
from .layered_model import empty_model, filled_layers
from .model import PackedModel, dtype_of, load_model


def open_base(spec: RuntimeSpec, plan: MemoryPlan, group: Group) -> PackedModel:
    """Without anything that is trained."""
    return _placed(spec, _load_base(spec, plan, group), plan, group)


def open_tuning(spec: RuntimeSpec, inputs: Inputs, plan: MemoryPlan, group: Group) -> tuple[Tuning, PackedModel]:
    """Frozen weights take half the room in halves; those that are trained stay in float32."""
    if inputs.adapter is None:
        layers = spec.tuning.trainable_layers if isinstance(spec.tuning, Freeze) else None
        whole = _load(spec, plan, torch.float32)
        tuning = WeightTuning(whole, spec.model_dir, layers, keeps_start=keeps_start(spec))
        model = _placed(spec, tuning.model, plan, group)
        tuning.collect()
        return tuning, model
    base = _load_base(spec, plan, group)
    if begins_by_pissa(spec):
        adapted = PissaTuning(base, inputs.adapter)
    else:
        adapted = LoraTuning(base, inputs.adapter, keeps_start=keeps_start(spec))
    model = _placed(spec, adapted.model, plan, group, partial(adapted.start_from_weights, seed=spec.seed, group=group))
    adapted.collect()
    if spec.resume_from is None or inputs.adapter.gives_points:  # a checkpoint does not hold the head of the base
        adapted.start(spec.seed, group)
    if spec.adapter_dir:
        with blaming("model.unreadable"):
            adapted.load_start(Path(spec.adapter_dir))
    return adapted, model


def _load_base(spec: RuntimeSpec, plan: MemoryPlan, group: Group) -> PreTrainedModel:
    """What is frozen: in the precision of the run, or in few bits."""
    dtype = dtype_of(spec.precision)
    if not isinstance(spec.tuning, Qlora):
        return _load(spec, plan, dtype)
    torch.set_num_threads(spec.limits.cpu)
    from .quantised_model import quantise

    with blaming("model.unreadable"):
        model = empty_model(spec.model_dir, dtype, gives_points=isinstance(spec.method, Reward))
        quantise(model, spec.tuning.bits, group.torch_device)
        if not plan.sharded:
            for _ in filled_layers(model, spec.model_dir):
                pass
        return model


def _load(spec: RuntimeSpec, plan: MemoryPlan, dtype: torch.dtype) -> PreTrainedModel:
    torch.set_num_threads(spec.limits.cpu)
    gives_points = isinstance(spec.method, Reward)
    if not plan.sharded:
        return load_model(spec.model_dir, dtype, gives_points=gives_points)
    with blaming("model.unreadable"):
        return empty_model(spec.model_dir, dtype, gives_points=gives_points)


def _start_nothing(_: Iterable[torch.nn.Module]) -> None: ...


def _placed(
    spec: RuntimeSpec,
    language_model: PreTrainedModel,
    plan: MemoryPlan,
    group: Group,
    start_from_weights: StartFromWeights = _start_nothing,
) -> PackedModel:
    dtype = dtype_of(spec.precision)
    model = PackedModel(language_model, dtype, group.torch_device)
    model.attention, why = fastest_attention(group.torch_device, dtype, _heads_of(language_model))
    if plan.rows_shared:
        group.shares_rows = True
        model.attention, why = across_processes, "rows across all processes"
    if group.leads and group.device.type == "cuda":
        print(f"attention takes {why}")
    if not plan.sharded:
        return model.to(group.torch_device)
    with blaming("model.unreadable"), group.meeting("the model's parts"):
        how = {"offloaded": plan.offloaded, "gives_back_outer": keeps_start(spec)}
        shard(model, spec.model_dir, group, start_from_weights, **how)
    return model


def _heads_of(model: PreTrainedModel) -> HeadShape:
    config = model.config
    heads = config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // heads
    return HeadShape(heads, config.num_key_value_heads, size)
