"""Attention over all rows of a micro-batch at once, where a GPU has an operation for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, cast

import torch

from .segment_attention import Attention, Segments, row_by_row

Varlen = Callable[..., torch.Tensor]

# A row of one token, and rows on both sides of a block of 64.
_TRIED_LENGTHS = (1, 63, 7, 130)
# Halves keep 8 (bfloat16) or 11 bits; two ways of summing differ in the last.
_TOLERANCE = 2e-2


class HeadShape(NamedTuple):
    heads: int
    key_heads: int
    size: int


def fused(varlen: Varlen, dtype: torch.dtype) -> Attention:
    """PyTorch's attention over rows of different lengths. It takes halves alone, which autocast does not see to."""

    def attend(
        query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments: Segments, scaling: float | None
    ) -> torch.Tensor:
        longest = max(segments.lengths)
        rows = [part[0].transpose(0, 1).to(dtype) for part in (query, key, value)]
        grouped = query.shape[1] != key.shape[1]
        found = varlen(
            *rows,
            segments.bounds,
            segments.bounds,
            longest,
            longest,
            scale=scaling,
            window_size=(-1, 0),  # causal
            enable_gqa=grouped,
        )
        return found[None]

    return attend


def fastest_attention(
    device: torch.device, dtype: torch.dtype, shape: HeadShape, varlen: Varlen | None = None
) -> tuple[Attention, str]:
    """
    And why. The fused one is taken on GPUs, in halves, after it has given what attention row by row gives, forwards and
    backwards, for heads of this shape: which GPUs and shapes it takes differs from version to version.
    """
    if varlen is None:
        if device.type != "cuda" or dtype == torch.float32:
            return row_by_row, "row by row, as for processors and float32"
        from torch.nn.attention import varlen as operations

        varlen = cast(Varlen, operations.varlen_attn)
    tried = fused(varlen, dtype)
    try:
        wanted, found = (_trial(attention, device, dtype, shape) for attention in (row_by_row, tried))
    except (RuntimeError, ValueError, NotImplementedError) as refused:
        return (
            row_by_row,
            f"row by row, as this device refuses to take all rows at once: {str(refused).splitlines()[0]}",
        )
    gap = max(float((one - other).abs().max()) for one, other in zip(wanted, found, strict=True))
    if not gap <= _TOLERANCE * max(float(one.abs().max()) for one in wanted):
        return row_by_row, f"row by row, as all rows at once came to {gap:.3g} beside it"
    return tried, "all rows at once"


def _trial(attention: Attention, device: torch.device, dtype: torch.dtype, shape: HeadShape) -> list[torch.Tensor]:
    """The result and the gradients for the same random numbers."""
    random = torch.Generator().manual_seed(1)
    tokens = sum(_TRIED_LENGTHS)
    parts = [
        torch.randn(1, heads, tokens, shape.size, generator=random).to(device, dtype).requires_grad_()
        for heads in (shape.heads, shape.key_heads, shape.key_heads)
    ]
    query, key, value = parts
    found = attention(query, key, value, Segments.of(_TRIED_LENGTHS).each(lambda bounds: bounds.to(device)), None)
    weights = torch.randn(found.shape, generator=random).to(device)
    gradients = torch.autograd.grad((found.float() * weights).sum(), parts)
    return [one.detach().float() for one in (found, *gradients)]
