"""How what is trained moves: by one optimiser, or by two that share the parameters between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from ..processes.group import Group
from ..spec import Lora, Qlora, RuntimeSpec
from .adafactor import Adafactor
from .muon import Muon
from .weight_decay import is_decayed

Named = Mapping[str, torch.nn.Parameter]

# What an optimiser knows of a parameter besides the number of its steps. Other entries follow from these.
_KEPT = (
    *("exp_avg", "exp_avg_sq", "exp_avg_sq_row", "exp_avg_sq_col", "momentum_buffer"),
    *("state1", "state2", "absmax1", "absmax2"),
)

_MEANS = "the means of the gradients"


class Optimiser:
    """Groups of parameters have a decay of their own and a `rate_share`: by how much they exceed the learning rate."""

    def __init__(self, parts: Sequence[torch.optim.Optimizer], trained: Named) -> None:
        self._parts = parts
        self._trained = trained

    def step(self, learning_rate: float) -> None:
        for part in self._parts:
            for group in part.param_groups:
                group["lr"] = learning_rate * group["rate_share"]
            part.step()

    def zero_grad(self) -> None:
        for part in self._parts:
            part.zero_grad(set_to_none=True)

    def tensors(self) -> dict[str, torch.Tensor]:
        """All that has to be kept to go on exactly, by names that the tensors of a model do not have."""
        return {f"{kept}/{name}": state[kept] for name, state in self._states() for kept in _KEPT if kept in state}

    def open_states(self, step: int) -> None:
        """As they are after that many steps, but for the values of `tensors`, which the caller fills."""
        for parameter in self._trained.values():
            parameter.grad = torch.zeros_like(parameter)
        self.step(0.0)  # moves nothing, and gives each state its shape, whichever optimiser it is of
        self.zero_grad()
        for _, state in self._states():
            if isinstance(state.get("step"), torch.Tensor):
                state["step"].fill_(step)
            elif "step" in state:
                state["step"] = step

    def _states(self) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, parameter in self._trained.items():
            for part in self._parts:
                if parameter in part.state:
                    yield name, part.state[parameter]


def optimiser_of(spec: RuntimeSpec, trained: Named, group: Group) -> Optimiser:
    settings = spec.hyperparameters
    groups = _groups(spec, trained)
    adam: dict[str, Any] = {
        "lr": settings.learning_rate,
        "betas": (settings.adam_beta1, settings.adam_beta2),
        "eps": settings.adam_epsilon,
        "weight_decay": settings.weight_decay,
    }
    match settings.optimizer:
        case "adamw8bit":
            parts = _adamw_8bit_and_adamw(groups, adam)
        case "adafactor":
            add_up = partial(group.add_up_tensor, _MEANS) if group.sharded else _alone
            how = {name: adam[name] for name in ("lr", "weight_decay")}
            parts = [Adafactor(groups, add_up=add_up, **how)]
        case "muon":
            parts = _muon_and_adamw(spec, trained, adam)
        case "adamw" | None:
            parts = [_adamw(groups, adam)]
    return Optimiser(parts, trained)


def _alone(sums: torch.Tensor) -> torch.Tensor:
    return sums


def is_matrix_of_a_layer(name: str, parameter: torch.Tensor) -> bool:
    """What Muon moves. Embeddings and output weights are looked up row by row, and are not for it."""
    return parameter.ndim == 2 and ".layers." in name


def is_fast(name: str, parameter: torch.Tensor) -> bool:
    """What LoRA+ gives the higher rate: B, and as in PEFT what is a vector."""
    return ".lora_B." in name or parameter.ndim == 1


def _groups(spec: RuntimeSpec, trained: Named) -> list[dict[str, Any]]:
    tuning = spec.tuning
    ratio = (tuning.loraplus_lr_ratio if isinstance(tuning, Lora | Qlora) else None) or 1.0
    decay = spec.hyperparameters.weight_decay
    groups: dict[tuple[float, float], list[torch.nn.Parameter]] = {}
    for name, parameter in trained.items():
        how = (ratio if is_fast(name, parameter) else 1.0, decay if is_decayed(name, parameter) else 0.0)
        groups.setdefault(how, []).append(parameter)
    return [
        {"params": some, "rate_share": rate_share, "weight_decay": decay}
        for (rate_share, decay), some in groups.items()
    ]


def _adamw(groups: list[dict[str, Any]], settings: dict[str, Any]) -> torch.optim.AdamW:
    on_gpu = any(_computes_on_gpu(parameter) for group in groups for parameter in group["params"])
    return torch.optim.AdamW(groups, fused=True if on_gpu else None, **settings)


def _computes_on_gpu(parameter: torch.Tensor) -> bool:
    """Also where it lies in the machine's memory between its passes."""
    return parameter.is_cuda or (isinstance(parameter, DTensor) and parameter.device_mesh.device_type == "cuda")


def _muon_and_adamw(spec: RuntimeSpec, trained: Named, adam: dict[str, Any]) -> list[torch.optim.Optimizer]:
    matrices = {name: one for name, one in trained.items() if is_matrix_of_a_layer(name, one)}
    others = {name: one for name, one in trained.items() if name not in matrices}
    how = {name: adam[name] for name in ("lr", "weight_decay")}
    return [
        *([Muon(_groups(spec, matrices), **how)] if matrices else []),
        *([_adamw(_groups(spec, others), adam)] if others else []),
    ]


def _adamw_8bit_and_adamw(groups: list[dict[str, Any]], adam: dict[str, Any]) -> list[torch.optim.Optimizer]:
    from .adamw_8bit import AdamW8bit, can_keep_8_bits

    few = _those_that(can_keep_8_bits, groups)
    others = _those_that(lambda parameter: not can_keep_8_bits(parameter), groups)
    return [*([AdamW8bit(few, **adam)] if few else []), *([_adamw(others, adam)] if others else [])]


def _those_that(fit: Callable[[torch.Tensor], bool], groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    chosen = [{**group, "params": [one for one in group["params"] if fit(one)]} for group in groups]
    return [group for group in chosen if group["params"]]
