"""A model of which each process holds a part (FSDP2), never whole in any memory."""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from ..models.layered_model import filled_layers
from ..models.model import PackedModel
from .group import Group


def shard(model: PackedModel, model_dir: str, group: Group) -> None:
    """What was empty is read and dealt out: each layer, then the rest. An adapter on it has no values yet."""
    mesh = init_device_mesh(group.device.type, (group.size,))
    for layer in filled_layers(model.language_model, model_dir):
        _start_magnitudes(layer)
        _deal_out(layer, mesh)
    _deal_out(model, mesh)
    group.lockstep = True


def _start_magnitudes(layer: torch.nn.Module) -> None:
    """Of DoRA: they are those of the weights, which are whole only now."""
    for module in layer.modules():
        if isinstance(module, LoraLayer):
            for magnitude in module.lora_magnitude_vector.parameters():
                magnitude.data.copy_(torch.linalg.norm(module.get_base_layer().weight.data, dim=1))


def _deal_out(module: torch.nn.Module, mesh: Any) -> None:
    fully_shard(module, mesh=mesh)
    assert isinstance(module, FSDPModule)
    # Gradients are added up, as losses are divided by what the whole batch has.
    module.set_gradient_divide_factor(1.0)
    module.set_force_sum_reduction_for_comms(True)
