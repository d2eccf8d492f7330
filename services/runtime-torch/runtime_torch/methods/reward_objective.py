"""Reward models: a score head learns to give the better of two answers more points."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch.nn.functional import linear

from ..data.global_batches import Batch, rows_of, stored_batches
from ..data.micro_batch import MicroBatch, Packed, pack
from ..data.prepared_dataset import PreparedDataset, Row, Unit
from ..runs.trainer_state import Score
from ..spec import Reward
from .objective import Objective, OpenBatch, Surroundings
from .preference_share import Share
from .reward_loss import reward_loss

_WHAT = "the scores"


class RewardObjective(Objective):
    def __init__(self, around: Surroundings, settings: Reward) -> None:
        self._around = around
        self._settings = settings

    def pack(self, units: Sequence[Unit]) -> Packed:
        return _pack_ends(rows_of(units), self._around.model.pad_token)

    def prepare(self) -> None: ...
    def load(self, checkpoint: Path) -> None: ...
    def save(self, checkpoint: Path) -> None: ...

    def open(self, batch: Batch) -> OpenBatch:
        return OpenBatch(batch.units, partial(self._share, len(batch.units)))

    @torch.no_grad()
    def score(self, dataset: PreparedDataset) -> Score:
        """How often, and by how many points, the better answer is ahead. There are no tokens to predict."""
        spec, model, token_budget, group, between, _ = self._around
        model.eval()
        sums: dict[str, float] = {"loss": 0.0}
        trained_tokens = 0
        for batch in stored_batches(dataset, spec.hyperparameters.global_batch):
            trained_tokens += sum(unit.trained_count for unit in batch.units)
            with group.together(_WHAT):
                for micro, counts in group.turns(batch.units, token_budget):
                    with group.passing(_WHAT):
                        share = self._share(dataset.units, MicroBatch(micro, self.pack(micro)))
                    if counts:
                        for name, value in {"loss": share.loss, **share.metrics}.items():
                            sums[name] = sums.get(name, 0.0) + float(value)
                    group.look(between)
        metrics = group.add_up(_WHAT, sums)
        return Score(
            rows=dataset.rows,
            trained_tokens=trained_tokens,
            loss=metrics.pop("loss"),
            metrics=metrics,
        )

    def _share(self, pairs: int, micro: MicroBatch) -> Share:
        points = self._around.model.over(micro.packed, _points)
        chosen, rejected = points[0::2], points[1::2]
        margins = (chosen - rejected).detach()
        return Share(
            reward_loss(self._settings, chosen, rejected).sum() / pairs,
            {"rewardAccuracy": (margins > 0).sum().double() / pairs, "rewardMargin": margins.sum() / pairs},
        )


def _pack_ends(rows: Sequence[Row], pad_token: int | None) -> Packed:
    """Rows to be read at their ends, where transformers' classifiers read: at the last token that is no padding."""
    counts = [_counted(row, pad_token) for row in rows]
    first = np.cumsum([0, *(len(row.tokens) for row in rows)])[:-1]
    return replace(
        pack(rows),
        predictors=torch.from_numpy(first + np.asarray(counts) - 1),
        labels=torch.arange(len(rows)),
        row_of_label=torch.arange(len(rows)),
    )


def _counted(row: Row, pad_token: int | None) -> int:
    """Tokens up to the one that is read; where all are padding, transformers reads the first."""
    if pad_token is None:
        return len(row.tokens)
    return int(np.flatnonzero(row.tokens != pad_token).max(initial=0)) + 1


def _points(hidden: torch.Tensor, weight: torch.Tensor, _rows: torch.Tensor) -> torch.Tensor:
    """In single precision also where the model computes in halves: differences of points are small."""
    with torch.autocast(hidden.device.type, enabled=False):
        return linear(hidden.float(), weight.float())[:, 0].double()
