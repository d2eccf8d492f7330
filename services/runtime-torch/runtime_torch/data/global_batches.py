"""The global batches of a run: which units a step takes depends on its number and the seed alone."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ..runs.schedule import steps_per_epoch, total_steps
from ..spec import Grpo, RuntimeSpec
from .portable_random import epoch_order
from .prepared_dataset import PreparedDataset, Row, Unit


@dataclass(frozen=True)
class Batch:
    units: list[Unit]
    first: int
    """How many units were taken before it, over all epochs."""

    @property
    def rows(self) -> list[Row]:
        return rows_of(self.units)


def rows_of(units: Sequence[Unit]) -> list[Row]:
    return [row for unit in units for row in unit.rows]


class TrainingBatches:
    """
    In the order of each epoch; the last, smaller batch of an epoch is kept. One may be taken by several steps in a row.
    """

    def __init__(self, spec: RuntimeSpec, dataset: PreparedDataset) -> None:
        self._dataset = dataset
        self._seed = spec.seed
        self._size = spec.hyperparameters.global_batch
        self._batches_per_epoch = steps_per_epoch(dataset.units, spec.hyperparameters)
        self._steps_per_batch = steps_per_batch(spec)
        self.steps_per_epoch = self._batches_per_epoch * self._steps_per_batch
        self.total_steps = total_steps(dataset.units, spec.hyperparameters, self._steps_per_batch)
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def at(self, step: int) -> Batch:
        epoch, batch = divmod(step // self._steps_per_batch, self._batches_per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, epoch_order(self._dataset.units, self._seed, epoch))
        chosen = self._order[1][batch * self._size : (batch + 1) * self._size]
        return Batch([self._dataset.unit(int(i)) for i in chosen], epoch * self._dataset.units + batch * self._size)

    def __iter__(self) -> Iterator[Batch]:
        return (self.at(step) for step in range(self.total_steps))


def steps_per_batch(spec: RuntimeSpec) -> int:
    return (spec.method.num_iterations or 1) if isinstance(spec.method, Grpo) else 1


def stored_batches(dataset: PreparedDataset, size: int) -> Iterator[Batch]:
    """All units once, as they are stored."""
    for first in range(0, dataset.units, size):
        yield Batch([dataset.unit(i) for i in range(first, min(dataset.units, first + size))], first)
