"""
A frozen model of 4 or 8 bits for QLoRA, quantised by bitsandbytes layer by layer as it is read. Products are made with
dequantised weights, in training as in scoring: bitsandbytes' own layers take other ways where nothing is trained, and a
score would not be of the model that was trained.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import bitsandbytes.functional as bnb
import torch
from transformers import PreTrainedModel

from ..spec import Bits
from .layered_model import OwnStorage


def quantise(model: PreTrainedModel, bits: Bits, device: torch.device) -> None:
    """
    Of an empty model, the linear layers of the blocks; they lie on the device when they are filled. Embeddings, norms
    and output weights stay in the model's own precision.
    """
    blocks: Any = model.base_model.layers
    kind = FourBitLinear if bits == 4 else EightBitLinear
    for parent in list(blocks.modules()):
        for name, child in list(parent.named_children()):
            if type(child) is torch.nn.Linear:
                setattr(parent, name, kind(child, device))


class QuantisedLinear(torch.nn.Linear, OwnStorage):
    """
    `weight` is made anew each time it is asked for. What it is made of are frozen parameters, as these are what a
    sharded model deals out and fetches.
    """

    def __init__(self, linear: torch.nn.Linear, device: torch.device) -> None:
        torch.nn.Module.__init__(self)  # there is no weight of its own to make
        self.in_features, self.out_features = linear.in_features, linear.out_features
        self.bias = linear.bias
        self._dtype = linear.weight.dtype
        self._device = device
        self._filled = False

    @property
    def weight(self) -> torch.Tensor:  # pyright: ignore[reportIncompatibleVariableOverride]
        if not self._filled:
            return torch.empty(self.out_features, self.in_features, dtype=self._dtype, device="meta")
        return self._dequantised().to(self._dtype)

    def take_weight(self, weight: torch.Tensor) -> None:
        self._quantise(weight.to(self._device, self._dtype))
        self._filled = True

    def _quantise(self, weight: torch.Tensor) -> None:
        raise NotImplementedError

    def _dequantised(self) -> torch.Tensor:
        raise NotImplementedError

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return _Product.apply(input.to(self._dtype), self)  # type: ignore[return-value]


class FourBitLinear(QuantisedLinear):
    """NF4, of which the scales are quantised, too."""

    def _quantise(self, weight: torch.Tensor) -> None:
        how: Any
        packed, how = bnb.quantize_4bit(weight, quant_type="nf4", compress_statistics=True)
        self.packed, self.scales, self.scales_of_scales = map(_frozen, (packed, how.absmax, how.state2.absmax))
        how.absmax = how.state2.absmax = None  # they are where the parameters are
        self._how = how

    def _dequantised(self) -> torch.Tensor:
        how, scales = copy(self._how), copy(self._how.state2)
        scales.absmax = self.scales_of_scales
        how.absmax, how.state2 = self.scales, scales
        return bnb.dequantize_4bit(self.packed, how)


class EightBitLinear(QuantisedLinear):
    """Whole numbers and a scale for each row."""

    def _quantise(self, weight: torch.Tensor) -> None:
        self.packed, self.scales = (_frozen(one) for one in bnb.int8_vectorwise_quant(weight.half())[:2])

    def _dequantised(self) -> torch.Tensor:
        return bnb.int8_vectorwise_dequant(self.packed, self.scales)


def _frozen(tensor: torch.Tensor) -> torch.nn.Parameter:
    return torch.nn.Parameter(tensor, requires_grad=False)


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
