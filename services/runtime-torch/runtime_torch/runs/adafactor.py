"""Adafactor with the rate that it is given, also over matrices of which each process holds some rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import torch

from ..processes.parts import own_part, zeros_by_rows

AddUp = Callable[[torch.Tensor], torch.Tensor]

# Keeps what was never moved from being divided by zero.
_SQUARE_MIN = 1e-30
_DECAY = -0.8


class Adafactor(torch.optim.Optimizer):
    """
    Keeps of a matrix the mean squares of the gradients of its rows and of its columns. Rows lie whole in one process;
    what columns need of all processes travels in one message a step, and in another how large the updates would be.
    """

    def __init__(self, groups: Any, *, lr: float, weight_decay: float, add_up: AddUp) -> None:
        """`add_up` adds up over the processes that hold parts."""
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})
        self._add_up = add_up

    @torch.no_grad()
    def step(self, closure: object = None) -> None:  # type: ignore[override]  # nobody asks for a loss # noqa: ARG002
        moved = [(group, _Moved(parameter, self.state[parameter])) for group, parameter in self._moving()]
        if not moved:
            return
        sums = self._added_up([one.followed() for _, one in moved])
        squares = self._added_up([one.take(found) for (_, one), found in zip(moved, sums, strict=True)])
        for (group, one), square in zip(moved, squares, strict=True):
            one.move(group["lr"], group["weight_decay"], square)

    def _moving(self) -> Iterator[tuple[dict[str, Any], torch.nn.Parameter]]:
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    yield group, parameter

    def _added_up(self, parts: list[torch.Tensor]) -> Sequence[torch.Tensor]:
        return self._add_up(torch.cat(parts)).split([part.numel() for part in parts])


class _Moved:
    """A parameter in one step."""

    def __init__(self, parameter: torch.nn.Parameter, state: dict[str, Any]) -> None:
        assert parameter.grad is not None
        self._shape = parameter.shape
        self._values, self._grad = own_part(parameter), own_part(parameter.grad)
        self._state = state or _begun(parameter, state)
        state["step"] += 1
        self._kept = 1 - state["step"] ** _DECAY
        self._factors: list[torch.Tensor] = []

    @property
    def _is_matrix(self) -> bool:
        return len(self._shape) == 2

    def followed(self) -> torch.Tensor:
        """Follows what needs no other process. What has to be added up: by column, and of all rows' means."""
        squares = self._grad.square() + _SQUARE_MIN
        if not self._is_matrix:
            self._follow("exp_avg_sq", squares)
            return squares.new_empty(0)
        rows = self._follow("exp_avg_sq_row", squares.mean(dim=1))
        return torch.cat([squares.sum(dim=0), rows.sum()[None]])

    def take(self, sums: torch.Tensor) -> torch.Tensor:
        """What `followed` gave, of all. Returns the squared length of this part's update, to be added up."""
        squares = self._grad.square()
        if not self._is_matrix:
            self._factors = [own_part(self._state["exp_avg_sq"]).rsqrt()]
            return (squares * self._factors[0].square()).sum()[None]
        sums = sums / self._shape[0]
        columns = self._follow("exp_avg_sq_col", sums[:-1])
        rows = own_part(self._state["exp_avg_sq_row"]) / sums[-1]
        self._factors = [rows.rsqrt()[:, None], columns.rsqrt()]
        return ((squares @ columns.reciprocal()) @ rows.reciprocal())[None]

    def move(self, rate: float, decay: float, square: torch.Tensor) -> None:
        update = self._grad
        for factor in self._factors:
            update = update * factor
        root_mean_square = (square / self._shape.numel()).sqrt()
        self._values.mul_(1 - rate * decay).sub_(update * (rate / root_mean_square.clamp(min=1)))

    def _follow(self, name: str, found: torch.Tensor) -> torch.Tensor:
        return own_part(self._state[name]).lerp_(found, 1 - self._kept)


def _begun(parameter: torch.nn.Parameter, state: dict[str, Any]) -> dict[str, Any]:
    state["step"] = 0
    if len(parameter.shape) == 2:
        state["exp_avg_sq_row"] = zeros_by_rows(parameter)
        state["exp_avg_sq_col"] = torch.zeros(parameter.shape[1], device=own_part(parameter).device)
    else:
        state["exp_avg_sq"] = torch.zeros_like(parameter)
    return state
