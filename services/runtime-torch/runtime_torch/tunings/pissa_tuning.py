"""LoRA that begins as the principal parts of the weights (PiSSA)."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import torch
from peft.tuners.lora import LoraLayer
from safetensors import safe_open
from transformers import PreTrainedModel

from ..data.portable_random import RandomStream
from ..models.tensor_file import take
from ..processes.group import Group
from ..processes.parts import whole_of
from .adapter_settings import AdapterSettings
from .adapter_tuning import LoraTuning, save_config, stored_name

_START = "start"
# Rounds of the subspace iteration that finds the principal parts: what PEFT's users take for large models.
_ROUNDS = 16


class PissaTuning(LoraTuning):
    """
    PiSSA takes from the weights what its adapter begins with. Here that is done by a second adapter, frozen, with the
    opposite of the first one's start. The weights stay what they are, in few bits, too; base and reference are exact;
    and both adapters together are a plain one of twice the rank, for the weights as everybody has them.
    """

    def __init__(self, model: PreTrainedModel, settings: AdapterSettings) -> None:
        super().__init__(model, settings)
        frozen = copy(self.config)
        frozen.lora_dropout = 0.0  # as the weights that it stands for
        self.peft.add_adapter(_START, frozen)
        self._activate()

    def collect(self) -> None:
        super().collect()
        self._start = {name: one for name, one in self.peft.named_parameters() if f".{_START}." in name}

    def start(self, seed: int, group: Group) -> None:
        if not group.sharded:  # else it has begun with each layer
            self.start_from_weights(self.peft.modules(), seed, group)

    def start_from_weights(self, modules: Iterable[torch.nn.Module], seed: int, group: Group) -> None:
        """Each matrix is looked at by one process, and the others get the same bits from it."""
        inside = set(modules)
        for number, (name, layer) in enumerate(self._layers()):
            if layer not in inside:
                continue
            a, b = layer.lora_A["default"].weight, layer.lora_B["default"].weight
            found = torch.zeros(a.numel() + b.numel(), device=group.torch_device)
            if number % group.size == group.rank:
                word, _ = RandomStream(seed, f"pissa/{name}").pairs(0, 1)
                torch.manual_seed(int(word[0]))
                weight = layer.get_base_layer().weight.detach().to(group.torch_device, torch.float32)
                parts = principal_parts(weight, a.shape[0], layer.scaling["default"])
                found = torch.cat([part.flatten() for part in parts])
            first, second = group.add_up_tensor("the principal parts", found).split([a.numel(), b.numel()])
            self._put(layer, first.view_as(a), second.view_as(b), first.view_as(a), -second.view_as(b))

    def stored(self) -> Mapping[str, torch.Tensor]:
        """Both adapters as one."""
        tensors: dict[str, torch.Tensor] = {}
        for name, parameter in self.peft.named_parameters():
            if ".default." in name and ".lora_" in name:
                other = self.peft.get_parameter(name.replace(".default.", f".{_START}."))
                both = [whole_of(parameter), whole_of(other)]
                tensors[stored_name(name)] = torch.cat(both, dim=0 if ".lora_A." in name else 1)
        return tensors

    def parts(self) -> Mapping[str, torch.Tensor]:
        return {**self.trained, **self._start}

    def save_settings(self, folder: Path) -> None:
        both = copy(self.config)
        both.r = 2 * self.config.r
        # What it is divided by grows with the rank.
        growth = 2**0.5 if self.config.use_rslora else 2
        both.lora_alpha = growth * self.config.lora_alpha  # type: ignore[assignment]  # a fraction scales as well
        save_config(both, folder)

    def load_trained(self, folder: Path) -> None:
        r = self.config.r
        with safe_open(folder / self.weights_file, framework="pt") as stored:
            for name, layer in self._layers():
                a, b = (stored.get_tensor(f"{name}.lora_{side}.weight") for side in "AB")
                if a.shape[0] != 2 * r or b.shape[1] != 2 * r:
                    raise ValueError(f'"{name}" should have rank {2 * r}, not {a.shape[0]}.')
                self._put(layer, a[:r], b[:, :r], a[r:], b[:, r:])

    @contextmanager
    def base_only(self) -> Generator[None]:
        with super().base_only():
            yield
        self._activate()  # PEFT has made both trainable

    def _activate(self) -> None:
        layers: Any = self.peft.base_model
        layers.set_adapter(["default", _START])
        for name, parameter in self.peft.named_parameters():
            if f".{_START}." in name:
                parameter.requires_grad_(False)

    def _layers(self) -> Iterator[tuple[str, Any]]:
        for name, module in self.peft.named_modules():
            if isinstance(module, LoraLayer):
                yield name, module

    def _put(self, layer: Any, *values: torch.Tensor) -> None:
        """A and B that are trained, and those of the start."""
        places = [side[adapter] for adapter in ("default", _START) for side in (layer.lora_A, layer.lora_B)]
        for place, value in zip(places, values, strict=True):
            take(place.weight, value)


def principal_parts(weight: torch.Tensor, rank: int, scale: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A and B so that `scale` B A is the best approximation of the weight by that rank, halved evenly between them."""
    # Twice as many are looked for: the last of those wanted are then as exact as the first.
    u, s, v = torch.svd_lowrank(weight, q=min(2 * rank, *weight.shape), niter=_ROUNDS)
    root = (s[:rank] / scale).sqrt()
    return root[:, None] * v[:, :rank].T, u[:, :rank] * root
