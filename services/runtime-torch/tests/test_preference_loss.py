"""A second implementation in plain Python, from the papers' formulas, one pair at a time."""

import math
from typing import Literal

import pytest
import torch

from runtime_torch.methods.preference_loss import PairLogProbabilities, dpo_loss, kto_loss, orpo_odds_loss, simpo_loss
from runtime_torch.spec import Dpo, Kto, Orpo, Simpo

CHOSEN, REJECTED = [-4.0, -9.0, -2.5], [-6.0, -3.0, -2.5]
BEFORE_CHOSEN, BEFORE_REJECTED = [-5.0, -8.0, -2.5], [-5.5, -4.0, -2.5]
CHOSEN_LENGTHS, REJECTED_LENGTHS = [4.0, 6.0, 2.0], [5.0, 3.0, 2.0]


def pairs(chosen: list[float], rejected: list[float]) -> PairLogProbabilities:
    return PairLogProbabilities(
        torch.tensor(chosen, dtype=torch.float64).requires_grad_(),
        torch.tensor(rejected, dtype=torch.float64).requires_grad_(),
    )


POLICY, REFERENCE = pairs(CHOSEN, REJECTED), pairs(BEFORE_CHOSEN, BEFORE_REJECTED)
LENGTHS = pairs(CHOSEN_LENGTHS, REJECTED_LENGTHS)


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def plain_dpo(loss: str, beta: float, smoothing: float, pair: int) -> float:
    rewards = CHOSEN[pair] - BEFORE_CHOSEN[pair], REJECTED[pair] - BEFORE_REJECTED[pair]
    difference = rewards[0] - rewards[1]
    if loss == "ipo":
        return (difference - 0.5 / beta) ** 2
    if loss == "hinge":
        return max(0.0, 1 - beta * difference)
    right = sigmoid(beta * difference)
    return -(1 - smoothing) * math.log(right) - smoothing * math.log(1 - right)


@pytest.mark.parametrize(("loss", "smoothing"), [("sigmoid", 0.0), ("sigmoid", 0.2), ("ipo", 0.0), ("hinge", 0.0)])
def test_dpo_is_its_formula(loss: Literal["sigmoid", "ipo", "hinge"], smoothing: float):
    settings = Dpo.model_validate({"type": "dpo", "loss": loss, "beta": 0.3, "labelSmoothing": smoothing})
    expected = [plain_dpo(loss, 0.3, smoothing, pair) for pair in range(3)]
    assert dpo_loss(settings, POLICY, REFERENCE).tolist() == pytest.approx(expected)


def test_dpo_of_an_unmoved_policy_is_the_logarithm_of_two_and_falls_towards_the_chosen():
    settings = Dpo.model_validate({"type": "dpo", "loss": "sigmoid", "beta": 0.1, "labelSmoothing": 0})
    policy = pairs(CHOSEN, REJECTED)
    loss = dpo_loss(settings, policy, pairs(CHOSEN, REJECTED))
    assert loss.tolist() == pytest.approx([math.log(2)] * 3)
    loss.sum().backward()
    assert policy.chosen.grad is not None and policy.rejected.grad is not None
    # The gradient at no margin is half of beta.
    assert policy.chosen.grad.tolist() == pytest.approx([-0.05] * 3)
    assert policy.rejected.grad.tolist() == pytest.approx([0.05] * 3)


def test_simpo_is_its_formula():
    settings = Simpo.model_validate({"type": "simpo", "beta": 2.0, "gamma": 0.5})
    expected = [
        -math.log(sigmoid(2.0 / m * chosen - 2.0 / n * rejected - 0.5))
        for chosen, rejected, m, n in zip(CHOSEN, REJECTED, CHOSEN_LENGTHS, REJECTED_LENGTHS, strict=True)
    ]
    assert simpo_loss(settings, POLICY, LENGTHS).tolist() == pytest.approx(expected)


def test_the_odds_term_of_orpo_is_its_formula():
    def odds(log_probability: float, length: float) -> float:
        likelihood = math.exp(log_probability / length)
        return likelihood / (1 - likelihood)

    expected = [
        -0.1 * math.log(sigmoid(math.log(odds(chosen, m) / odds(rejected, n))))
        for chosen, rejected, m, n in zip(CHOSEN, REJECTED, CHOSEN_LENGTHS, REJECTED_LENGTHS, strict=True)
    ]
    settings = Orpo.model_validate({"type": "orpo", "beta": 0.1})
    assert orpo_odds_loss(settings, POLICY, LENGTHS).tolist() == pytest.approx(expected)


def test_the_odds_term_of_orpo_is_finite_for_a_completion_that_is_all_but_certain():
    certain = pairs([-1e-12], [-1.0])
    loss = orpo_odds_loss(Orpo.model_validate({"type": "orpo", "beta": 0.1}), certain, pairs([1.0], [1.0]))
    assert math.isfinite(loss.item())


@pytest.mark.parametrize("mismatched", [[0.4, 1.2, -0.1], [-3.0, 0.1, 0.2]])
def test_kto_is_its_formula_and_its_divergence_is_never_negative(mismatched: list[float]):
    fields = {"type": "kto", "beta": 0.2, "desirableWeight": 1.5, "undesirableWeight": 0.7}
    wanted = [True, False, True]
    divergence = max(0.0, sum(mismatched) / 3)
    expected = [
        1.5 * (1 - sigmoid(0.2 * (after - before - divergence)))
        if good
        else 0.7 * (1 - sigmoid(0.2 * (divergence - (after - before))))
        for after, before, good in zip(CHOSEN, BEFORE_CHOSEN, wanted, strict=True)
    ]
    moved = torch.tensor(mismatched, dtype=torch.float64, requires_grad=True)
    found = kto_loss(Kto.model_validate(fields), POLICY.chosen, REFERENCE.chosen, torch.tensor(wanted), moved)
    assert found.tolist() == pytest.approx(expected)
    found.sum().backward()
    assert moved.grad is None
