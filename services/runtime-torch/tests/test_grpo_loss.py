"""The loss of GRPO against the paper's formula, written out for a few tokens."""

import math

import pytest
import torch

from runtime_torch.methods.grpo_loss import (
    advantages_of,
    clipped_tokens,
    divergence_of,
    grpo_share,
    grpo_token_losses,
)
from runtime_torch.spec import Grpo

GRADER = {
    "type": "string_check",
    "name": "x",
    "input": "{{sample.output_text}}",
    "reference": "{{item.x}}",
    "operation": "eq",
}


def settings(**changes: object) -> Grpo:
    fields = {"groupSize": 2, "beta": 0.0, "epsilon": 0.2, "temperature": 1.0, "maxCompletionTokens": 4}
    return Grpo.model_validate({"type": "grpo", **fields, "lossType": "grpo", "grader": GRADER, **changes})


def numbers(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def test_an_advantage_is_how_far_a_reward_lies_above_its_group_in_units_of_the_spread():
    rewards = torch.tensor([[1.0, 0.0, 0.0, 1.0], [0.25, 0.25, 0.25, 0.25]], dtype=torch.float64)
    found = advantages_of(settings(), rewards)
    spread = math.sqrt((4 * 0.25) / 3)
    assert found[0].tolist() == pytest.approx([sign * 0.5 / (spread + 1e-4) for sign in (1, -1, -1, 1)])
    assert found[1].tolist() == [0, 0, 0, 0]
    assert advantages_of(settings(lossType="dr_grpo"), rewards)[0].tolist() == [0.5, -0.5, -0.5, 0.5]


@pytest.mark.parametrize(
    ("ratio", "advantage", "loss"),
    [
        (1.0, 2.0, -2.0),
        (1.5, 2.0, -1.2 * 2.0),  # gains are taken up to 1 + epsilon
        (0.5, 2.0, -0.5 * 2.0),
        (1.5, -1.0, 1.5),
        (0.5, -1.0, 0.8),  # losses are forgiven down to 1 - epsilon
    ],
)
def test_a_token_counts_within_the_clip(ratio: float, advantage: float, loss: float):
    sampled = numbers(-1.3)
    found = grpo_token_losses(settings(), sampled + math.log(ratio), sampled, None, numbers(advantage))
    assert found.item() == pytest.approx(loss)


def test_what_is_clipped_has_no_gradient():
    policy = numbers(math.log(1.5), math.log(1.1)).requires_grad_()
    grpo_token_losses(settings(), policy, numbers(0, 0), None, numbers(1, 1)).sum().backward()
    assert policy.grad is not None
    assert policy.grad.tolist() == pytest.approx([0, -1.1])
    assert clipped_tokens(settings(), policy, numbers(0, 0), numbers(1, 1)).tolist() == [True, False]
    assert clipped_tokens(settings(), policy, numbers(0, 0), numbers(-1, -1)).tolist() == [False, False]


def test_the_divergence_is_that_of_the_paper():
    policy, reference = numbers(-1.0, -2.0), numbers(-1.5, -1.0)
    wanted = [math.exp(-0.5) + 0.5 - 1, math.exp(1.0) - 1.0 - 1]
    assert divergence_of(policy, reference).tolist() == pytest.approx(wanted)
    with_it = grpo_token_losses(settings(beta=0.1), policy, policy, reference, numbers(1, -1))
    assert with_it.tolist() == pytest.approx([-1 + 0.1 * wanted[0], 1 + 0.1 * wanted[1]])


def test_answers_count_alike_whatever_their_length_and_tokens_alike_in_dr_grpo():
    losses, answer_of_token = numbers(1, 3, 5), torch.tensor([0, 0, 1])
    assert grpo_share(settings(), losses, answer_of_token, 2, 4).item() == pytest.approx((2 + 5) / 4)
    dr_grpo = settings(lossType="dr_grpo")
    assert grpo_share(dr_grpo, losses, answer_of_token, 2, 4).item() == pytest.approx((1 + 3 + 5) / (4 * 4))


def test_shares_of_micro_batches_add_up():
    losses, answer_of_token = numbers(1, 3, 5), torch.tensor([0, 0, 1])
    for chosen in (settings(), settings(lossType="dr_grpo")):
        parts = [
            grpo_share(chosen, losses[:2], answer_of_token[:2], 1, 2),
            grpo_share(chosen, losses[2:], answer_of_token[2:] - 1, 1, 2),
        ]
        assert torch.stack(parts).sum().item() == pytest.approx(
            grpo_share(chosen, losses, answer_of_token, 2, 2).item()
        )
