"""A model of which each process holds a part (FSDP2), never whole in any memory."""

from __future__ import annotations

import torch
import torch.distributed as dist
from peft.tuners.lora import LoraLayer
from torch.distributed import HashStore  # pyright: ignore[reportPrivateImportUsage]  # documented there
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, OffloadPolicy, fully_shard

from ..models.layered_model import filled_layers
from ..models.model import PackedModel
from .group import Group, backend_of


def shard(model: PackedModel, model_dir: str, group: Group, *, offloaded: bool = False) -> None:
    """
    What was empty is read and dealt out: each layer, then the rest. An adapter on it has no values yet. `offloaded`:
    the parts stay in the machine's memory, also that of a process alone, and optimisers move them there.
    """
    mesh = _mesh_of(group)
    policy = CPUOffloadPolicy(pin_memory=group.device.type == "cuda") if offloaded else OffloadPolicy()
    for layer in filled_layers(model.language_model, model_dir):
        _start_magnitudes(layer)
        _deal_out(layer, mesh, policy)
    _deal_out(model, mesh, policy)
    group.sharded = True


def _mesh_of(group: Group) -> DeviceMesh:
    if group.size == 1 and not dist.is_initialized():
        dist.init_process_group(backend_of(group.device), store=HashStore(), rank=0, world_size=1)
    return init_device_mesh(group.device.type, (group.size,))


def _start_magnitudes(layer: torch.nn.Module) -> None:
    """Of DoRA: they are those of the weights, which are whole only now."""
    for module in layer.modules():
        if isinstance(module, LoraLayer):
            for magnitude in module.lora_magnitude_vector.parameters():
                magnitude.data.copy_(torch.linalg.norm(module.get_base_layer().weight.data, dim=1))


def _deal_out(module: torch.nn.Module, mesh: DeviceMesh, policy: OffloadPolicy) -> None:
    fully_shard(module, mesh=mesh, offload_policy=policy)
    assert isinstance(module, FSDPModule)
    # Gradients are added up, as losses are divided by what the whole batch has.
    module.set_gradient_divide_factor(1.0)
    module.set_force_sum_reduction_for_comms(True)
