"""One optimiser step. What a step does depends on its number and the seed alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch.distributed.tensor import DTensor

from ..data.global_batches import Batch, TrainingBatches, rows_of
from ..data.micro_batch import MicroBatch
from ..data.portable_random import RandomStream
from ..data.prepared_dataset import Row, Unit
from ..devices.loss_scale import LossScale
from ..fault import Fault
from ..methods.objective import Objective, OpenBatch
from ..methods.preference_share import Share
from ..processes.group import Group
from ..spec import RuntimeSpec
from ..tunings.tuning import Tuning
from .first_bad import bad_gradient, bad_output, bad_weight
from .optimiser import Optimiser
from .schedule import learning_rate_at

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


class PackedTurn(NamedTuple):
    micro: MicroBatch
    counts: bool
    """False: only to go along with the other processes."""


class StepData(NamedTuple):
    """What is known of a step before the one before it is done."""

    batch: Batch
    turns: Sequence[PackedTurn]
    """Empty where the model makes its rows in the step itself."""


def _step(step: int) -> str:
    """What the processes meet at, as it is said to people: they count from 1."""
    return f"step {step + 1}"


class Stepper:
    def __init__(
        self,
        spec: RuntimeSpec,
        tuning: Tuning,
        optimiser: Optimiser,
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
        self.scale: LossScale | None = None
        """Of float16 alone."""

    def data_of(self, step: int) -> StepData:
        """What of the data step `step`, from 0, takes. Touches nothing that a step in progress does."""
        batch = self.batches.at(step)
        return StepData(batch, [] if self.objective.makes_rows else self._turns(batch.units))

    def run(self, step: int, data: StepData) -> StepOutcome:
        """Raises `training.diverged` when loss or gradient is not finite."""
        units, loss, metrics, grad_norm = self._gradients(step, data)
        while not math.isfinite(grad_norm):
            if self.scale is None or not self.scale.can_fall:
                bad = bad_gradient(self.tuning.model)
                raise _diverged(step, f"loss {loss}, gradient norm {grad_norm}", bad, data.batch.rows)
            self.scale = self.scale.fallen()
            units, loss, metrics, grad_norm = self._gradients(step, data)
        self.scale = self.scale and self.scale.after_step()
        learning_rate = learning_rate_at(step, self.batches.total_steps, self.spec.hyperparameters)
        with self.group.passing(_step(step)):  # some optimisers of parts talk with each other
            self.optimiser.step(learning_rate)
        tokens = sum(unit.length for unit in units)
        trained_tokens = sum(unit.trained_count for unit in units)
        return StepOutcome(loss, grad_norm, learning_rate, tokens, trained_tokens, metrics)

    def _turns(self, units: Sequence[Unit]) -> list[PackedTurn]:
        turns = self.group.turns(units, self.token_budget)
        parts = ((turn, self.group.own_part(self.objective.pack(turn.units))) for turn in turns)
        packed = (PackedTurn(MicroBatch(turn.units, part), turn.counts) for turn, part in parts)
        if self.group.device.type != "cuda":
            return list(packed)
        return [PackedTurn(MicroBatch(micro.units, micro.packed.pinned()), counts) for micro, counts in packed]

    def _gradients(self, step: int, data: StepData) -> tuple[Sequence[Unit], float, dict[str, float], float]:
        """Leaves the clipped gradients of the batch; what was trained, loss, metrics and the gradients' norm before."""
        opened = self.objective.open(data.batch)
        turns = self._turns(opened.units) if self.objective.makes_rows else data.turns
        loss, metrics = self._accumulate(step, opened, turns)
        parameters = list(self.tuning.trained.values())
        if self.scale:
            for parameter in parameters:
                if parameter.grad is not None:
                    parameter.grad /= self.scale.value
        with self.group.passing(_step(step)):
            # Scales by maxGradNorm / (norm + 1e-6) where the norm is above.
            norm = torch.nn.utils.clip_grad_norm_(parameters, self.spec.hyperparameters.max_grad_norm)
            whole_norm = float(norm.full_tensor() if isinstance(norm, DTensor) else norm)
        return opened.units, loss, metrics, whole_norm

    def _accumulate(self, step: int, opened: OpenBatch, turns: Sequence[PackedTurn]) -> tuple[float, dict[str, float]]:
        """
        Adds up the gradients, losses and metrics of the batch's shares. Each process of the group takes some of its
        units; gradients travel once a step, whatever the number of micro-batches, unless the model is sharded.
        """
        group, what = self.group, _step(step)
        share_of = opened.share
        self.tuning.model.train()
        self.optimiser.zero_grad()
        scale = self.scale.value if self.scale else 1.0
        found: list[Share] = []
        with group.together(what):
            for index, turn in enumerate(turns):
                self._seed_dropout(step, index)
                with group.passing(what):
                    share = share_of(turn.micro)
                    (share.loss * (scale if turn.counts else 0.0)).backward()
                if turn.counts:  # these come first
                    found.append(Share(share.loss.detach(), share.metrics))
                group.look(self.between)
            names, rows = _numbers_of(found)
            for index, (loss, *_) in enumerate(rows):
                if not math.isfinite(loss):
                    bad = self._first_bad(step, index, lambda micro=turns[index].micro: share_of(micro))
                    raise _diverged(step, f"loss {loss}", bad, rows_of(turns[index].micro.units))
        loss, *metrics = (math.fsum(column) for column in zip(*rows, strict=True))
        group.add_up_gradients(what, list(self.tuning.trained.values()))
        sums = group.add_up(what, {"loss": loss, **dict(zip(names, metrics, strict=True)), **opened.metrics})
        return sums.pop("loss"), sums

    def _seed_dropout(self, step: int, index: int) -> None:
        """A step drops the same however the run came to it."""
        stream = f"dropout/{step}/{index * self.group.size + self.group.rank}"
        first, _ = RandomStream(self.spec.seed, stream).pairs(0, 1)
        torch.manual_seed(int(first[0]))

    def _first_bad(self, step: int, index: int, again: Callable[[], object]) -> str | None:
        model = self.tuning.model
        found = bad_weight(model)
        if found or self.group.lockstep:  # there a pass takes all processes, of which some have seen nothing
            return found
        self._seed_dropout(step, index)
        return bad_output(model, again)


def _numbers_of(found: Sequence[Share]) -> tuple[list[str], list[list[float]]]:
    """
    The names of the metrics; and of each share its loss and them. Looks at all of them at once, as to look at a number
    of a GPU is to wait for it.
    """
    names = list(dict.fromkeys(name for share in found for name in share.metrics))
    if not found:
        return names, [[0.0]]
    zero = torch.zeros_like(found[0].loss)
    rows = [torch.stack([share.loss, *(share.metrics.get(name, zero) for name in names)]) for share in found]
    return names, torch.stack(rows).tolist()


def _diverged(step: int, seen: str, bad: str | None, rows: list[Row]) -> Fault:
    """Names the step, the first tensor that went bad, and where the rows came from: a broken row shows there first."""
    named = ", ".join(row.place for row in rows[:_PLACES_NAMED])
    more = f" and {len(rows) - _PLACES_NAMED} more" if len(rows) > _PLACES_NAMED else ""
    first = f"; first of all {bad} is not finite" if bad else ""
    return Fault("training.diverged", f"Step {step + 1}: {seen}{first}; its rows: {named}{more}.")
