"""Loss at the trained positions, with the logits of a few positions in memory at a time."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy, linear

from .memory_plan import CHUNK_POSITIONS


class _SummedCrossEntropy(torch.autograd.Function):
    """Computes its gradient on the way forward: a chunk's logits are then needed only once and never kept."""

    @staticmethod
    def forward(ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        loss = torch.zeros((), dtype=torch.float64, device=hidden.device)
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        for start in range(0, len(labels), CHUNK_POSITIONS):
            part = slice(start, start + CHUNK_POSITIONS)
            log_probabilities = linear(hidden[part], weight).float().log_softmax(-1)
            picked = log_probabilities.gather(1, labels[part, None])
            loss -= picked.sum(dtype=torch.float64)
            slope = log_probabilities.exp_()
            slope.scatter_add_(1, labels[part, None], torch.full_like(picked, -1.0))
            slope = slope.to(weight.dtype)
            grad_hidden[part] = slope @ weight
            if grad_weight is not None:
                grad_weight += slope.t() @ hidden[part].to(weight.dtype)
        ctx.save_for_backward(grad_hidden, grad_weight)
        return loss

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        grad_hidden, grad_weight = ctx.saved_tensors
        scale = grad_outputs[0]
        return (
            grad_hidden * scale.to(grad_hidden.dtype),
            None if grad_weight is None else grad_weight * scale.to(grad_weight.dtype),
            None,
        )


def summed_loss(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Summed negative log-likelihood of `labels` [n] from the hidden states [n, size] of the positions before them."""
    return _SummedCrossEntropy.apply(hidden, weight, labels)


@dataclass(frozen=True)
class HeadScore:
    loss_sum: float
    correct: int


@torch.no_grad()
def score_head(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> HeadScore:
    """As `summed_loss` without gradients, and how often the most likely token is the right one."""
    loss_sum, correct = 0.0, 0
    for start in range(0, len(labels), CHUNK_POSITIONS):
        part = slice(start, start + CHUNK_POSITIONS)
        logits = linear(hidden[part], weight).float()
        loss_sum += cross_entropy(logits, labels[part], reduction="none").sum(dtype=torch.float64).item()
        correct += int((logits.argmax(-1) == labels[part]).sum())
    return HeadScore(loss_sum, correct)
