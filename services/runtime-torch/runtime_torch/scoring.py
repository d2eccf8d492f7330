"""Scores of a model over prepared rows."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from transformers import PreTrainedModel

from .head import score_head
from .micro_batch import micro_batches, pack
from .model import autocast, head_weight, predicting_states
from .prepared_dataset import PreparedDataset, Row
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
    for rows in _chunks(dataset):
        for micro in micro_batches(rows, token_budget):
            batch = pack(micro)
            with autocast(spec):
                found = score_head(predicting_states(model, batch), head_weight(model), batch.labels)
            loss_sum += found.loss_sum
            correct += found.correct
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


def _chunks(dataset: PreparedDataset) -> Iterator[list[Row]]:
    for start in range(0, dataset.rows, _CHUNK_ROWS):
        rows = [dataset.row(index) for index in range(start, min(dataset.rows, start + _CHUNK_ROWS))]
        yield [row for row in rows if row.trained_count > 0]
