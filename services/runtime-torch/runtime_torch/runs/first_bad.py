"""Which tensor of a model went bad first, once its loss is not a finite number."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch
from torch.distributed.tensor import DTensor


class _Found(Exception):
    """Ends the pass: what follows a bad tensor is bad as well."""


def bad_weight(model: torch.nn.Module) -> str | None:
    """The first weight, of what this process holds, with a number that is not finite."""
    found = (name for name, weight in model.named_parameters() if not _finite(weight))
    return next((f"the weight {_stored(name)}" for name in found), None)


def bad_gradient(model: torch.nn.Module) -> str | None:
    """The gradient that went bad first: the way back goes from the last weight to the first."""
    trained = [(name, one.grad) for name, one in model.named_parameters() if one.grad is not None]
    found = (name for name, gradient in reversed(trained) if not _finite(gradient))
    return next((f"the gradient of {_stored(name)}" for name in found), None)


def bad_output(model: torch.nn.Module, again: Callable[[], object]) -> str | None:
    """The first layer whose output is not finite, by going once more through the pass in which it was noticed."""
    found: list[str] = []

    def look(name: str) -> Callable[[torch.nn.Module, Any, Any], None]:
        def hook(_module: torch.nn.Module, _inputs: Any, output: Any) -> None:
            tensor = output[0] if isinstance(output, tuple) else output
            if isinstance(tensor, torch.Tensor) and not _finite(tensor):
                found.append(f"the output of {_stored(name)}")
                raise _Found

        return hook

    with ExitStack() as hooks, torch.no_grad():
        for name, module in model.named_modules():
            if name:
                hooks.callback(module.register_forward_hook(look(name)).remove)
        try:
            again()
        except _Found:
            return found[0]
    return None


def _finite(tensor: torch.Tensor) -> bool:
    local = tensor.to_local() if isinstance(tensor, DTensor) else tensor
    return not local.is_floating_point() or bool(local.isfinite().all())


def _stored(name: str) -> str:
    """As the weight is called in the model's files, or in those of its adapter."""
    return name.replace(".base_layer", "").replace(".default", "")
