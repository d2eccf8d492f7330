"""Tensors of which each process holds some rows."""

from __future__ import annotations

import torch
from torch.distributed.tensor import DTensor


def own_part(tensor: torch.Tensor) -> torch.Tensor:
    """What of it lies in this process: all, where it is not dealt out."""
    return tensor.to_local() if isinstance(tensor, DTensor) else tensor


def whole_of(tensor: torch.Tensor) -> torch.Tensor:
    """Gathers what is dealt out, which takes all processes."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def zeros_by_rows(of: torch.Tensor, *rest: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """[rows of `of`, *rest], each row where that of `of` lies."""
    own = own_part(of)
    zeros = torch.zeros((own.shape[0], *rest), dtype=dtype, device=own.device)
    if not isinstance(of, DTensor):
        return zeros
    whole = torch.empty((of.shape[0], *rest), device="meta")
    return DTensor.from_local(zeros, of.device_mesh, of.placements, shape=whole.shape, stride=whole.stride())
