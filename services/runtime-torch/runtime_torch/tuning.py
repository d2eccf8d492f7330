"""What of a model is trained, under the names by which it is stored."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import PreTrainedModel

from .adapter_settings import AdapterSettings
from .fault import Fault
from .portable_random import lora_initial_values

_SETTINGS_OF_A_MODEL = ("*.json", "*.jinja")


class Tuning(ABC):
    """`trained` maps the stored name of each trained tensor to its parameter, in float32."""

    artifact_dir: str
    weights_file: str
    model: PreTrainedModel
    trained: dict[str, torch.nn.Parameter]

    @abstractmethod
    def save(self, folder: Path) -> None:
        """Writes what is needed to use the result."""

    @abstractmethod
    def base_only(self) -> AbstractContextManager[None]:
        """Within it the model answers as the base does."""

    def load_trained(self, folder: Path) -> None:
        """Takes the values that `save` wrote; another shape or a missing name is a ValueError."""
        stored = load_file(folder / self.weights_file)
        for name, parameter in self.trained.items():
            found = stored.get(name)
            if found is None or found.shape != parameter.shape:
                shape = "missing" if found is None else list(found.shape)
                raise ValueError(f'"{name}" should have shape {list(parameter.shape)}, not {shape}.')
            parameter.data.copy_(found)


class LoraTuning(Tuning):
    """A LoRA adapter on a frozen model."""

    artifact_dir = "adapter"
    weights_file = "adapter_model.safetensors"

    def __init__(self, model: PreTrainedModel, settings: AdapterSettings) -> None:
        config = LoraConfig(
            task_type="CAUSAL_LM",
            r=settings.r,
            lora_alpha=settings.lora_alpha,  # type: ignore[arg-type]  # a fraction scales as well
            lora_dropout=settings.lora_dropout,
            target_modules=_target_modules(model, settings.target_modules),
            use_rslora=settings.use_rslora,
        )
        self.model = model
        self._peft = get_peft_model(model, config)
        assert isinstance(self._peft, PeftModel)
        self.trained = {
            name.replace(".default.weight", ".weight"): parameter
            for name, parameter in self._peft.named_parameters()
            if parameter.requires_grad
        }

    def start(self, seed: int) -> None:
        """As PEFT starts, from the generator that all runtimes share: A Kaiming-uniform, B zero."""
        for name, parameter in self.trained.items():
            if ".lora_A." in name:
                values = lora_initial_values(seed, name, parameter.numel(), parameter.shape[1])
                parameter.data.copy_(torch.from_numpy(values).view_as(parameter))
            else:
                parameter.data.zero_()

    def save(self, folder: Path) -> None:
        save_tensors(self.trained, folder / self.weights_file)
        config = self._peft.peft_config["default"]
        config.base_model_name_or_path = None  # a path of this machine would mean nothing elsewhere
        config.inference_mode = True
        config.save_pretrained(str(folder))

    def base_only(self) -> AbstractContextManager[None]:
        return self._peft.disable_adapter()


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
        self.trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}

    def save(self, folder: Path) -> None:
        """A whole model, those of its weights included that were not trained."""
        save_tensors(dict(self.model.named_parameters()), folder / self.weights_file)
        for pattern in _SETTINGS_OF_A_MODEL:
            for file in self._model_dir.glob(pattern):
                if not file.name.endswith(".index.json"):  # of shards that are one file now
                    shutil.copyfile(file, folder / file.name)

    def base_only(self) -> AbstractContextManager[None]:
        return nullcontext()


def save_tensors(tensors: dict[str, torch.nn.Parameter], path: Path) -> None:
    values = {name: parameter.detach().contiguous() for name, parameter in tensors.items()}
    save_file(values, path, {"format": "pt"})


def _target_modules(model: PreTrainedModel, wanted: str | list[str]) -> list[str]:
    """Last names of the linear layers to adapt; `all-linear` leaves out the output layer, as PEFT does."""
    head = model.get_output_embeddings()
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
