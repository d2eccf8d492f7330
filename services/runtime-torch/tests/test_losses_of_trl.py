"""Our losses beside those of TRL's trainers, which `golden/losses_of_trl.py` has asked."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from test_grpo_loss import settings

from runtime_torch.methods.grpo_loss import grpo_share, grpo_token_losses
from runtime_torch.methods.reward_loss import reward_loss
from runtime_torch.spec import Reward

GOLDEN: dict[str, Any] = json.loads((Path(__file__).parent / "golden/losses_of_trl.generated.json").read_text())
GRPO, REWARD = GOLDEN["grpo"], GOLDEN["reward"]


def numbers(values: list[float]) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


@pytest.mark.parametrize("case", GRPO["found"], ids=lambda case: f"{case['lossType']}-{case['beta']}")
def test_grpo_has_the_losses_and_gradients_of_trl(case: dict[str, Any]):
    """Of answers drawn by an older model, so that tokens are clipped on either side."""
    asked = {name: case[name] for name in ("lossType", "beta")} | {
        name: GRPO[name] for name in ("epsilon", "maxCompletionTokens")
    }
    lengths = torch.tensor(GRPO["lengths"])
    answer_of_token = torch.arange(len(lengths)).repeat_interleave(lengths)
    policy = numbers(GRPO["policy"]).requires_grad_()
    sampled, reference = numbers(GRPO["sampled"]), numbers(GRPO["reference"]) if case["beta"] else None
    advantages = numbers(GRPO["advantages"])[answer_of_token]
    losses = grpo_token_losses(settings(**asked), policy, sampled, reference, advantages)
    loss = grpo_share(settings(**asked), losses, answer_of_token, len(lengths), len(lengths))
    assert loss.item() == pytest.approx(case["loss"], abs=1e-9)
    loss.backward()
    assert policy.grad is not None
    assert policy.grad.tolist() == pytest.approx(case["gradient"], abs=1e-9)
    moved = (policy.detach() - sampled).exp()
    assert ((moved > 1.2) & (advantages > 0)).any() and ((moved < 0.8) & (advantages < 0)).any()


@pytest.mark.parametrize("case", REWARD["found"], ids=lambda case: str(case["coefficient"]))
def test_a_reward_model_has_the_losses_of_trl(case: dict[str, Any]):
    asked = Reward.model_validate({"type": "reward", "centerRewardsCoefficient": case["coefficient"]})
    losses = reward_loss(asked, numbers(REWARD["chosen"]), numbers(REWARD["rejected"]))
    assert losses.mean().item() == pytest.approx(case["loss"], abs=1e-9)
