"""Loads the model of a run and puts on it what is trained."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import PreTrainedModel

from .adapter_settings import AdapterSettings
from .fault import blaming
from .model import load_model
from .open_run import Inputs
from .spec import Freeze, RuntimeSpec
from .tuning import LoraTuning, Tuning, WeightTuning


def open_base(spec: RuntimeSpec, *, trained: bool = False) -> PreTrainedModel:
    """Frozen weights take half the room in bfloat16; those that are trained stay in float32."""
    torch.set_num_threads(spec.limits.cpu)
    small = spec.precision == "bfloat16" and not trained
    return load_model(spec.model_dir, torch.bfloat16 if small else torch.float32)


def open_adapted(spec: RuntimeSpec, settings: AdapterSettings) -> LoraTuning:
    """The adapter of the spec, or a fresh one."""
    tuning = LoraTuning(open_base(spec), settings)
    if spec.adapter_dir:
        with blaming("model.unreadable"):
            tuning.load_trained(Path(spec.adapter_dir))
    else:
        tuning.start(spec.seed)
    return tuning


def open_tuning(spec: RuntimeSpec, inputs: Inputs) -> Tuning:
    if inputs.adapter:
        return open_adapted(spec, inputs.adapter)
    layers = spec.tuning.trainable_layers if isinstance(spec.tuning, Freeze) else None
    return WeightTuning(open_base(spec, trained=True), spec.model_dir, layers)
