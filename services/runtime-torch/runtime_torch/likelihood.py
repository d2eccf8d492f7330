"""How likely a model finds the answers of whole rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from transformers import PreTrainedModel

from .group import Group
from .head import score_tokens, token_losses
from .micro_batch import Packed, micro_batches, pack
from .model import autocast, head_weight, predicting_states
from .prepared_dataset import Row, Unit
from .spec import RuntimeSpec


def log_probabilities(model: PreTrainedModel, batch: Packed) -> torch.Tensor:
    """Of the trained tokens of each row [rows], with gradients."""
    losses = token_losses(predicting_states(model, batch), head_weight(model), batch.labels)
    return sum_by_row(-losses, batch)


@torch.no_grad()
def measure_rows(
    spec: RuntimeSpec,
    model: PreTrainedModel,
    rows: Sequence[Row],
    token_budget: int,
    group: Group,
    between: Callable[[], None],
) -> torch.Tensor:
    """
    As `log_probabilities` without gradients and dropout, for any number of rows, in their order. Each process of the
    group measures its share of them.
    """
    model.eval()
    found = torch.zeros(len(rows), dtype=torch.float64)
    mine = group.share_of([Unit(i, (row,)) for i, row in enumerate(rows)])
    with group.together("what answers are worth"):
        for micro in micro_batches(mine, token_budget):
            batch = pack([unit.rows[0] for unit in micro])
            with autocast(spec):
                scores = score_tokens(predicting_states(model, batch), head_weight(model), batch.labels)
            found[[unit.index for unit in micro]] = sum_by_row(-scores.losses, batch)
            between()
    return group.add_up_tensor("what answers are worth", found)


def sum_by_row(values: torch.Tensor, batch: Packed) -> torch.Tensor:
    """Sums [rows] of one number for each label, in double precision."""
    sums = torch.zeros(len(batch.segments), dtype=torch.float64, device=values.device)
    return sums.index_add(0, batch.row_of_label, values.double())
