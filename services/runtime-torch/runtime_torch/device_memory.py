"""The memory of the GPU that this process computes on, as its allocator counts it."""

from __future__ import annotations

import re

import torch

from .device import Device

_MIB = 1024 * 1024
# What the allocator loses between blocks, and what the libraries of CUDA take for themselves once they compute.
_PLANNED_SHARE = 0.92
_AMOUNT = r"(\d+(?:\.\d+)? (?:bytes|KiB|MiB|GiB))"
_TRIED = re.compile(rf"Tried to allocate {_AMOUNT}")
_CAPACITY = re.compile(rf"total capacity of {_AMOUNT} of which {_AMOUNT} is free")
_ALLOCATED = re.compile(rf"{_AMOUNT} is allocated by PyTorch")


def plannable_mib(device: Device) -> int:
    """What a run may be planned to take of what is free now."""
    free, _ = torch.cuda.mem_get_info(device.index)
    return int(free * _PLANNED_SHARE / _MIB)


def device_use(device: Device) -> dict[str, float]:
    """The most that was allocated so far, as the field of a step's `memory`; nothing on a processor."""
    if device.type == "cpu":
        return {}
    return {"deviceMib": torch.cuda.max_memory_allocated(device.index) / _MIB}


def exhausted_message(said: str) -> str:
    """PyTorch's own words on exhausted memory, in short: what was needed, what is allocated, what there is."""
    tried, capacity, allocated = _TRIED.search(said), _CAPACITY.search(said), _ALLOCATED.search(said)
    if tried is None:
        return said
    parts = [f"The device has no room for {tried[1]} more"]
    if allocated is not None:
        parts.append(f"the run has {allocated[1]} allocated")
    if capacity is not None:
        parts.append(f"of {capacity[1]} are {capacity[2]} free")
    return f"{': '.join([parts[0], ', '.join(parts[1:])]) if parts[1:] else parts[0]}."
