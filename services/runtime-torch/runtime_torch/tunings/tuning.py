"""What of a model is trained, under the names by which it is stored."""

from __future__ import annotations

import shutil
from abc import ABC, abstractmethod
from collections.abc import Generator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import torch
from safetensors import safe_open
from transformers import PreTrainedModel

from ..models.tensor_file import save_tensors, take
from .whole_module_names import MERGE, STORED_NAMES

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
    def stored(self) -> Mapping[str, torch.Tensor]:
        """What the weights file has, by name."""

    def parts(self) -> Mapping[str, torch.Tensor]:
        """What a checkpoint of a model that is dealt out has of it, by names of its own."""
        return self.trained

    @abstractmethod
    def save_settings(self, folder: Path) -> None:
        """What is needed beside the weights file to use the result."""

    def save(self, folder: Path | None) -> None:
        """Writes what is needed to use the result. Who only holds a part of it takes part without a folder."""
        save_tensors(self.stored(), folder and folder / self.weights_file)
        if folder is not None:
            self.save_settings(folder)

    @abstractmethod
    def base_only(self) -> AbstractContextManager[None]:
        """Within it the model answers as the base does."""

    def reference(self) -> AbstractContextManager[None]:
        """Within it the model answers as it did before the first step."""
        return self.base_only()

    def load_trained(self, folder: Path) -> None:
        """Takes the values that `save` wrote; another shape or a missing name is a ValueError."""
        self.load(folder, self.trained)

    def load(self, folder: Path, parameters: Mapping[str, torch.nn.Parameter]) -> None:
        with safe_open(folder / self.weights_file, framework="pt") as stored:
            names = set(stored.keys())
            for name, parameter in parameters.items():
                found = stored.get_slice(name) if name in names else None
                if found is None or found.get_shape() != list(parameter.shape):
                    shape = "missing" if found is None else found.get_shape()
                    resized = f"; {MERGE}" if name in STORED_NAMES.values() else ""
                    raise ValueError(f'"{name}" should have shape {list(parameter.shape)}, not {shape}{resized}.')
                take(parameter, found)


class WeightTuning(Tuning):
    """
    The model's own weights: all, or those of its topmost layers. It is its own base until the first step, and after it
    where its start is kept.
    """

    artifact_dir = "model"
    weights_file = "model.safetensors"

    def __init__(
        self, model: PreTrainedModel, model_dir: str, topmost_layers: int | None = None, *, keeps_start: bool = False
    ) -> None:
        self.model = model
        self._model_dir = Path(model_dir)
        self._keeps_start = keeps_start
        self._start: dict[str, torch.Tensor] = {}
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
        if self._keeps_start:
            self._start = {name: weight.detach().clone() for name, weight in self.trained.items()}

    def stored(self) -> Mapping[str, torch.Tensor]:
        """A whole model, those of its weights included that are not trained."""
        return self._weights

    def save_settings(self, folder: Path) -> None:
        for pattern in _SETTINGS_OF_A_MODEL:
            for file in self._model_dir.glob(pattern):
                if not file.name.endswith(".index.json"):  # of shards that are one file now
                    shutil.copyfile(file, folder / file.name)

    @contextmanager
    def base_only(self) -> Generator[None]:
        self._change_places()
        try:
            yield
        finally:
            self._change_places()

    @torch.no_grad()
    def _change_places(self) -> None:
        """What is trained, and its start where that is kept."""
        for name, other in self._start.items():
            weight = self.trained[name]
            now = weight.detach().clone()
            weight.copy_(other)
            other.copy_(now)
