"""One optimiser step. What a step does depends on its number and the seed alone."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from .fault import Fault
from .global_batches import Batch, TrainingBatches, rows_of
from .group import Group
from .micro_batch import micro_batches
from .model import autocast
from .objective import Objective
from .portable_random import RandomStream
from .prepared_dataset import Row
from .schedule import learning_rate_at
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
    metrics: dict[str, float]
    """What else the method knows of the batch."""


class Stepper:
    def __init__(
        self,
        spec: RuntimeSpec,
        tuning: Tuning,
        optimiser: torch.optim.AdamW,
        batches: TrainingBatches,
        objective: Objective,
        token_budget: int,
        group: Group,
        between: Callable[[], None],
    ) -> None:
        """`between` is called after every micro-batch; it raises StopRequested to leave before the optimiser moves."""
        self.spec = spec
        self.tuning = tuning
        self.optimiser = optimiser
        self.batches = batches
        self.objective = objective
        self.token_budget = token_budget
        self.group = group
        self.between = between

    def run(self, step: int) -> StepOutcome:
        """Step `step`, from 0. Raises `training.diverged` when loss or gradient is not finite."""
        batch = self.batches.at(step)
        loss, metrics = self._accumulate(step, batch)
        hyperparameters = self.spec.hyperparameters
        parameters = list(self.tuning.trained.values())
        # Scales by maxGradNorm / (norm + 1e-6) where the norm is above.
        grad_norm = float(torch.nn.utils.clip_grad_norm_(parameters, hyperparameters.max_grad_norm))
        if not math.isfinite(grad_norm):
            raise _diverged(step, loss, grad_norm, batch.rows)
        learning_rate = learning_rate_at(step, self.batches.total_steps, hyperparameters)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate
        self.optimiser.step()
        tokens = sum(unit.length for unit in batch.units)
        trained_tokens = sum(unit.trained_count for unit in batch.units)
        return StepOutcome(loss, grad_norm, learning_rate, tokens, trained_tokens, metrics)

    def _accumulate(self, step: int, batch: Batch) -> tuple[float, dict[str, float]]:
        """
        Adds up the gradients, losses and metrics of the batch's shares. Each process of the group takes some of its
        units; gradients travel once a step, whatever the number of micro-batches.
        """
        group, what = self.group, f"step {step + 1}"
        share_of = self.objective.open(batch)
        self.tuning.model.train()
        self.optimiser.zero_grad(set_to_none=True)
        loss = 0.0
        metrics: dict[str, float] = {}
        with group.together(what):
            for index, micro in enumerate(micro_batches(group.share_of(batch.units), self.token_budget)):
                self._seed_dropout(step, index * group.size + group.rank)
                with autocast(self.spec):
                    share = share_of(micro)
                share.loss.backward()
                if not math.isfinite(share.loss.item()):
                    raise _diverged(step, share.loss.item(), None, rows_of(micro))
                loss += share.loss.item()
                metrics = {name: metrics.get(name, 0.0) + value for name, value in share.metrics.items()}
                self.between()
        group.add_up_gradients(what, list(self.tuning.trained.values()))
        sums = group.add_up(what, {"loss": loss, **metrics})
        return sums.pop("loss"), sums

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
