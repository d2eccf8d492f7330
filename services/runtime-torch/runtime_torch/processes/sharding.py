"""A model of which each process holds a part (FSDP2), never whole in any memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.distributed as dist
from torch.distributed import HashStore  # pyright: ignore[reportPrivateImportUsage]  # documented there
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import CPUOffloadPolicy, FSDPModule, OffloadPolicy, fully_shard

from ..models.layered_model import filled_layers
from ..models.model import PackedModel
from .group import Group, backend_of

StartFromWeights = Callable[[Iterable[torch.nn.Module]], None]
"""Takes from the weights of modules what lies on them begins with."""


def shard(
    model: PackedModel,
    model_dir: str,
    group: Group,
    start_from_weights: StartFromWeights,
    *,
    offloaded: bool = False,
    gives_back_outer: bool = False,
) -> None:
    """
    What was empty is read and dealt out: each layer, then the rest. An adapter on it has no other values yet than those
    that it takes from the weights, which are whole only now. `offloaded`: the parts stay in the machine's memory, also
    that of a process alone, and optimisers move them there. `gives_back_outer`: what is of no layer is not kept whole
    between two passes either, where it may have changed.
    """
    mesh = _mesh_of(group)
    policy = CPUOffloadPolicy(pin_memory=group.device.type == "cuda") if offloaded else OffloadPolicy()
    dealt_out: set[torch.nn.Module] = set()
    for layer in filled_layers(model.language_model, model_dir):
        start_from_weights(layer.modules())
        _deal_out(layer, mesh, policy)
        dealt_out.update(layer.modules())
    start_from_weights(module for module in model.modules() if module not in dealt_out)
    _deal_out(model, mesh, policy, True if gives_back_outer else None)
    group.sharded = True


def _mesh_of(group: Group) -> DeviceMesh:
    if group.size == 1 and not dist.is_initialized():
        dist.init_process_group(backend_of(group.device), store=HashStore(), rank=0, world_size=1)
    return init_device_mesh(group.device.type, (group.size,))


def _deal_out(module: torch.nn.Module, mesh: DeviceMesh, policy: OffloadPolicy, gives_back: bool | None = None) -> None:
    """`gives_back` whole weights after each pass; None: as FSDP2 does, which keeps those of the outermost module."""
    fully_shard(module, mesh=mesh, offload_policy=policy, reshard_after_forward=gives_back)
    assert isinstance(module, FSDPModule)
    # Gradients are added up, as losses are divided by what the whole batch has.
    module.set_gradient_divide_factor(1.0)
    module.set_force_sum_reduction_for_comms(True)
