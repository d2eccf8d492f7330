"""What a method minimises, and how its models are scored."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

from ..data.global_batches import Batch, rows_of
from ..data.micro_batch import MicroBatch, Packed, pack
from ..data.prepared_dataset import PreparedDataset, Unit
from ..fault import Fault
from ..models.head import summed_loss
from ..models.model import PackedModel
from ..processes.group import Group
from ..runs.scoring import score_rows
from ..runs.trainer_state import Score
from ..spec import RuntimeSpec
from .preference_share import Share

LossOfMicroBatch = Callable[[MicroBatch], Share]


class OpenBatch(NamedTuple):
    units: Sequence[Unit]
    """What is trained: those of the global batch, or what the model has made of them."""
    share: LossOfMicroBatch
    metrics: Mapping[str, float] = MappingProxyType({})
    """Known already, before anything is trained; they add up over the processes."""


class Surroundings(NamedTuple):
    """What an objective needs of its run."""

    spec: RuntimeSpec
    model: PackedModel
    token_budget: int
    group: Group
    between: Callable[[], None]
    """Called after every micro-batch that is measured; it raises to leave."""
    reference: Callable[[], AbstractContextManager[None]] = nullcontext
    """Within it the model answers as it did before its first step."""


class Objective(ABC):
    makes_rows = False
    """Whether the model makes what it is trained on, which is then not known ahead of its step."""

    def pack(self, units: Sequence[Unit]) -> Packed:
        """What of them goes through the model in a step. Looks at the data alone, also while another step is made."""
        return pack(rows_of(units))

    @abstractmethod
    def prepare(self) -> None:
        """Measures what has to be known of the model before its first step."""

    @abstractmethod
    def load(self, checkpoint: Path) -> None:
        """Takes what `save` kept of it."""

    @abstractmethod
    def save(self, checkpoint: Path) -> None: ...

    @abstractmethod
    def open(self, batch: Batch) -> OpenBatch:
        """
        The loss of a global batch, as a function of its micro-batches whose results add up. To be called before each
        step, without dropout or gradients.
        """

    @abstractmethod
    def score(self, dataset: PreparedDataset) -> Score: ...


class TokenObjective(Objective):
    """Supervised training and pretraining: the mean loss of a trained token."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around

    def prepare(self) -> None: ...
    def load(self, checkpoint: Path) -> None: ...
    def save(self, checkpoint: Path) -> None: ...

    def open(self, batch: Batch) -> OpenBatch:
        model = self._around.model
        trained_tokens = sum(unit.trained_count for unit in batch.units)
        smoothing = self._around.spec.hyperparameters.label_smoothing_factor or 0.0
        head = partial(summed_loss, smoothing=smoothing)
        if trained_tokens == 0:
            raise Fault("data.bad", f"{batch.rows[0].place}: no token of its global batch is trained.")

        def share(micro: MicroBatch) -> Share:
            return Share(model.over(micro.packed, head) / trained_tokens, {})

        return OpenBatch(batch.units, share)

    def score(self, dataset: PreparedDataset) -> Score:
        _, model, token_budget, group, between, _ = self._around
        return score_rows(model, dataset, token_budget, group, between)
