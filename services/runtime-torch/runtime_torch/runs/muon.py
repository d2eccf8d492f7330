"""Muon: steps of whole matrices, made orthogonal (Jordan et al. 2024), as large as AdamW's (Liu et al. 2025)."""

from __future__ import annotations

import math
from typing import Any

import torch

_MOMENTUM = 0.95
_ITERATIONS = 5
# Of the quintic whose slope at 0 is steepest while all singular values still come near 1.
_COEFFICIENTS = (3.4445, -4.775, 2.0315)
_NORM_MIN = 1e-7
# By which a step's root mean square is AdamW's, so that the learning rate means the same.
_SHARE_OF_ADAMW = 0.2


class Muon(torch.optim.Optimizer):
    """That of PyTorch multiplies in bfloat16, for which processors without such instructions take minutes a step."""

    def __init__(self, groups: Any, *, lr: float, weight_decay: float) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]  # nobody asks for a loss # noqa: ARG002
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(parameter, parameter.grad, group["lr"], group["weight_decay"])

    def _move(self, parameter: torch.nn.Parameter, grad: torch.Tensor, rate: float, decay: float) -> None:
        state = self.state[parameter]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(grad)
        momentum = state["momentum_buffer"].lerp_(grad, 1 - _MOMENTUM)
        update = orthogonalised(grad.lerp(momentum, _MOMENTUM))
        length = _SHARE_OF_ADAMW * math.sqrt(max(parameter.shape))
        parameter.mul_(1 - rate * decay).add_(update, alpha=-rate * length)


def orthogonalised(matrix: torch.Tensor) -> torch.Tensor:
    """[m, n] with the same singular vectors and singular values near 1, by Newton and Schulz."""
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide.to(torch.bfloat16 if matrix.device.type == "cuda" else torch.float32)
    x = x / x.norm().clamp(min=_NORM_MIN)
    a, b, c = _COEFFICIENTS
    for _ in range(_ITERATIONS):
        square = x @ x.T
        x = torch.addmm(x, torch.addmm(square, square, square, beta=b, alpha=c), x, beta=a)
    return x.T if matrix.shape[0] > matrix.shape[1] else x
