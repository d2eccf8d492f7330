"""Loss at the trained positions, with the logits of a few positions in memory at a time."""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.nn.functional import cross_entropy, linear
from torch.utils.checkpoint import checkpoint

from ..devices.memory_plan import CHUNK_POSITIONS


class _SummedCrossEntropy(torch.autograd.Function):
    """Computes its gradient on the way forward: a chunk's logits are then needed only once and never kept."""

    @staticmethod
    def forward(
        ctx: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, smoothing: float
    ) -> torch.Tensor:
        loss = torch.zeros((), dtype=torch.float64, device=hidden.device)
        grad_hidden = torch.empty_like(hidden)
        grad_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        for start in range(0, len(labels), CHUNK_POSITIONS):
            part = slice(start, start + CHUNK_POSITIONS)
            log_probabilities = linear(hidden[part], weight).float().log_softmax(-1)
            picked = log_probabilities.gather(1, labels[part, None])
            loss -= (1 - smoothing) * picked.sum(dtype=torch.float64)
            if smoothing:
                loss -= smoothing * log_probabilities.mean(-1).sum(dtype=torch.float64)
            slope = log_probabilities.exp_()
            if smoothing:
                slope -= smoothing / len(weight)
            slope.scatter_add_(1, labels[part, None], torch.full_like(picked, smoothing - 1))
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
            None,
        )


def summed_loss(
    hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, smoothing: float = 0.0
) -> torch.Tensor:
    """
    Summed negative log-likelihood of `labels` [n] from the hidden states [n, size] of the positions before them;
    `smoothing` is the share that all tokens alike have of what is wanted.
    """
    return _SummedCrossEntropy.apply(hidden, weight, labels, smoothing)


def token_losses(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """
    Negative log-likelihood [n] of each label, where each has a gradient of its own: a chunk's logits are thrown away
    and computed again on the way back.
    """
    chunks = zip(hidden.split(CHUNK_POSITIONS), labels.split(CHUNK_POSITIONS), strict=True)
    return torch.cat([checkpoint(_chunk_losses, part, weight, wanted, use_reentrant=False) for part, wanted in chunks])


def _chunk_losses(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    return cross_entropy(linear(hidden, weight).float(), labels, reduction="none").double()


class TokenScores(NamedTuple):
    """Vectors with one number for each label."""

    losses: torch.Tensor
    correct: torch.Tensor
    """Whether it is the likeliest token."""


@torch.no_grad()
def score_tokens(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> TokenScores:
    """As `token_losses` without gradients, and whether the right token is the likeliest."""
    losses = torch.empty(len(labels), dtype=torch.float64, device=hidden.device)
    correct = torch.empty(len(labels), dtype=torch.bool, device=hidden.device)
    for start in range(0, len(labels), CHUNK_POSITIONS):
        part = slice(start, start + CHUNK_POSITIONS)
        logits = linear(hidden[part], weight).float()
        losses[part] = cross_entropy(logits, labels[part], reduction="none")
        correct[part] = logits.argmax(-1) == labels[part]
    return TokenScores(losses, correct)
