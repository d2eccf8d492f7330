"""AdamW that keeps its moments in 8 bits, by bitsandbytes, in blocks that no two processes share."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import bitsandbytes.functional as bnb
import torch
from torch.nn.functional import pad

from ..processes.parts import own_part, zeros_by_rows

# Of bitsandbytes' kernels.
_BLOCK = 256
_MOMENTS, _SCALES = ("state1", "state2"), ("absmax1", "absmax2")
# What has fewer numbers keeps more in scales than it saves.
_NUMBERS_MIN = 4096
# The kernel for processors makes whole copies of all it is given.
_NUMBERS_AT_ONCE = 2**24


def can_keep_8_bits(parameter: torch.Tensor) -> bool:
    return parameter.ndim == 2 and parameter.numel() >= _NUMBERS_MIN


class AdamW8bit(torch.optim.Optimizer):
    """
    Of matrices. Each row has blocks of its own, where those of bitsandbytes' optimiser run on from row to row: rows are
    what is dealt out, so the states are the same for any number of processes.
    """

    def __init__(self, groups: Any, **settings: Any) -> None:
        super().__init__(groups, settings)
        self._maps = bnb.create_dynamic_map(signed=True), bnb.create_dynamic_map(signed=False)
        # What stands for nothing among values and moments.
        self._zeros = (0, *(int((one == 0).nonzero()[0]) for one in self._maps))

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]  # nobody asks for a loss # noqa: ARG002
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._move(group, parameter, self.state[parameter])

    def _move(self, group: dict[str, Any], parameter: torch.nn.Parameter, state: dict[str, Any]) -> None:
        assert parameter.grad is not None
        if not state:
            width = parameter.shape[1]
            state["step"] = 0
            state.update({name: zeros_by_rows(parameter, width, dtype=torch.uint8) for name in _MOMENTS})
            state.update({name: zeros_by_rows(parameter, -(-width // _BLOCK)) for name in _SCALES})
        state["step"] += 1
        kept = (own_part(state[name]) for name in (*_MOMENTS, *_SCALES))
        for some in _some_rows(own_part(parameter.grad), own_part(parameter), *kept):
            self._move_rows(group, state["step"], *some)

    def _move_rows(self, group: dict[str, Any], step: int, grad: torch.Tensor, *kept: torch.Tensor) -> None:
        """`kept` are values, moments and scales; a row is filled up to whole blocks for the kernel."""
        *places, scale1, scale2 = kept
        width, more = grad.shape[1], -grad.shape[1] % _BLOCK
        whole = places
        if more:
            grad = pad(grad, (0, more))
            whole = [pad(one, (0, more), value=zero) for one, zero in zip(places, self._zeros, strict=True)]
        values, moment1, moment2 = whole
        bnb.optimizer_update_8bit_blockwise(
            "adam",
            grad,
            values,
            moment1,
            moment2,
            *group["betas"],
            # A third rate and a share of it, which other optimisers have.
            beta3=0.0,
            alpha=0.0,
            eps=group["eps"],
            step=step,
            lr=group["lr"],
            qmap1=self._maps[0].to(grad.device),
            qmap2=self._maps[1].to(grad.device),
            absmax1=scale1.view(-1),
            absmax2=scale2.view(-1),
            weight_decay=group["weight_decay"],
        )
        if more:
            for place, one in zip(places, whole, strict=True):
                place.copy_(one[:, :width])


def _some_rows(*tensors: torch.Tensor) -> Iterator[tuple[torch.Tensor, ...]]:
    """Of each of them the same ones."""
    count = max(1, _NUMBERS_AT_ONCE // tensors[0].shape[1])
    for pieces in zip(*(one.split(count) for one in tensors), strict=True):
        if len(pieces[0]):
            yield pieces
