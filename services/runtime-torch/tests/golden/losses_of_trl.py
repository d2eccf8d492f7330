"""
Writes `losses_of_trl.generated.json` anew: what TRL's own trainers make of a few numbers. TRL is not part of the
environment:

    uv venv /tmp/trl && uv pip install --python /tmp/trl/bin/python trl==1.16.0 torch==2.15.0 transformers==5.23.0
    /tmp/trl/bin/python tests/golden/losses_of_trl.py
"""

from __future__ import annotations

import json
from collections import defaultdict
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import torch

LENGTHS = [5, 2, 4, 1]
EPSILON, MOST_TOKENS = 0.2, 6
WAYS = [(loss_type, beta) for loss_type in ("grpo", "dr_grpo") for beta in (0.0, 0.1)]
trl: Any = import_module("trl")


generator = torch.Generator().manual_seed(7)


def numbers(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, generator=generator, dtype=torch.float64)


def same(found: torch.Tensor, **_: object) -> torch.Tensor:
    return found


ALONE = SimpleNamespace(gather=same, gather_for_metrics=same, reduce=same)


def grpo(loss_type: str, beta: float, answers: dict[str, torch.Tensor]) -> dict[str, Any]:
    """The loss, and its gradient by the log-probability of each token."""
    policy, mask = answers["policy"].clone().requires_grad_(), answers["mask"]
    nothing = torch.zeros(len(mask), 0)

    def log_probabilities(*_: object, **__: object) -> tuple[torch.Tensor, torch.Tensor, None]:
        return policy, torch.zeros_like(policy), None

    trainer = SimpleNamespace(
        **{"loss_type": loss_type, "beta": beta, "epsilon_low": EPSILON, "epsilon_high": EPSILON},
        **{"importance_sampling_level": "token", "max_completion_length": MOST_TOKENS, "top_entropy_quantile": 1.0},
        **{"aux_loss_enabled": False, "_entropy_bonus_enabled": False, "off_policy_mask_threshold": None},
        **{"use_vllm": False, "current_gradient_accumulation_steps": 1, "model": SimpleNamespace(training=True)},
        args=SimpleNamespace(delta=None, use_bias_correction_kl=False),
        accelerator=ALONE,
        _metrics={"train": defaultdict[str, list[float]](list)},
        _get_per_token_logps_and_entropies=log_probabilities,
    )
    inputs = {
        **{"prompt_ids": nothing, "prompt_mask": nothing, "completion_ids": mask, "completion_mask": mask},
        **{"old_per_token_logps": answers["sampled"], "ref_per_token_logps": answers["reference"]},
        "advantages": answers["advantages"],
    }
    loss = trl.GRPOTrainer._compute_loss(trainer, None, inputs)
    loss.backward()
    assert policy.grad is not None
    return {"lossType": loss_type, "beta": beta, "loss": loss.item(), "gradient": policy.grad[mask > 0].tolist()}


def reward(coefficient: float, points: torch.Tensor) -> dict[str, Any]:
    trainer = SimpleNamespace(
        **{"_metrics": {"train": defaultdict[str, list[float]](list)}, "_total_train_tokens": 0, "_tp_size": 1},
        model=SimpleNamespace(training=True),
        args=SimpleNamespace(center_rewards_coefficient=coefficient),
        accelerator=ALONE,
    )

    def model(**_: object) -> SimpleNamespace:
        return SimpleNamespace(logits=points[:, None])

    loss = trl.RewardTrainer.compute_loss(trainer, model, {"attention_mask": torch.ones(len(points), 1)})
    return {"coefficient": coefficient, "loss": loss.item()}


def main() -> None:
    mask = (torch.arange(max(LENGTHS)) < torch.tensor(LENGTHS)[:, None]).to(torch.int64)
    policy = -numbers(*mask.shape).abs() - 0.5
    answers = {
        **{"mask": mask, "policy": policy, "advantages": numbers(len(LENGTHS))},
        **{"sampled": policy + 0.3 * numbers(*mask.shape), "reference": policy + 0.3 * numbers(*mask.shape)},
    }
    points = numbers(6)
    written = {
        "versions": {"trl": trl.__version__, "torch": torch.__version__.partition("+")[0]},
        "grpo": {
            **{"lengths": LENGTHS, "epsilon": EPSILON, "maxCompletionTokens": MOST_TOKENS},
            "advantages": answers["advantages"].tolist(),
            **{name: answers[name][mask > 0].tolist() for name in ("policy", "sampled", "reference")},
            "found": [grpo(loss_type, beta, answers) for loss_type, beta in WAYS],
        },
        "reward": {
            **{"chosen": points[:3].tolist(), "rejected": points[3:].tolist()},
            "found": [reward(coefficient, points) for coefficient in (0.0, 0.01)],
        },
    }
    Path(__file__).with_suffix(".generated.json").write_text(json.dumps(written, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
