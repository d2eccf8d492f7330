"""
`rehearse`: the hardest part of a training run in short, to see beforehand what it takes and whether it would fail. Two
steps with the longest rows, everything saved, a second run that goes on from there, the longest held-out row scored.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..devices.device_memory import device_use
from ..fault import Fault
from ..processes.group import Group
from ..spec import RuntimeSpec
from .open_run import Inputs
from .run_folders import checkpoint_dir
from .train import TrainRun
from .trainer_state import TrainerState, read_state

_STEPS = 2
_MIB = 1024 * 1024

OpenTraining = Callable[[RuntimeSpec, Inputs], TrainRun]


def rehearse(spec: RuntimeSpec, inputs: Inputs, open_training: OpenTraining, group: Group) -> dict[str, Any]:
    """Raises the fault that the run itself would have ended with."""
    if spec.parallelism.nodes > 1:
        raise Fault("config.bad", "parallelism.nodes: a rehearsal goes on from its checkpoint, so it takes one node.")
    spec, inputs = _shortened(_from_the_start(spec), inputs)
    first = open_training(spec, inputs).run()
    # What comes after lies in memory beside what the first run has left, so it does not count.
    memory = _most_of_any({"peakMemoryMib": first["peakMemoryMib"], **device_use(group.device)}, group)
    peak_mib, allowed_mib = memory["peakMemoryMib"], spec.limits.memory_mib
    if peak_mib > allowed_mib:
        measured = f"{_STEPS} steps with the longest rows took {peak_mib:.0f} MiB"
        raise Fault("device.out-of-memory", f"{measured}; the run may take {allowed_mib} MiB.")
    folder = Path(spec.output_dir) / checkpoint_dir(_STEPS)
    resumed = spec.model_copy(update={"resume_from": str(folder)})
    second = open_training(resumed, dataclasses.replace(inputs, state=read_state(str(folder)))).run()
    if second.get("tuned") != first.get("tuned"):
        raise Fault(
            "runtime.crashed", f"The checkpoint scores {second.get('tuned')}, what it was made of {first['tuned']}."
        )
    return {
        "mode": "rehearse",
        "steps": _STEPS,
        "tokensPerStep": first["tokens"] / _STEPS,
        "stepMs": first["tokens"] / first["tokensPerSecond"] * 1000 / _STEPS,
        **memory,
        "memoryMode": first["memoryMode"],
        "checkpointMib": sum(file.stat().st_size for file in folder.iterdir()) / _MIB,
    }


def _most_of_any(memory: dict[str, float], group: Group) -> dict[str, float]:
    """Each process has memory of its own, and one takes more than another: that of the longest rows."""
    found = group.gather("what the steps took", memory)
    return {name: max(one[name] for one in found) for name in memory}


def _from_the_start(spec: RuntimeSpec) -> RuntimeSpec:
    """Another attempt makes its steps again: what an earlier one has saved is not what is measured."""
    return spec.model_copy(update={"resume_from": None})


def _shortened(spec: RuntimeSpec, inputs: Inputs) -> tuple[RuntimeSpec, Inputs]:
    """One global batch of the longest rows (or pairs) that is taken again in each epoch, and one held-out row."""
    assert inputs.train is not None, "a rehearsal without data is refused when its inputs are opened"
    changes = {"epochs": float(_STEPS), "max_steps": _STEPS, "evaluation_steps": None}
    hyperparameters = spec.hyperparameters.model_copy(update=changes)
    train = inputs.train.longest(hyperparameters.global_batch)
    held_out = inputs.held_out.longest(1) if inputs.held_out else None
    return (
        spec.model_copy(update={"hyperparameters": hyperparameters}),
        dataclasses.replace(inputs, train=train, held_out=held_out, state=TrainerState(seed=spec.seed)),
    )
