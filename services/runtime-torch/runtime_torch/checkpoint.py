"""Checkpoints: whole folders or nothing, enough to go on exactly."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from .objective import Objective
from .spec import RuntimeSpec
from .trainer_state import STATE_FILE, TrainerState
from .tuning import Tuning

_OPTIMISER_FILE = "optimizer.safetensors"
_CHECKPOINTS_DIR = "checkpoints"
_KEPT_MIN = 2
_MOMENTS = ("exp_avg", "exp_avg_sq")


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Puts a folder in place as a whole: written beside it, flushed, renamed. An older one is replaced."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f"{folder.name}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        temporary.mkdir()
        write(temporary)
        for path in [*temporary.iterdir(), temporary]:
            _fsync(path)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
        _fsync(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def write_checkpoint(
    spec: RuntimeSpec, tuning: Tuning, objective: Objective, optimiser: torch.optim.AdamW, state: TrainerState
) -> str:
    """Writes `checkpoints/step-<step>` and removes the oldest beyond what is kept. Returns the relative folder."""

    def write(folder: Path) -> None:
        tuning.save(folder)
        objective.save(folder)
        save_file(_moments(tuning, optimiser), folder / _OPTIMISER_FILE, {"step": str(state.step)})
        text = state.model_dump_json(by_alias=True, exclude_none=True, indent=2)
        (folder / STATE_FILE).write_text(f"{text}\n", encoding="utf-8")

    return _keep(spec, state.step, write)


def write_nothing(spec: RuntimeSpec, state: TrainerState) -> str:
    """The part of a node whose processes hold nothing of their own: each node has to report one."""
    return _keep(spec, state.step, lambda _: None)


def _keep(spec: RuntimeSpec, step: int, write: Callable[[Path], None]) -> str:
    parent = Path(spec.output_dir) / _CHECKPOINTS_DIR
    name = checkpoint_dir(step)
    write_folder(Path(spec.output_dir) / name, write)
    kept = sorted(entry for entry in parent.iterdir() if re.fullmatch(r"step-\d+", entry.name))
    for old in kept[: -max(_KEPT_MIN, spec.checkpointing.keep_last)]:
        shutil.rmtree(old)
    return name


def checkpoint_dir(step: int) -> str:
    """Relative to the output folder."""
    return f"{_CHECKPOINTS_DIR}/step-{step:06d}"


def restore(folder: str, tuning: Tuning, optimiser: torch.optim.AdamW, state: TrainerState) -> None:
    tuning.load_trained(Path(folder))
    stored = load_file(Path(folder) / _OPTIMISER_FILE)
    for name, parameter in tuning.trained.items():
        if state.step == 0:
            continue  # nothing was moved yet
        moments: dict[str, Any] = {moment: stored[f"{moment}/{name}"].clone() for moment in _MOMENTS}
        optimiser.state[parameter] = {"step": torch.tensor(float(state.step)), **moments}


def _moments(tuning: Tuning, optimiser: torch.optim.AdamW) -> dict[str, torch.Tensor]:
    return {
        f"{moment}/{name}": optimiser.state[parameter][moment]
        for name, parameter in tuning.trained.items()
        if parameter in optimiser.state
        for moment in _MOMENTS
    }


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
