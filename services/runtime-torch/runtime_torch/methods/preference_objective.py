"""DPO, ORPO, SimPO and KTO: what is learnt by comparing answers."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path

import torch

from ..data.global_batches import Batch, TrainingBatches, rows_of, stored_batches
from ..data.micro_batch import MicroBatch, pack
from ..data.prepared_dataset import PreparedDataset, Row, Unit
from ..fault import Fault
from ..models.head import score_tokens
from ..runs.trainer_state import Score
from ..spec import Dpo, Kto
from .likelihood import log_probabilities, measure_rows, sum_by_row
from .objective import Objective, OpenBatch, Surroundings
from .preference_share import Likelihoods, Preference, Share, preference_share, totals_of
from .reference import Reference, load_references, measure_reference, mismatched_rows, save_references

_NONE = torch.empty(0, dtype=torch.float64)


class PreferenceObjective(Objective):
    def __init__(
        self,
        around: Surroundings,
        settings: Preference,
        train: tuple[PreparedDataset, TrainingBatches] | None,
        held_out: PreparedDataset | None,
    ) -> None:
        self._around = around
        self._settings = settings
        self._train = train
        self._held_out = held_out
        self._references: dict[str, Reference] = {}

    def prepare(self) -> None:
        if self._references or not isinstance(self._settings, Dpo | Kto):
            return
        mismatches = isinstance(self._settings, Kto)
        found: dict[str, Reference] = {}
        if self._train:
            found["train"] = measure_reference(*self._train, self._measure, mismatches=mismatches)
        if self._held_out:
            batches = self._stored_batches(self._held_out)
            found["heldOut"] = measure_reference(self._held_out, batches, self._measure, mismatches=mismatches)
        self._references = found

    def load(self, checkpoint: Path) -> None:
        self._references = load_references(checkpoint)

    def save(self, checkpoint: Path) -> None:
        if self._references:
            save_references(self._references, checkpoint)

    def open(self, batch: Batch) -> OpenBatch:
        for row in batch.rows:
            if row.trained_count == 0:
                raise Fault("data.bad", f"{row.place}: the answer has no trained token, so it cannot be compared.")
        totals = totals_of(batch.units)
        reference = self._references.get("train")
        mismatched = self._mismatched(batch, reference)

        def share(micro: MicroBatch) -> Share:
            policy = log_probabilities(self._around.model, micro.packed)
            found = Likelihoods(policy, self._of_rows(reference, micro.units), mismatched)
            return preference_share(self._settings, micro.units, found, totals)

        return OpenBatch(batch.units, share)

    @torch.no_grad()
    def score(self, dataset: PreparedDataset) -> Score:
        """The method's loss, and how well the answers to learn are predicted."""
        _, model, token_budget, group, between, _ = self._around
        model.eval()
        reference = self._references.get("heldOut")
        totals = totals_of(dataset)
        loss, wanted_loss, correct = 0.0, 0.0, 0.0
        metrics: dict[str, float] = {}
        for batch in self._stored_batches(dataset):
            mismatched = self._mismatched(batch, reference)
            with group.together("the scores"):
                for micro, counts in group.turns(batch.units, token_budget):
                    packed = pack(rows_of(micro))
                    with group.passing("the scores"):
                        scores = model.over(packed, score_tokens)
                    policy = sum_by_row(-scores.losses, packed)
                    found = Likelihoods(policy, self._of_rows(reference, micro), mismatched)
                    if counts:
                        share = preference_share(self._settings, micro, found, totals)
                        loss += share.loss.item()
                        metrics = {name: metrics.get(name, 0.0) + float(value) for name, value in share.metrics.items()}
                        wanted = _wanted_rows(micro)
                        wanted_loss -= float(policy[wanted].sum())
                        correct += float(sum_by_row(scores.correct, packed)[wanted].sum())
                    group.look(between)
        sums = group.add_up("the scores", {"loss": loss, "wantedLoss": wanted_loss, "correct": correct, **metrics})
        tokens = max(1, totals.wanted_tokens)
        return Score(
            rows=dataset.rows,
            trained_tokens=totals.wanted_tokens,
            loss=sums.pop("loss"),
            perplexity=math.exp(sums.pop("wantedLoss") / tokens),
            token_accuracy=sums.pop("correct") / tokens,
            metrics=sums,
        )

    def _stored_batches(self, dataset: PreparedDataset) -> Iterator[Batch]:
        return stored_batches(dataset, self._around.spec.hyperparameters.global_batch)

    def _measure(self, rows: list[Row]) -> torch.Tensor:
        _, model, token_budget, group, between, _ = self._around
        return measure_rows(model, rows, token_budget, group, between)

    def _mismatched(self, batch: Batch, reference: Reference | None) -> torch.Tensor:
        """Log-ratios [units] of the answers that do not belong to their prompts."""
        if reference is None or not isinstance(self._settings, Kto):
            return _NONE
        before = reference.mismatched[batch.first : batch.first + len(batch.units)]
        return (self._measure(mismatched_rows(batch)) - before).to(self._around.model.device)

    def _of_rows(self, reference: Reference | None, units: Sequence[Unit]) -> torch.Tensor:
        if reference is None:
            return _NONE
        size = len(units[0].rows)
        of_rows = reference.rows[[unit.index * size + row for unit in units for row in range(size)]]
        return of_rows.to(self._around.model.device)


def _wanted_rows(units: Sequence[Unit]) -> torch.Tensor:
    """Which of the rows of these units are answers to learn."""
    return torch.tensor([place == 0 and row.desirable for unit in units for place, row in enumerate(unit.rows)])
