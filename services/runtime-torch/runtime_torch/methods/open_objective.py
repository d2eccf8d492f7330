"""Chooses what a run minimises."""

from __future__ import annotations

from ..data.global_batches import TrainingBatches
from ..runs.open_run import Inputs
from ..spec import Dpo, Grpo, Kto, Orpo, Pretrain, Reward, Simpo, Supervised
from .grpo_objective import GrpoObjective
from .objective import Objective, Surroundings, TokenObjective
from .preference_objective import PreferenceObjective
from .reward_objective import RewardObjective


def objective_of(around: Surroundings, inputs: Inputs, batches: TrainingBatches | None = None) -> Objective:
    """`batches` are those of the training data; a run that only scores has none."""
    match around.spec.method:
        case Supervised() | Pretrain():
            return TokenObjective(around)
        case Dpo() | Orpo() | Simpo() | Kto() as settings:
            train = (inputs.train, batches) if inputs.train and batches else None
            return PreferenceObjective(around, settings, train, inputs.held_out)
        case Reward() as settings:
            return RewardObjective(around, settings)
        case Grpo() as settings:
            return GrpoObjective(around, settings)
