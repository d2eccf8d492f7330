"""The memory of the GPU that this process computes on, as its allocator counts it."""

from __future__ import annotations

import torch

from .device import Device

_MIB = 1024 * 1024
# What the allocator loses between blocks, and what the libraries of CUDA take for themselves once they compute.
_PLANNED_SHARE = 0.92


def plannable_mib(device: Device, allowed_mib: int | None = None) -> int:
    """What a run may be planned to take of what is free now, and of what it is allowed."""
    free, _ = torch.cuda.mem_get_info(device.index)
    free_mib = free / _MIB
    return int((free_mib if allowed_mib is None else min(free_mib, allowed_mib)) * _PLANNED_SHARE)


def device_use(device: Device) -> dict[str, float]:
    """The most that was allocated so far, as the field of a step's `memory`; nothing on a processor."""
    if device.type == "cpu":
        return {}
    return {"deviceMib": torch.cuda.max_memory_allocated(device.index) / _MIB}
