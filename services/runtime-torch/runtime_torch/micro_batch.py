"""Micro-batches without padding: rows one after the other, each its own segment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from .prepared_dataset import Row


def micro_batches(rows: Sequence[Row], token_budget: int) -> list[list[Row]]:
    """
    Splits rows into micro-batches of at most `token_budget` tokens (a longer row gets one of its own), longest rows
    first so that rows of like length meet. How rows are split does not change the meaning of the summed gradient.
    """
    batches: list[list[Row]] = []
    sizes: list[int] = []
    for row in sorted(rows, key=lambda row: -len(row.tokens)):
        length = len(row.tokens)
        open_batch = next((i for i, size in enumerate(sizes) if size + length <= token_budget), None)
        if open_batch is None:
            batches.append([row])
            sizes.append(length)
        else:
            batches[open_batch].append(row)
            sizes[open_batch] += length
    return batches


@dataclass(frozen=True)
class Packed:
    tokens: torch.Tensor
    positions: torch.Tensor
    segments: tuple[int, ...]
    """Lengths of the rows: a token sees its own row only."""
    predictors: torch.Tensor
    """Packed index of the token before each trained one: where its logits are taken."""
    labels: torch.Tensor


def pack(rows: Sequence[Row]) -> Packed:
    tokens = np.concatenate([row.tokens for row in rows]).astype(np.int64)
    positions = np.concatenate([np.arange(len(row.tokens)) for row in rows])
    trained = np.concatenate([row.trained for row in rows]) == 1
    trained &= positions > 0  # nothing precedes a row's first token
    labelled = np.flatnonzero(trained)
    return Packed(
        tokens=torch.from_numpy(tokens),
        positions=torch.from_numpy(positions),
        segments=tuple(len(row.tokens) for row in rows),
        predictors=torch.from_numpy(labelled - 1),
        labels=torch.from_numpy(tokens[labelled]),
    )
