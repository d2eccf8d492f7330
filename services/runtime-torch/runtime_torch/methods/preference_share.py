"""From log-probabilities to the loss of a preference method and its metrics: pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch

from ..data.prepared_dataset import Unit
from ..spec import Dpo, Kto, Orpo, Simpo
from .preference_loss import PairLogProbabilities, dpo_loss, kto_loss, orpo_odds_loss, simpo_loss

Preference = Dpo | Orpo | Simpo | Kto


class Share(NamedTuple):
    """What a micro-batch adds to the loss and the metrics of its global batch: shares add up."""

    loss: torch.Tensor
    metrics: dict[str, torch.Tensor]
    """On the device, as the loss: to look at them would wait for it."""


@dataclass(frozen=True)
class Totals:
    """What the sums over a global batch are divided by."""

    units: int
    desirable: int
    """Units with an answer to learn: every pair, and the desirable rows of KTO."""
    wanted_tokens: int
    """Trained tokens of the answers to learn."""


def totals_of(units: Iterable[Unit]) -> Totals:
    count, desirable, wanted_tokens = 0, 0, 0
    for unit in units:
        wanted = unit.rows[0]
        count += 1
        desirable += wanted.desirable
        wanted_tokens += wanted.trained_count if wanted.desirable else 0
    return Totals(count, desirable, wanted_tokens)


@dataclass(frozen=True)
class Likelihoods:
    """Log-probabilities of the rows of a micro-batch, one after the other [rows]; `reference` of DPO and KTO alone."""

    policy: torch.Tensor
    reference: torch.Tensor
    mismatched: torch.Tensor
    """Log-ratios of policy to reference over the whole global batch, of KTO alone; see `kto_loss`."""


def preference_share(settings: Preference, units: Sequence[Unit], found: Likelihoods, totals: Totals) -> Share:
    """
    Rewards are what the method compares: the scaled log-ratio to the reference (DPO, KTO), or the scaled mean
    log-probability of a token (ORPO, SimPO).
    """
    if isinstance(settings, Kto):
        return _kto_share(settings, units, found, totals)
    policy = _pairs(found.policy)
    counts = [row.trained_count for unit in units for row in unit.rows]
    lengths = _pairs(torch.tensor(counts, dtype=torch.float64, device=found.policy.device))
    match settings:
        case Dpo():
            reference = _pairs(found.reference)
            loss = dpo_loss(settings, policy, reference).sum() / totals.units
            gains = policy.chosen - reference.chosen, policy.rejected - reference.rejected
        case Simpo():
            loss = simpo_loss(settings, policy, lengths).sum() / totals.units
            gains = policy.chosen / lengths.chosen, policy.rejected / lengths.rejected
        case Orpo():
            odds = orpo_odds_loss(settings, policy, lengths).sum() / totals.units
            loss = odds - policy.chosen.sum() / totals.wanted_tokens
            gains = policy.chosen / lengths.chosen, policy.rejected / lengths.rejected
    margins = settings.beta * (gains[0] - gains[1]).detach()
    metrics = {
        "rewardAccuracy": (margins > 0).sum().double() / totals.units,
        "rewardMargin": margins.sum() / totals.units,
    }
    return Share(loss, metrics)


def _kto_share(settings: Kto, units: Sequence[Unit], found: Likelihoods, totals: Totals) -> Share:
    desirable = torch.tensor([unit.rows[0].desirable for unit in units], device=found.policy.device)
    loss = kto_loss(settings, found.policy, found.reference, desirable, found.mismatched).sum() / totals.units
    undesirable = totals.units - totals.desirable
    if totals.desirable == 0 or undesirable == 0:
        return Share(loss, {})  # nothing to compare with
    rewards = settings.beta * (found.policy - found.reference).detach()
    margin = rewards[desirable].sum() / totals.desirable - rewards[~desirable].sum() / undesirable
    return Share(loss, {"rewardMargin": margin})


def _pairs(rows: torch.Tensor) -> PairLogProbabilities:
    return PairLogProbabilities(rows[0::2], rows[1::2])
