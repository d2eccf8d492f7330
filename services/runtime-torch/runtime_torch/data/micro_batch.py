"""Micro-batches without padding: rows one after the other, each its own segment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch

from ..models.segment_attention import Segments
from .prepared_dataset import Row, Unit


def micro_batches(units: Sequence[Unit], token_budget: int) -> list[list[Unit]]:
    """
    Splits units into micro-batches of at most `token_budget` tokens (a longer one gets one of its own), longest first
    so that rows of like length meet. How they are split does not change the meaning of the summed gradient.
    """
    batches: list[list[Unit]] = []
    sizes: list[int] = []
    for unit in sorted(units, key=lambda unit: -unit.length):
        open_batch = next((i for i, size in enumerate(sizes) if size + unit.length <= token_budget), None)
        if open_batch is None:
            batches.append([unit])
            sizes.append(unit.length)
        else:
            batches[open_batch].append(unit)
            sizes[open_batch] += unit.length
    return batches


@dataclass(frozen=True)
class Packed:
    tokens: torch.Tensor
    positions: torch.Tensor
    segments: Segments
    """A token sees its own row only."""
    predictors: torch.Tensor
    """Packed index of the token before each trained one: where its logits are taken."""
    labels: torch.Tensor
    row_of_label: torch.Tensor
    """Which row each label belongs to."""
    rows: tuple[int, ...]
    """The stored number of each row."""

    def to(self, device: torch.device) -> Packed:
        """Nobody waits for what is `pinned`: it is there when the device comes to it."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pinned(self) -> Packed:
        """In memory that GPUs read by themselves."""
        return self._each(torch.Tensor.pin_memory)

    def _each(self, change: Callable[[torch.Tensor], torch.Tensor]) -> Packed:
        return Packed(
            change(self.tokens),
            change(self.positions),
            self.segments.each(change),
            change(self.predictors),
            change(self.labels),
            change(self.row_of_label),
            self.rows,
        )


class MicroBatch(NamedTuple):
    """What goes through the model at once."""

    units: Sequence[Unit]
    packed: Packed


def pack(rows: Sequence[Row]) -> Packed:
    tokens = np.concatenate([row.tokens for row in rows]).astype(np.int64)
    positions = np.concatenate([np.arange(len(row.tokens)) for row in rows])
    trained = np.concatenate([row.trained for row in rows]) == 1
    trained &= positions > 0  # nothing precedes a row's first token
    labelled = np.flatnonzero(trained)
    row_of_token = np.repeat(np.arange(len(rows)), [len(row.tokens) for row in rows])
    return Packed(
        tokens=torch.from_numpy(tokens),
        positions=torch.from_numpy(positions),
        segments=Segments.of(tuple(len(row.tokens) for row in rows)),
        predictors=torch.from_numpy(labelled - 1),
        labels=torch.from_numpy(tokens[labelled]),
        row_of_label=torch.from_numpy(row_of_token[labelled]),
        rows=tuple(row.number for row in rows),
    )
