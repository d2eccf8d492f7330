"""A model of which each process holds a part (FSDP2): layer by layer from its files, never whole in any memory."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    PreTrainedModel,
)

from .fault import Fault
from .group import Group
from .model import PackedModel
from .segment_attention import SEGMENT_ATTENTION
from .tensor_file import StoredWeights


def empty_model(model_dir: str, dtype: torch.dtype, *, gives_points: bool = False) -> PreTrainedModel:
    """Shapes without memory; `shard` fills them. See `load_model`."""
    kind: Any = AutoModelForSequenceClassification if gives_points else AutoModelForCausalLM
    labels = {"num_labels": 1} if gives_points else {}
    config = AutoConfig.from_pretrained(model_dir, local_files_only=True, trust_remote_code=False, **labels)
    with torch.device("meta"):
        return kind.from_config(config, dtype=dtype, attn_implementation=SEGMENT_ATTENTION)


def shard(model: PackedModel, model_dir: str, group: Group) -> None:
    """
    What was empty is read and dealt out: each layer, then the rest. What lies on layers beside the model's weights
    (an adapter), and a score head, get memory, and no values yet.
    """
    mesh = init_device_mesh(group.device.type, (group.size,))
    stored = StoredWeights(Path(model_dir))
    inner: Any = model.language_model.base_model
    for number, layer in enumerate(inner.layers):
        _fill(layer, f"model.layers.{number}.", stored)
        _deal_out(layer, mesh)
    tied = model.language_model.config.tie_word_embeddings
    for name in ("embed_tokens", "norm"):
        _fill(getattr(inner, name), f"model.{name}.", stored)
    head: Any = model.language_model.get_output_embeddings()
    if head is None:
        model.language_model.score.to_empty(device="cpu")  # type: ignore[operator]
    elif tied:
        head.weight = inner.embed_tokens.weight
    else:
        _fill(head, "lm_head.", stored)
    # Its numbers are computed, not stored.
    inner.rotary_emb = type(inner.rotary_emb)(config=model.language_model.config)
    _deal_out(model, mesh)
    group.lockstep = True


def _fill(module: torch.nn.Module, prefix: str, stored: StoredWeights) -> None:
    module.to_empty(device="cpu")
    for name, parameter in module.named_parameters():
        if ".lora_" in name:
            continue
        full = prefix + name.replace(".base_layer.", ".")
        if full not in stored:
            raise Fault("model.unreadable", f"The weights lack {full}.")
        values = stored.slice_of(full)
        if values.get_shape() != list(parameter.shape):
            raise Fault("model.unreadable", f"{full} has shape {values.get_shape()}, not {list(parameter.shape)}.")
        parameter.data.copy_(values[:])


def _deal_out(module: torch.nn.Module, mesh: Any) -> None:
    fully_shard(module, mesh=mesh)
    assert isinstance(module, FSDPModule)
    # Gradients are added up, as losses are divided by what the whole batch has.
    module.set_gradient_divide_factor(1.0)
    module.set_force_sum_reduction_for_comms(True)
