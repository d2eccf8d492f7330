"""Checkpoints: whole folders or nothing, enough to go on exactly."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ..methods.objective import Objective
from ..models.tensor_file import save_tensors, take
from ..processes.group import Group
from ..processes.sharded_checkpoint import load_parts, save_parts
from ..spec import RuntimeSpec
from ..tunings.tuning import Tuning
from .optimiser import Optimiser
from .run_folders import begin_folder, beside, checkpoint_dir, put_in_place, remove_old_checkpoints
from .trainer_state import STATE_FILE, TrainerState

_OPTIMISER_FILE = "optimizer.safetensors"
_WHAT = "a checkpoint"

Copied = Callable[[Mapping[str, torch.Tensor]], dict[str, torch.Tensor]]
"""Takes tensors as they are now, or leaves them where nothing moves them before they are written."""
Write = Callable[[Path], None]


def begin_checkpoint(
    spec: RuntimeSpec,
    tuning: Tuning,
    objective: Objective,
    optimiser: Optimiser,
    state: TrainerState,
    group: Group,
    copied: Copied,
) -> Callable[[], str]:
    """
    Begins `checkpoints/step-<step>` with all that is small. What is returned writes the tensors as `copied` took them
    now, puts the folder in place, removes the oldest beyond what is kept, and says the relative folder.

    Where all processes hold the same, the first writes it, and each other node's first has an empty folder, as each
    node has to report one. Of a sharded model each writes what it holds.
    """
    name = checkpoint_dir(state.step)
    folder = Path(spec.output_dir) / name
    temporary = begin_folder(folder) if group.place.leads_node else beside(folder)
    if group.leads:
        objective.save(temporary)
        text = state.model_dump_json(by_alias=True, exclude_none=True, indent=2)
        (temporary / STATE_FILE).write_text(f"{text}\n", encoding="utf-8")
    write = (
        _parts_writer(tuning, optimiser, group, copied)
        if group.sharded
        else _whole_writer(tuning, optimiser, state.step, copied)
        if group.leads
        else _write_nothing
    )

    def finish() -> str:
        if not group.place.leads_node:
            write(temporary)
            return name
        with put_in_place(temporary, folder):
            write(temporary)
        remove_old_checkpoints(spec)
        return name

    return finish


def _whole_writer(tuning: Tuning, optimiser: Optimiser, step: int, copied: Copied) -> Write:
    stored, moments = tuning.stored(), copied(optimiser.tensors())
    moving = {name: tensor for name, tensor in stored.items() if tensor.requires_grad}
    tensors = {**stored, **copied(moving)}  # what is frozen stays as it is

    def write(folder: Path) -> None:
        save_tensors(tensors, folder / tuning.weights_file)
        tuning.save_settings(folder)
        save_file(moments, folder / _OPTIMISER_FILE, {"step": str(step)})

    return write


def _parts_writer(tuning: Tuning, optimiser: Optimiser, group: Group, copied: Copied) -> Write:
    parts = copied({**tuning.parts(), **optimiser.tensors()})

    def write(folder: Path) -> None:
        group.any(_WHAT, False)  # the folder is there
        save_parts(folder, parts, group)
        group.any(_WHAT, False)  # nobody writes any more

    return write


def _write_nothing(_: Path) -> None: ...


def restore(folder: Path, tuning: Tuning, optimiser: Optimiser, state: TrainerState) -> None:
    """From any number of processes to any other, sharded or not."""
    if state.step > 0:  # before the first step nothing was moved yet
        optimiser.open_states(state.step)
    if not (folder / _OPTIMISER_FILE).exists():
        load_parts(folder, {**tuning.parts(), **optimiser.tensors()})
        return
    tuning.load_trained(folder)
    with safe_open(folder / _OPTIMISER_FILE, framework="pt") as stored:
        for name, kept in optimiser.tensors().items():
            take(kept, stored.get_slice(name))
