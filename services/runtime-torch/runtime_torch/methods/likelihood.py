"""How likely a model finds the answers of whole rows."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch

from ..data.micro_batch import Packed, pack
from ..data.prepared_dataset import Row, Unit
from ..models.head import score_tokens, token_losses
from ..models.model import PackedModel
from ..processes.group import Group


def log_probabilities(model: PackedModel, batch: Packed) -> torch.Tensor:
    """Of the trained tokens of each row [rows], with gradients."""
    return sum_by_row(-model.over(batch, token_losses), batch)


@torch.no_grad()
def measure_rows(
    model: PackedModel,
    rows: Sequence[Row],
    token_budget: int,
    group: Group,
    between: Callable[[], None],
) -> torch.Tensor:
    """
    As `log_probabilities` without gradients and dropout, for any number of rows, in their order. Each process of the
    group measures its share of them.
    """
    what = "what answers are worth"
    model.eval()
    found = torch.zeros(len(rows), dtype=torch.float64)
    with group.together(what):
        for turn in group.turns([Unit(i, (row,)) for i, row in enumerate(rows)], token_budget):
            batch = pack([unit.rows[0] for unit in turn.units])
            with group.passing(what):
                scores = model.over(batch, score_tokens)
            if turn.counts:
                found[[unit.index for unit in turn.units]] = sum_by_row(-scores.losses, batch).cpu()
            group.look(between)
    return group.add_up_tensor(what, found)


def sum_by_row(values: torch.Tensor, batch: Packed) -> torch.Tensor:
    """Sums [rows] of one number for each label, in double precision."""
    sums = torch.zeros(len(batch.segments.lengths), dtype=torch.float64, device=values.device)
    return sums.index_add(0, batch.row_of_label.to(values.device), values.double())
