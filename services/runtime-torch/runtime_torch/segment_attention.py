"""Attention over packed rows: one causal attention per row, so that no work is spent on padding or on masks."""

from __future__ import annotations

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

SEGMENT_ATTENTION = "luthier_segments"


def _attend(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    segments: tuple[int, ...],
    scaling: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    """Tensors are [1, heads, tokens, size]; `segments` are the lengths of the rows within `tokens`."""
    if attention_mask is not None:
        raise ValueError("rows are kept apart by segments, not by a mask")
    rows = [
        scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, enable_gqa=True)
        for q, k, v in zip(*(part.split(segments, dim=2) for part in (query, key, value)), strict=True)
    ]
    return torch.cat(rows, dim=2).transpose(1, 2).contiguous(), None


AttentionInterface.register(SEGMENT_ATTENTION, _attend)
