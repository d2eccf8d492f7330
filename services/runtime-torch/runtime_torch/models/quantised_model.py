"""
A frozen model of 4 or 8 bits for QLoRA, quantised by bitsandbytes layer by layer as it is read. Products are made with
dequantised weights, in training as in scoring: bitsandbytes' own layers take other ways where nothing is trained, and a
score would not be of the model that was trained.
"""

from __future__ import annotations

from typing import Any

import bitsandbytes.functional as bnb
import torch
from transformers import PreTrainedModel

from ..spec import Bits
from .layered_model import filled_layers


def quantised(model: PreTrainedModel, model_dir: str, bits: Bits, device: torch.device) -> PreTrainedModel:
    """
    Fills an empty model. Linear layers of the blocks lie on the device then; embeddings, norms and output weights stay
    in the model's own precision.
    """
    for layer in filled_layers(model, model_dir):
        for parent in list(layer.modules()):
            for name, child in list(parent.named_children()):
                if type(child) is torch.nn.Linear:
                    setattr(parent, name, QuantisedLinear(child, bits, device))
    return model


class QuantisedLinear(torch.nn.Linear):
    """`weight` is made anew each time it is asked for."""

    def __init__(self, linear: torch.nn.Linear, bits: Bits, device: torch.device) -> None:
        torch.nn.Module.__init__(self)  # there is no weight of its own to make
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        self._dtype = linear.weight.dtype
        weight = linear.weight.data.to(device)
        self._stored: Any
        if bits == 4:
            self._stored = bnb.quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
            self._dequantised = bnb.dequantize_4bit
        else:
            self._stored = bnb.int8_vectorwise_quant(weight.half())[:2]
            self._dequantised = bnb.int8_vectorwise_dequant

    @property
    def weight(self) -> torch.Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        return self._dequantised(*self._stored).to(self._dtype)

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return _Product.apply(input.to(self._dtype), self)  # type: ignore[return-value]


class _Product(torch.autograd.Function):
    """Keeps no dequantised weight for the way back. The bias is frozen, as the weight."""

    @staticmethod
    def forward(ctx: Any, input: torch.Tensor, layer: QuantisedLinear) -> torch.Tensor:
        ctx.layer = layer
        return torch.nn.functional.linear(input, layer.weight, layer.bias)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: torch.Tensor) -> tuple[torch.Tensor, None]:
        weight = ctx.layer.weight
        return grad_outputs[0].to(weight.dtype) @ weight, None
