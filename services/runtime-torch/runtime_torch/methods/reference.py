"""
The reference of DPO and KTO: the log-probabilities of all answers under the model before the first step, with the
adapter that it goes on from. Measured once and kept with the checkpoints, so that no second model is in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from ..data.global_batches import Batch, stored_batches
from ..data.prepared_dataset import PreparedDataset, Row

_FILE = "reference.safetensors"
_PARTS = ("rows", "mismatched")
_CHUNK_UNITS = 64

Measure = Callable[[list[Row]], torch.Tensor]


@dataclass(frozen=True)
class Reference:
    """Over one dataset."""

    rows: torch.Tensor
    """[rows], as they are stored."""
    mismatched: torch.Tensor
    """[units taken], in the order in which batches take them; of KTO alone, else empty."""


def mismatched_rows(batch: Batch) -> list[Row]:
    """The prompt of each row with the answer of the next one of its batch (after the last comes the first)."""
    following = [*batch.rows[1:], batch.rows[0]]
    return [_with_answer(row, other) for row, other in zip(batch.rows, following, strict=True)]


def _with_answer(row: Row, other: Row) -> Row:
    prompt, answer = row.tokens[: row.prompt_length], other.tokens[other.prompt_length :]
    trained = np.concatenate([np.zeros_like(prompt, np.uint8), other.trained[other.prompt_length :]])
    return Row(np.concatenate([prompt, answer]), trained, row.place, row.prompt_length, row.desirable, row.number)


def measure_reference(
    dataset: PreparedDataset, batches: Iterable[Batch], measure: Measure, *, mismatches: bool
) -> Reference:
    """`batches` are those that will be taken."""
    rows = torch.cat([measure(batch.rows) for batch in stored_batches(dataset, _CHUNK_UNITS)])
    mixed = [measure(mismatched_rows(batch)) for batch in batches] if mismatches else []
    return Reference(rows, torch.cat([torch.empty(0, dtype=torch.float64), *mixed]))


def save_references(references: dict[str, Reference], folder: Path) -> None:
    tensors = {f"{name}/{part}": getattr(reference, part) for name, reference in references.items() for part in _PARTS}
    save_file(tensors, folder / _FILE)


def load_references(folder: Path) -> dict[str, Reference]:
    """Empty when the run was stopped before they were measured."""
    if not (folder / _FILE).exists():
        return {}
    tensors = load_file(folder / _FILE)
    names = {name.partition("/")[0] for name in tensors}
    return {name: Reference(**{part: tensors[f"{name}/{part}"] for part in _PARTS}) for name in names}
