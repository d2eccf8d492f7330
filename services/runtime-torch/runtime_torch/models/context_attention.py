"""Attention within rows of which each process has some positions: queries stay, keys and values come from all."""

from __future__ import annotations

from typing import Any

import torch
import torch.distributed as dist
from torch.nn.attention.bias import causal_lower_right
from torch.nn.functional import pad, scaled_dot_product_attention

from .segment_attention import Segments


def across_processes(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments: Segments, scaling: float | None
) -> torch.Tensor:
    """One causal attention for each piece of a row that lies here, over all of its row that stands before its end."""
    deal = segments.deal
    assert deal is not None, "rows are dealt out before they reach the model"
    together = torch.cat([key.to(value.dtype), value], dim=-1)[0].transpose(0, 1)
    whole = _Gathered.apply(pad(together, (0, 0, 0, 0, 0, deal.most - len(together))).contiguous())
    assert isinstance(whole, torch.Tensor)
    # Not every operation for a causal end of a row takes fewer heads of keys than of queries.
    heads = whole[deal.order].transpose(0, 1).repeat_interleave(query.shape[1] // key.shape[1], dim=0)
    keys, values = heads[None].split(key.shape[-1], dim=-1)
    found: list[torch.Tensor] = []
    begin = 0
    for piece in deal.pieces:
        mine = query[:, :, begin : begin + piece.length].to(value.dtype)
        begin += piece.length
        seen = slice(piece.row_start, piece.end)
        mask: Any = causal_lower_right(piece.length, piece.end - piece.row_start)
        found.append(
            scaled_dot_product_attention(mine, keys[:, :, seen], values[:, :, seen], attn_mask=mask, scale=scaling)
        )
    return torch.cat(found, dim=2).transpose(1, 2) if found else query.transpose(1, 2)


class _Gathered(torch.autograd.Function):
    """What all processes have, one after the other. On the way back each gets what all found of its own."""

    @staticmethod
    def forward(ctx: Any, mine: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        whole = mine.new_empty((dist.get_world_size() * len(mine), *mine.shape[1:]))
        dist.all_gather_into_tensor(whole, mine)
        return whole

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> torch.Tensor:  # noqa: ARG004
        whole = grad_outputs[0].contiguous()
        mine = whole.new_empty((len(whole) // dist.get_world_size(), *whole.shape[1:]))
        dist.reduce_scatter_tensor(mine, whole)
        return mine
