"""
Losses over preferences, as functions of log-probabilities of whole completions: pure, one number for each pair or row.

`chosen` and `rejected` are sums over the trained tokens of a completion, under the policy; `reference_*` the same under
the model before the first step. Who calls averages over the pairs or rows of the global batch.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch.nn.functional import logsigmoid, relu

from ..spec import Dpo, Kto, Orpo, Simpo


class PairLogProbabilities(NamedTuple):
    """Vectors with one number for each pair."""

    chosen: torch.Tensor
    rejected: torch.Tensor


def dpo_loss(settings: Dpo, policy: PairLogProbabilities, reference: PairLogProbabilities) -> torch.Tensor:
    """Rafailov et al. 2023 (sigmoid), Azar et al. 2023 (ipo), Zhao et al. 2023 (hinge); smoothing by Mitchell 2023."""
    margin = (policy.chosen - reference.chosen) - (policy.rejected - reference.rejected)
    match settings.loss:
        case "sigmoid":
            wrong = settings.label_smoothing
            return -(1 - wrong) * logsigmoid(settings.beta * margin) - wrong * logsigmoid(-settings.beta * margin)
        case "ipo":
            return (margin - 1 / (2 * settings.beta)) ** 2
        case "hinge":
            return relu(1 - settings.beta * margin)


def simpo_loss(settings: Simpo, policy: PairLogProbabilities, lengths: PairLogProbabilities) -> torch.Tensor:
    """Meng et al. 2024: no reference; `lengths` counts the trained tokens of each completion."""
    margin = policy.chosen / lengths.chosen - policy.rejected / lengths.rejected
    return -logsigmoid(settings.beta * margin - settings.gamma)


def orpo_odds_loss(settings: Orpo, policy: PairLogProbabilities, lengths: PairLogProbabilities) -> torch.Tensor:
    """Hong et al. 2024: the term beside the supervised loss of the chosen completions."""
    ratio = _log_odds(policy.chosen / lengths.chosen) - _log_odds(policy.rejected / lengths.rejected)
    return -settings.beta * logsigmoid(ratio)


def kto_loss(
    settings: Kto, policy: torch.Tensor, reference: torch.Tensor, desirable: torch.Tensor, mismatched: torch.Tensor
) -> torch.Tensor:
    """
    Ethayarajh et al. 2024, one number for each row. `mismatched` holds log-ratios of policy to reference for each
    prompt with the completion of another row: their mean, not below 0 and without gradient, stands for the divergence.
    """
    divergence = mismatched.detach().mean().clamp(min=0)
    gain = settings.beta * (policy - reference - divergence)
    loss = 1 - torch.where(desirable, gain, -gain).sigmoid()
    return torch.where(desirable, settings.desirable_weight, settings.undesirable_weight) * loss


def _log_odds(log_probability: torch.Tensor) -> torch.Tensor:
    """log(p / (1 - p)), exact also where p is near 1."""
    return log_probability - torch.log(-torch.expm1(log_probability))
