"""Checkpoints: whole folders or nothing, enough to go on exactly."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file

from ..methods.objective import Objective
from ..models.tensor_file import take
from ..processes.group import Group
from ..processes.sharded_checkpoint import load_parts, save_parts
from ..spec import RuntimeSpec
from ..tunings.tuning import Tuning
from .optimiser import Optimiser
from .run_folders import beside, checkpoint_dir, in_place, remove_old_checkpoints, write_folder
from .trainer_state import STATE_FILE, TrainerState

_OPTIMISER_FILE = "optimizer.safetensors"


def write_checkpoint(
    spec: RuntimeSpec,
    tuning: Tuning,
    objective: Objective,
    optimiser: Optimiser,
    state: TrainerState,
    group: Group,
) -> str:
    """
    Writes `checkpoints/step-<step>` and removes the oldest beyond what is kept. Returns the relative folder. Each node
    gets one; what is in it is what only its processes hold.
    """

    def write_common(folder: Path) -> None:
        objective.save(folder)
        text = state.model_dump_json(by_alias=True, exclude_none=True, indent=2)
        (folder / STATE_FILE).write_text(f"{text}\n", encoding="utf-8")

    def write_whole(folder: Path) -> None:
        tuning.save(folder)
        save_file(optimiser.tensors(), folder / _OPTIMISER_FILE, {"step": str(state.step)})
        write_common(folder)

    name = checkpoint_dir(state.step)
    folder = Path(spec.output_dir) / name
    if group.lockstep:
        with _folder_of_several(folder, group) as temporary:
            save_parts(temporary, {**tuning.trained, **optimiser.tensors()}, group)
            if group.leads:
                write_common(temporary)
    elif group.place.leads_node:
        write_folder(folder, write_whole if group.leads else _write_nothing)
    if group.place.leads_node:
        remove_old_checkpoints(spec)
    return name


def _write_nothing(_: Path) -> None:
    """The part of a node whose processes hold nothing of their own: each node has to report one."""


@contextmanager
def _folder_of_several(folder: Path, group: Group) -> Generator[Path]:
    """As `write_folder`, for all processes of a node at once."""
    with in_place(folder) if group.place.leads_node else nullcontext(beside(folder)) as temporary:
        group.any("a checkpoint", False)
        yield temporary
        group.any("a checkpoint", False)


def restore(folder: Path, tuning: Tuning, optimiser: Optimiser, state: TrainerState) -> None:
    """From any number of processes to any other, sharded or not."""
    if state.step > 0:  # before the first step nothing was moved yet
        optimiser.open_states(state.step)
    if not (folder / _OPTIMISER_FILE).exists():
        load_parts(folder, {**tuning.trained, **optimiser.tensors()})
        return
    tuning.load_trained(folder)
    with safe_open(folder / _OPTIMISER_FILE, framework="pt") as stored:
        for name, kept in optimiser.tensors().items():
            take(kept, stored.get_slice(name))
