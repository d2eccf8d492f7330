"""NEFTune: noise on the embeddings of rows that are trained, so that their wording is not learnt by heart."""

from __future__ import annotations

import math

import torch

from ..data.micro_batch import Packed
from ..data.portable_random import RandomStream


class EmbeddingNoise:
    """
    Uniform up to alpha / sqrt(tokens of the row x hidden size). A row's noise depends on the seed, the step and the row
    alone, not on what it shares a micro-batch or a process with.
    """

    def __init__(self, seed: int, alpha: float) -> None:
        self._seed = seed
        self._alpha = alpha
        self.step = 0
        """The step that is made, from 0."""

    def added_to(self, embeddings: torch.Tensor, batch: Packed) -> torch.Tensor:
        """`embeddings` are [tokens, size]."""
        parts = zip(batch.rows, embeddings.split(batch.segments.lengths), strict=True)
        return torch.cat([part + self._noise(row, part) for row, part in parts])

    def _noise(self, row: int, like: torch.Tensor) -> torch.Tensor:
        word, _ = RandomStream(self._seed, f"neftune/{self.step}/{row}").pairs(0, 1)
        generator = torch.Generator(like.device).manual_seed(int(word[0]))
        uniform = torch.rand(like.shape, generator=generator, device=like.device) * 2 - 1
        return (uniform * (self._alpha / math.sqrt(like.numel()))).to(like.dtype)
