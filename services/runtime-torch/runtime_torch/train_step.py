"""One optimiser step of supervised training. What a step does depends on its number and the seed alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from .fault import Fault
from .head import summed_loss
from .micro_batch import micro_batches, pack
from .model import autocast, head_weight, predicting_states
from .portable_random import RandomStream, epoch_order
from .prepared_dataset import PreparedDataset, Row
from .schedule import learning_rate_at, steps_per_epoch, total_steps
from .spec import RuntimeSpec
from .tuning import Tuning

_PLACES_NAMED = 8


@dataclass(frozen=True)
class StepOutcome:
    loss: float
    grad_norm: float
    learning_rate: float
    tokens: int
    trained_tokens: int


class Stepper:
    def __init__(
        self,
        spec: RuntimeSpec,
        tuning: Tuning,
        optimiser: torch.optim.AdamW,
        dataset: PreparedDataset,
        token_budget: int,
        between: Callable[[], None],
    ) -> None:
        """`between` is called after every micro-batch; it raises to leave before the optimiser moves."""
        self.spec = spec
        self.tuning = tuning
        self.optimiser = optimiser
        self.dataset = dataset
        self.token_budget = token_budget
        self.between = between
        self.steps_per_epoch = steps_per_epoch(dataset.rows, spec.hyperparameters)
        self.total_steps = total_steps(dataset.rows, spec.hyperparameters)
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def run(self, step: int) -> StepOutcome:
        """Step `step`, from 0. Raises `training.diverged` when loss or gradient is not finite."""
        rows = self._rows_of(step)
        trained_tokens = sum(row.trained_count for row in rows)
        if trained_tokens == 0:
            raise Fault("data.bad", f"Step {step + 1}: no token of its rows is trained.")
        loss = self._accumulate(step, rows, trained_tokens)
        hyperparameters = self.spec.hyperparameters
        parameters = list(self.tuning.trained.values())
        # Scales by maxGradNorm / (norm + 1e-6) where the norm is above.
        grad_norm = float(torch.nn.utils.clip_grad_norm_(parameters, hyperparameters.max_grad_norm))
        if not math.isfinite(grad_norm):
            raise _diverged(step, loss, grad_norm, rows)
        learning_rate = learning_rate_at(step, self.total_steps, hyperparameters)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.step()
        return StepOutcome(loss, grad_norm, learning_rate, sum(len(row.tokens) for row in rows), trained_tokens)

    def _accumulate(self, step: int, rows: list[Row], trained_tokens: int) -> float:
        """Adds up the gradients of the batch's loss: the sum over its trained tokens, divided by their number."""
        model = self.tuning.model
        model.train()
        self.optimiser.zero_grad(set_to_none=True)
        loss = 0.0
        for index, micro in enumerate(micro_batches(rows, self.token_budget)):
            batch = pack(micro)
            self._seed_dropout(step, index)
            with autocast(self.spec):
                share = summed_loss(predicting_states(model, batch), head_weight(model), batch.labels) / trained_tokens
            share.backward()
            if not math.isfinite(share.item()):
                raise _diverged(step, share.item() * trained_tokens, None, micro)
            loss += share.item()
            self.between()
        return loss

    def _rows_of(self, step: int) -> list[Row]:
        epoch, batch = divmod(step, self.steps_per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = (epoch, epoch_order(self.dataset.rows, self.spec.seed, epoch))
        size = self.spec.hyperparameters.global_batch
        return [self.dataset.row(int(index)) for index in self._order[1][batch * size : (batch + 1) * size]]

    def _seed_dropout(self, step: int, micro: int) -> None:
        """A step drops the same however the run came to it."""
        first, _ = RandomStream(self.spec.seed, f"dropout/{step}/{micro}").pairs(0, 1)
        torch.manual_seed(int(first[0]))


def _diverged(step: int, loss: float, grad_norm: float | None, rows: list[Row]) -> Fault:
    """Names the step and where its rows came from: a broken row shows there first."""
    named = ", ".join(row.place for row in rows[:_PLACES_NAMED])
    more = f" and {len(rows) - _PLACES_NAMED} more" if len(rows) > _PLACES_NAMED else ""
    gradient = "" if grad_norm is None else f", gradient norm {grad_norm}"
    return Fault("training.diverged", f"Step {step + 1}: loss {loss}{gradient}; its rows: {named}{more}.")
