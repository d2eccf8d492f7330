"""Scores of a model over prepared rows."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch

from ..data.global_batches import rows_of, stored_batches
from ..data.micro_batch import pack
from ..data.prepared_dataset import PreparedDataset
from ..models.head import score_tokens
from ..models.model import PackedModel
from ..processes.group import Group
from .trainer_state import Score

_CHUNK_ROWS = 64


@torch.no_grad()
def score_rows(
    model: PackedModel,
    dataset: PreparedDataset,
    token_budget: int,
    group: Group,
    between: Callable[[], None],
) -> Score:
    """
    Mean loss, perplexity and token accuracy over the trained tokens of all rows. Each process of the group takes its
    share of them.
    """
    loss_sum, correct, trained_tokens = 0.0, 0, 0
    model.eval()
    with group.together("the scores"):
        for chunk in stored_batches(dataset, _CHUNK_ROWS):
            for turn in group.turns([unit for unit in chunk.units if unit.trained_count > 0], token_budget):
                batch = group.own_part(pack(rows_of(turn.units)))
                with group.passing("the scores"):
                    found = model.over(batch, score_tokens)
                if turn.counts:
                    loss_sum += found.losses.sum().item()
                    correct += int(found.correct.sum())
                    trained_tokens += len(batch.labels)
                group.look(between)
    sums = group.add_up("the scores", {"loss": loss_sum, "correct": correct, "trainedTokens": trained_tokens})
    trained_tokens = int(sums["trainedTokens"])
    loss = sums["loss"] / max(1, trained_tokens)
    return Score(
        rows=dataset.rows,
        trained_tokens=trained_tokens,
        loss=loss,
        perplexity=math.exp(loss),
        token_accuracy=sums["correct"] / max(1, trained_tokens),
    )
