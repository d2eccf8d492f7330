"""Rows of which each process takes some positions."""

from __future__ import annotations

from dataclasses import replace

import torch

from ..models.segment_attention import Deal, Piece
from .micro_batch import Packed


def pieces_of(lengths: tuple[int, ...], rank: int, size: int) -> list[Piece]:
    """
    Of each row two pieces, one as far from its end as the other is from its beginning: a token sees all before it, so
    that a process with the end alone would have most to do.
    """
    found: list[Piece] = []
    row_start = 0
    for length in lengths:
        bounds = [row_start + length * cut // (2 * size) for cut in range(2 * size + 1)]
        for number in (rank, 2 * size - 1 - rank):
            if bounds[number] < bounds[number + 1]:
                found.append(Piece(row_start, bounds[number], bounds[number + 1]))
        row_start += length
    return found


def part_of(packed: Packed, rank: int, size: int) -> Packed:
    """What of a pass the process takes; labels go with the token before them."""
    lengths = packed.segments.lengths
    of_all = [pieces_of(lengths, other, size) for other in range(size)]
    places = [_places(pieces) for pieces in of_all]
    most = max(len(one) for one in places)
    order = torch.empty(len(packed.tokens), dtype=torch.int64)
    for other, one in enumerate(places):
        order[one] = torch.arange(len(one)) + other * most
    mine = places[rank]
    # Which of mine a token is; -1: another process has it.
    local = torch.full((len(packed.tokens),), -1)
    local[mine] = torch.arange(len(mine))
    predictors = local[packed.predictors]
    own = predictors >= 0
    return replace(
        packed,
        tokens=packed.tokens[mine],
        positions=packed.positions[mine],
        segments=replace(packed.segments, deal=Deal(tuple(of_all[rank]), most, order)),
        predictors=predictors[own],
        labels=packed.labels[own],
        row_of_label=packed.row_of_label[own],
    )


def _places(pieces: list[Piece]) -> torch.Tensor:
    return torch.cat([torch.empty(0, dtype=torch.int64), *(torch.arange(one.start, one.end) for one in pieces)])
