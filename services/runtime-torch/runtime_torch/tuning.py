"""What of a model is trained, under the names by which it is stored."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors import safe_open
from transformers import PreTrainedModel

from .adapter_settings import SCORE_HEAD, AdapterSettings
from .fault import Fault
from .portable_random import lora_initial_values
from .tensor_file import save_tensors, take

_SETTINGS_OF_A_MODEL = ("*.json", "*.jinja")


class Tuning(ABC):
    """`trained` maps the stored name of each trained tensor to its parameter, in float32."""

    artifact_dir: str
    weights_file: str
    model: PreTrainedModel
    trained: dict[str, torch.nn.Parameter]

    @abstractmethod
    def collect(self) -> None:
        """Finds what is trained: once the model is where it stays, as sharding gives it other parameters."""

    @abstractmethod
    def save(self, folder: Path | None) -> None:
        """Writes what is needed to use the result. Who only holds a part of it takes part without a folder."""

    @abstractmethod
    def base_only(self) -> AbstractContextManager[None]:
        """Within it the model answers as the base does."""

    def load_trained(self, folder: Path) -> None:
        """Takes the values that `save` wrote; another shape or a missing name is a ValueError."""
        with safe_open(folder / self.weights_file, framework="pt") as stored:
            names = set(stored.keys())
            for name, parameter in self.trained.items():
                found = stored.get_slice(name) if name in names else None
                if found is None or found.get_shape() != list(parameter.shape):
                    shape = "missing" if found is None else found.get_shape()
                    raise ValueError(f'"{name}" should have shape {list(parameter.shape)}, not {shape}.')
                take(parameter, found)


class LoraTuning(Tuning):
    """A LoRA adapter on a frozen model."""

    artifact_dir = "adapter"
    weights_file = "adapter_model.safetensors"

    def __init__(self, model: PreTrainedModel, settings: AdapterSettings) -> None:
        if settings.gives_points:
            _score_head(model).float()  # it is trained, whatever the frozen weights are kept in
        config = LoraConfig(
            task_type="SEQ_CLS" if settings.gives_points else "CAUSAL_LM",
            r=settings.r,
            lora_alpha=settings.lora_alpha,  # type: ignore[arg-type]  # a fraction scales as well
            lora_dropout=settings.lora_dropout,
            target_modules=_target_modules(model, settings.target_modules),
            use_rslora=settings.use_rslora,
            modules_to_save=settings.modules_to_save,
        )
        self.model = model
        self._gives_points = settings.gives_points
        self._peft = get_peft_model(model, config)
        assert isinstance(self._peft, PeftModel)

    def collect(self) -> None:
        self.trained = {
            name.replace(".modules_to_save", "").replace(".default.weight", ".weight"): parameter
            for name, parameter in self._peft.named_parameters()
            if parameter.requires_grad
        }

    def start(self, seed: int) -> None:
        """
        As PEFT starts, from the generator that all runtimes share: A Kaiming-uniform, B zero. A score head starts as A
        does, also the one that the model keeps without its adapter: it is the base of a reward model.
        """
        for name, parameter in self.trained.items():
            if ".lora_B." in name:
                parameter.data.zero_()
                continue
            values = lora_initial_values(seed, name, parameter.numel(), parameter.shape[1])
            whole = torch.from_numpy(values).view(parameter.shape)
            take(parameter, whole)
            if self._gives_points and ".lora_A." not in name:
                take(_score_head(self.model).original_module.weight, whole)

    def save(self, folder: Path | None) -> None:
        save_tensors(self.trained, folder and folder / self.weights_file)
        if folder is None:
            return
        config = self._peft.peft_config["default"]
        config.base_model_name_or_path = None  # a path of this machine would mean nothing elsewhere
        config.inference_mode = True
        config.save_pretrained(str(folder))

    @contextmanager
    def base_only(self) -> Generator[None]:
        with self._peft.disable_adapter():
            yield
        # PEFT freezes and thaws what lies in the model at the time: of a sharded one's outer weights another tensor.
        for parameter in self.trained.values():
            parameter.requires_grad_(True)


class WeightTuning(Tuning):
    """The model's own weights: all, or those of its topmost layers. It is its own base until the first step."""

    artifact_dir = "model"
    weights_file = "model.safetensors"

    def __init__(self, model: PreTrainedModel, model_dir: str, topmost_layers: int | None = None) -> None:
        self.model = model
        self._model_dir = Path(model_dir)
        if topmost_layers is not None:
            model.requires_grad_(False)
            layers = model.base_model.layers
            assert isinstance(layers, torch.nn.ModuleList)
            for layer in layers[-topmost_layers:]:
                layer.requires_grad_(True)

    def collect(self) -> None:
        # Kept, as after a pass a sharded model's outer weights lie whole in it for a while.
        self._weights = dict(self.model.named_parameters())
        self.trained = {name: weight for name, weight in self._weights.items() if weight.requires_grad}

    def save(self, folder: Path | None) -> None:
        """A whole model, those of its weights included that were not trained."""
        save_tensors(self._weights, folder and folder / self.weights_file)
        if folder is None:
            return
        for pattern in _SETTINGS_OF_A_MODEL:
            for file in self._model_dir.glob(pattern):
                if not file.name.endswith(".index.json"):  # of shards that are one file now
                    shutil.copyfile(file, folder / file.name)

    def base_only(self) -> AbstractContextManager[None]:
        return nullcontext()


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
