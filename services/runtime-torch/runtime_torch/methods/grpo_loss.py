"""
GRPO as functions of log-probabilities: pure. Shao et al. 2024 (DeepSeekMath, arXiv 2402.03300); `dr_grpo` by Liu et al.
2025 (arXiv 2503.20783).
"""

from __future__ import annotations

import torch

from ..spec import Grpo

# Keeps the advantages finite where all answers to a prompt are worth the same.
_SPREAD_MIN = 1e-4


def advantages_of(settings: Grpo, rewards: torch.Tensor) -> torch.Tensor:
    """
    How much better each answer is than the others to its prompt [prompts, answers], from their rewards. In units of
    their spread; `dr_grpo` leaves that out, since it makes much of small differences.
    """
    above = rewards - rewards.mean(dim=1, keepdim=True)
    if settings.loss_type == "dr_grpo":
        return above
    return above / (rewards.std(dim=1, keepdim=True) + _SPREAD_MIN)


def grpo_token_losses(
    settings: Grpo,
    policy: torch.Tensor,
    sampled: torch.Tensor,
    reference: torch.Tensor | None,
    advantages: torch.Tensor,
) -> torch.Tensor:
    """
    Of each token. `policy` holds its log-probability now, `sampled` when it was generated, `reference` under the model
    to stay near, and `advantages` that of its answer.
    """
    ratio = (policy - sampled).exp()
    clipped = _clipped(settings, ratio)
    losses = -torch.minimum(ratio * advantages, clipped * advantages)
    return losses if reference is None else losses + settings.beta * divergence_of(policy, reference)


def clipped_tokens(
    settings: Grpo, policy: torch.Tensor, sampled: torch.Tensor, advantages: torch.Tensor
) -> torch.Tensor:
    """Which have moved as far as they may, and teach nothing more."""
    ratio = (policy - sampled).exp()
    return ratio * advantages > _clipped(settings, ratio) * advantages


def _clipped(settings: Grpo, ratio: torch.Tensor) -> torch.Tensor:
    return ratio.clamp(1 - settings.epsilon, 1 + settings.epsilon)


def divergence_of(policy: torch.Tensor, reference: torch.Tensor) -> torch.Tensor:
    """The estimate of the KL divergence by a token of the policy's own, never below 0 (Schulman 2020)."""
    difference = reference - policy
    return difference.exp() - difference - 1


def grpo_share(
    settings: Grpo, losses: torch.Tensor, answer_of_token: torch.Tensor, answers: int, all_answers: int
) -> torch.Tensor:
    """
    What the tokens of `answers` answers add to the loss of a batch with `all_answers`: each answer's mean, or, for
    `dr_grpo`, its sum over the most tokens it could have, so that long wrong answers are not spared.
    """
    sums = torch.zeros(answers, dtype=losses.dtype, device=losses.device).index_add(0, answer_of_token, losses)
    if settings.loss_type == "dr_grpo":
        return sums.sum() / (settings.max_completion_tokens * all_answers)
    lengths = torch.bincount(answer_of_token, minlength=answers).clamp(min=1)
    return (sums / lengths).sum() / all_answers
