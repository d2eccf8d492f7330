"""Attention over packed rows: each row sees itself alone, so that no work is spent on padding or on masks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface

SEGMENT_ATTENTION = "luthier_segments"


class Piece(NamedTuple):
    """Of a row, in places among all tokens of a pass."""

    row_start: int
    start: int
    end: int

    @property
    def length(self) -> int:
        return self.end - self.start


@dataclass(frozen=True)
class Deal:
    """How the tokens of a pass are dealt out over processes."""

    pieces: tuple[Piece, ...]
    """Those of this process."""
    most: int
    """Tokens of the process that has most of them."""
    order: torch.Tensor
    """Where each token of the pass lies when those of all processes, each filled up to `most`, stand in a line."""


@dataclass(frozen=True)
class Segments:
    """Rows that lie one after the other."""

    lengths: tuple[int, ...]
    bounds: torch.Tensor
    """Where each row begins, and the end of the last: int32, one more than there are rows."""
    deal: Deal | None = None
    """Set where this process has a part of each row."""

    @staticmethod
    def of(lengths: tuple[int, ...]) -> Segments:
        return Segments(lengths, torch.tensor((0, *lengths), dtype=torch.int32).cumsum(0, dtype=torch.int32))

    def each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Segments:
        deal = self.deal and replace(self.deal, order=change(self.deal.order))
        return Segments(self.lengths, change(self.bounds), deal)


Attention = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, Segments, float | None], torch.Tensor]
"""From query, key and value [1, heads, tokens, size], fewer heads in the latter two, to [1, tokens, heads, size]."""


def row_by_row(
    query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, segments: Segments, scaling: float | None
) -> torch.Tensor:
    """One causal attention per row."""
    rows = [
        scaled_dot_product_attention(q, k, v, is_causal=True, scale=scaling, enable_gqa=True)
        for q, k, v in zip(*(part.split(segments.lengths, dim=2) for part in (query, key, value)), strict=True)
    ]
    return torch.cat(rows, dim=2).transpose(1, 2)


def _attend(
    _module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    segments: Segments,
    attention: Attention,
    scaling: float | None = None,
    **_: object,
) -> tuple[torch.Tensor, None]:
    if attention_mask is not None:
        raise ValueError("rows are kept apart by segments, not by a mask")
    return attention(query, key, value, segments, scaling).contiguous(), None


AttentionInterface.register(SEGMENT_ATTENTION, _attend)
