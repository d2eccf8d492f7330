"""What LoRA adds to a layer's output, added in one product where PEFT makes three tensors of the output's size."""

from __future__ import annotations

from typing import Any

import torch
from peft.tuners.lora.layer import Linear, LoraVariant
from torch import Tensor


class _AddLowRank(torch.autograd.Function):
    """result [.., out] + scaling * x [.., in] A^T [in, r] B^T [r, out], in the place of `result`."""

    @staticmethod
    def forward(ctx: Any, result: Tensor, x: Tensor, a: Tensor, b: Tensor, scaling: float) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])
        low = (rows @ a.t()).mul_(scaling)
        result.view(-1, result.shape[-1]).addmm_(low, b.t())
        ctx.mark_dirty(result)
        ctx.save_for_backward(rows, low, a, b)
        ctx.scaling, ctx.shape = scaling, x.shape
        return result

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor | None, ...]:
        rows, low, a, b = ctx.saved_tensors
        grad = grad_outputs[0]
        grad_rows = grad.reshape(-1, grad.shape[-1])
        grad_low = (grad_rows @ b).mul_(ctx.scaling)
        grad_x = (grad_low @ a).view(ctx.shape) if ctx.needs_input_grad[1] else None
        return grad, grad_x, grad_low.t() @ rows, grad_rows.t() @ low, None


class _InOneProduct(LoraVariant):
    @staticmethod
    def forward(module: Any, active_adapter: str, x: Tensor, result: Tensor, **_: Any) -> Tensor:
        a, b = module.lora_A[active_adapter].weight, module.lora_B[active_adapter].weight
        dropped, scaling = module.lora_dropout[active_adapter](x), module.scaling[active_adapter]
        return _AddLowRank.apply(result, dropped, a, b, scaling)


def add_in_one_product(model: torch.nn.Module) -> None:
    """For plain LoRA on whole matrices in float32; in halves autocast rounds what PEFT's own way multiplies."""
    for module in model.modules():
        if type(module) is Linear and type(module.get_base_layer()) is torch.nn.Linear:
            for adapter in module.lora_A:
                module.lora_variant.setdefault(adapter, _InOneProduct())
