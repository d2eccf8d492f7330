"""Scores of a model over prepared rows."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from transformers import PreTrainedModel

from .global_batches import rows_of, stored_batches
from .head import score_tokens
from .micro_batch import micro_batches, pack
from .model import autocast, head_weight, predicting_states
from .prepared_dataset import PreparedDataset
from .spec import RuntimeSpec
from .trainer_state import Score

_CHUNK_ROWS = 64


@torch.no_grad()
def score_rows(
    spec: RuntimeSpec,
    model: PreTrainedModel,
    dataset: PreparedDataset,
    token_budget: int,
    between: Callable[[], None],
) -> Score:
    """Mean loss, perplexity and token accuracy over the trained tokens of all rows, in stored order."""
    loss_sum, correct, trained_tokens = 0.0, 0, 0
    model.eval()
    for chunk in stored_batches(dataset, _CHUNK_ROWS):
        for micro in micro_batches([unit for unit in chunk.units if unit.trained_count > 0], token_budget):
            batch = pack(rows_of(micro))
            with autocast(spec):
                found = score_tokens(predicting_states(model, batch), head_weight(model), batch.labels)
            loss_sum += found.losses.sum().item()
            correct += int(found.correct.sum())
            trained_tokens += len(batch.labels)
            between()
    loss = loss_sum / max(1, trained_tokens)
    return Score(
        rows=dataset.rows,
        trained_tokens=trained_tokens,
        loss=loss,
        perplexity=math.exp(loss),
        token_accuracy=correct / max(1, trained_tokens),
    )
