"""The loss of a reward model: pure, one number for each pair."""

from __future__ import annotations

import torch
from torch.nn.functional import logsigmoid

from ..spec import Reward


def reward_loss(settings: Reward, chosen: torch.Tensor, rejected: torch.Tensor) -> torch.Tensor:
    """
    Bradley and Terry 1952, over the points of both answers. Only their difference counts, so points may drift: the
    coefficient (Eisenstein et al. 2023) keeps each pair's sum near 0.
    """
    drift = settings.center_rewards_coefficient * (chosen + rejected) ** 2
    return drift - logsigmoid(chosen - rejected)
