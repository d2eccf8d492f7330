"""A LoRA adapter on a frozen model, by PEFT."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Mapping
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.tuners.lora import LoraLayer
from transformers import PreTrainedModel

from ..data.portable_random import lora_initial_values
from ..fault import Fault
from ..models.tensor_file import take
from ..processes.group import Group
from .adapter_settings import SCORE_HEAD, AdapterSettings
from .low_rank import add_in_one_product
from .tuning import Tuning
from .whole_module_names import EMBEDDINGS, HEAD, STORED_NAMES, WHOLE_MODULES, stored_names
from .whole_modules import check_stored_names, take_single_precision

_REFERENCE = "reference"


class LoraTuning(Tuning):
    """LoRA, rsLoRA and DoRA, and embeddings and head that are trained whole beside them."""

    artifact_dir = "adapter"
    weights_file = "adapter_model.safetensors"

    def __init__(self, model: PreTrainedModel, settings: AdapterSettings, *, keeps_start: bool = False) -> None:
        """`keeps_start`: an adapter that it goes on from stays beside what becomes of it."""
        if settings.gives_points:
            _score_head(model).float()  # it is trained, whatever the frozen weights are kept in
        config = LoraConfig(
            task_type="SEQ_CLS" if settings.gives_points else "CAUSAL_LM",
            r=settings.r,
            lora_alpha=settings.lora_alpha,  # type: ignore[arg-type]  # a fraction scales as well
            lora_dropout=settings.lora_dropout,
            target_modules=_target_modules(model, settings.target_modules),
            use_rslora=settings.use_rslora,
            use_dora=settings.use_dora,
            modules_to_save=[SCORE_HEAD] if settings.gives_points else settings.whole_modules or None,
            ensure_weight_tying=bool(settings.ensure_weight_tying),
        )
        self.model = model
        self._whole_modules: list[str] = settings.whole_modules
        tied = bool(model.config.tie_word_embeddings and settings.ensure_weight_tying)
        if tied and self._whole_modules:  # PEFT trains one matrix for both, whichever is named
            self._whole_modules = list(WHOLE_MODULES)
            config.modules_to_save = list(WHOLE_MODULES)
        self._stores_head_of = STORED_NAMES[EMBEDDINGS] if tied and self._whole_modules else None
        self.config = config
        self._gives_points = settings.gives_points
        peft = get_peft_model(model, config)
        assert isinstance(peft, PeftModel)
        self._keeps_start = keeps_start
        if keeps_start:
            frozen = copy(config)
            frozen.lora_dropout = 0.0  # what it is asked for is what the model was
            peft.add_adapter(_REFERENCE, frozen)
            peft.set_adapter("default")  # which freezes the other
        if self._whole_modules:
            take_single_precision(peft, model.dtype)
        if model.dtype == torch.float32:
            add_in_one_product(peft)
        self.peft = peft

    def collect(self) -> None:
        self.trained = {
            stored_name(name): parameter for name, parameter in self.peft.named_parameters() if parameter.requires_grad
        }

    def start_from_weights(self, modules: Iterable[torch.nn.Module], seed: int, group: Group) -> None:  # noqa: ARG002
        """DoRA's magnitudes are those of the weights; where these came before the adapter, PEFT has seen to it."""
        for module in modules:
            if isinstance(module, LoraLayer):
                for magnitude in module.lora_magnitude_vector.parameters():
                    magnitude.data.copy_(torch.linalg.norm(module.get_base_layer().weight.data, dim=1))

    def start(self, seed: int, group: Group) -> None:  # noqa: ARG002
        """
        As PEFT starts, from the generator that all runtimes share: A Kaiming-uniform, B zero. DoRA's magnitudes are
        those of the weights since the adapter lies on them, and so are embeddings and head. A score head starts as A
        does, also the one that the model keeps without its adapter: it is the base of a reward model.
        """
        for name, parameter in self.trained.items():
            if ".lora_B." in name:
                parameter.data.zero_()
            if ".lora_B." in name or ".lora_magnitude_vector" in name or name in STORED_NAMES.values():
                continue
            values = lora_initial_values(seed, name, parameter.numel(), parameter.shape[1])
            whole = torch.from_numpy(values).view(parameter.shape)
            take(parameter, whole)
            if self._gives_points and ".lora_A." not in name:
                take(_score_head(self.model).original_module.weight, whole)

    def load_start(self, folder: Path) -> None:
        """What it goes on from."""
        check_stored_names(folder / self.weights_file, stored_names(self._whole_modules))
        self.load_trained(folder)
        if self._keeps_start:
            kept = ((name, one) for name, one in self.peft.named_parameters() if f".{_REFERENCE}." in name)
            self.load(folder, {stored_name(name.replace(_REFERENCE, "default")): one for name, one in kept})

    @contextmanager
    def reference(self) -> Generator[None]:
        if not self._keeps_start:
            with self.base_only():
                yield
            return
        self.peft.set_adapter(_REFERENCE, inference_mode=True)
        try:
            yield
        finally:
            self.peft.set_adapter("default")
            self._thaw()

    def stored(self) -> Mapping[str, torch.Tensor]:
        """A matrix that is embeddings and head is stored under either name, as PEFT does."""
        if self._stores_head_of is None:
            return self.trained
        return {**self.trained, STORED_NAMES[HEAD]: self.trained[self._stores_head_of]}

    def save_settings(self, folder: Path) -> None:
        named = copy(self.config)
        if self._whole_modules:
            named.modules_to_save = self._whole_modules  # without the paths that PEFT adds
        save_config(named, folder)

    @contextmanager
    def base_only(self) -> Generator[None]:
        with self.peft.disable_adapter():
            yield
        self._thaw()

    def _thaw(self) -> None:
        """PEFT freezes and thaws what lies in the model at the time: of a sharded one's outer weights others."""
        for parameter in self.trained.values():
            parameter.requires_grad_(True)


def stored_name(name: str) -> str:
    """As PEFT stores it; a magnitude is stored as if it were no module's weight."""
    plain = name.replace(".lora_magnitude_vector.default.weight", ".lora_magnitude_vector")
    return plain.replace(".modules_to_save", "").replace(".default.", ".")


def save_config(config: LoraConfig, folder: Path) -> None:
    stored = copy(config)
    stored.base_model_name_or_path = None  # a path of this machine would mean nothing elsewhere
    stored.inference_mode = True
    stored.save_pretrained(str(folder))


def _score_head(model: PreTrainedModel) -> Any:
    return getattr(model, SCORE_HEAD)


def _target_modules(model: PreTrainedModel, wanted: str | list[str]) -> list[str]:
    """Last names of the linear layers to adapt; `all-linear` leaves out the output layer, as PEFT does."""
    head = model.get_output_embeddings() or getattr(model, SCORE_HEAD)
    linear = {
        name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear) and module is not head
    }
    if isinstance(wanted, str):
        return sorted({name.rsplit(".", 1)[-1] for name in linear})
    chosen: set[str] = set()
    for target in wanted:
        matching = {name for name in linear if name.endswith(f".{target}")}
        if not matching:
            there = ", ".join(sorted({name.rsplit(".", 1)[-1] for name in linear}))
            raise Fault("config.bad", f'No linear layer is called "{target}"; there are {there}.')
        chosen |= {name.rsplit(".", 1)[-1] for name in matching}
    return sorted(chosen)
