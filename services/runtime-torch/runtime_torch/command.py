"""The commands of the runtime, and how they end (docs/reference/runtime-contract.md)."""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import NAME, VERSION
from .devices.device import Device, list_gpus, open_device, processor_precisions
from .devices.memory_plan import Room
from .devices.processor import computes_bfloat16
from .fault import EXIT_BAD_CONFIGURATION, EXIT_DONE, EXIT_SAVED_AND_LEFT, Fault, fault_of
from .models.model_config import ARCHITECTURES
from .processes.place import Place, place_of_rank, read_launch, read_patience, share_of_node
from .run_features import FEATURES
from .runs.events_file import EventsFile
from .runs.open_run import KINDS_OF_METHOD, Inputs, open_inputs
from .runs.run_control import StopRequested
from .spec import RuntimeSpec, read_spec

if TYPE_CHECKING:
    from .runs.train import TrainRun

_USAGE = "usage: runtime-torch capabilities | (train | rehearse | score) <spec.json>"
_SLOW_PRECISION = "This processor has no instructions for bfloat16: it computes far slower than in float32."
_UNUSED_DEVICES = "The run was given GPUs, and LUTHIER_TORCH_DEVICE has it train on the processor."


def capabilities() -> dict[str, object]:
    missing = [name for name in ("torch", "transformers", "peft") if importlib.util.find_spec(name) is None]
    engine: dict[str, object] = {"name": "torch", "usable": not missing}
    if missing:
        engine["reason"] = f"{', '.join(missing)} cannot be imported"
    devices = _devices()
    return {
        "runtime": NAME,
        "version": VERSION,
        "modes": ["train", "rehearse", "score"],
        "architectures": list(ARCHITECTURES),
        "methods": list(KINDS_OF_METHOD),
        "tunings": ["lora", "qlora", "full", "freeze"],
        "features": list(FEATURES),
        # A run whose device cannot compute in one of them is refused when it starts.
        "precisions": list(dict.fromkeys(name for device in devices for name in device["precisions"])),
        # Without GPUs, too, by gloo.
        "cpuNodes": True,
        "engines": [engine],
        "devices": devices,
    }


def _devices() -> list[dict[str, Any]]:
    gpus = [
        {"type": "cuda", "name": gpu.name, "memoryMib": gpu.memory_mib, "precisions": list(gpu.precisions)}
        for gpu in list_gpus()
    ]
    return [{"type": "cpu", "name": platform.machine(), "precisions": list(processor_precisions())}, *gpus]


def run_command(arguments: list[str]) -> int:
    """Returns the exit status."""
    match arguments:
        case ["capabilities"]:
            print(json.dumps(capabilities(), indent=2))
            return EXIT_DONE
        case ["train" | "rehearse" | "score" as mode, path]:
            return _Run().execute(mode, path)
        case _:
            print(_USAGE, file=sys.stderr)
            return EXIT_BAD_CONFIGURATION


class _Run:
    """Remembers how far a run came, so that a fault can say it."""

    def __init__(self) -> None:
        self._place = Place()
        self._events: EventsFile | None = None
        self._train: TrainRun | None = None

    def execute(self, mode: str, path: str) -> int:
        try:
            spec = read_spec(path)
            if spec.mode != mode:
                raise Fault("config.bad", f'The spec is for mode "{spec.mode}", the command is "{mode}".')
            Path(spec.output_dir).mkdir(parents=True, exist_ok=True)
            launch = read_launch(os.environ, spec)
            rank = place_of_rank(os.environ)
            self._place = rank or launch.first
            self._events = EventsFile(spec.output_dir, self._place.rank)
            if rank is None and launch.size > 1:
                from .processes.launcher import launch_ranks

                return launch_ranks(launch, read_patience(os.environ), spec, path)
            self._events.write("result", result=self._result_of(spec, self._events))
            return EXIT_DONE
        except StopRequested:
            return EXIT_SAVED_AND_LEFT
        except Exception as thrown:
            return self._report(thrown)
        finally:
            if self._events:
                self._events.close()

    def _result_of(self, whole: RuntimeSpec, events: EventsFile) -> dict[str, object]:
        place = self._place
        spec = share_of_node(whole, place)
        inputs = open_inputs(spec)
        room = Room(spec.limits.memory_mib, place.size)
        device = open_device(os.environ, spec, place)
        if device.type == "cpu":
            inputs.plan(spec, room)  # too little memory is said before PyTorch is imported, which takes seconds
        events.write("started", resumeStep=inputs.state.step, worldSize=place.size, device=device.name)
        events.write("phase", phase="loading")
        self._warn(spec, device, events)
        from .processes.group import join_group

        group = join_group(place, read_patience(os.environ), device)
        if device.type == "cuda":
            from .devices.device_memory import plannable_mib

            mib = plannable_mib(device, spec.limits.device_memory_mib)
            room = Room(group.least("the plan", mib), place.size, on_gpu=True)  # all have to plan alike
        plan = inputs.plan(spec, room)
        if group.leads and (group.size > 1 or room.on_gpu):
            print(plan.described(room))
        if spec.mode == "score":
            from .runs.score import score

            return score(spec, inputs, plan, events, group)
        from .runs.train import TrainRun

        def open_training(spec: RuntimeSpec, inputs: Inputs) -> TrainRun:
            self._train = TrainRun(spec, inputs, plan, events, group)
            return self._train

        if spec.mode == "rehearse":
            from .runs.rehearse import rehearse

            return rehearse(spec, inputs, open_training, group)
        return open_training(spec, inputs).run()

    def _warn(self, spec: RuntimeSpec, device: Device, events: EventsFile) -> None:
        if device.type == "cuda":
            return
        if spec.precision == "bfloat16" and not computes_bfloat16():
            events.write("warning", code="precision.slow", message=_SLOW_PRECISION)
        if spec.parallelism.devices_per_node > 0:
            events.write("warning", code="devices.unused", message=_UNUSED_DEVICES)

    def _report(self, thrown: Exception) -> int:
        """Says why in the log and, as far as the disk allows, in the events file."""
        traceback.print_exception(thrown)
        fault = fault_of(thrown, "runtime.crashed")
        step = self._train.step if self._train else 0
        # The step that failed is the one after the last finished one.
        failed = step + 1 if fault.code == "training.diverged" else step
        message = str(fault) if self._place.size == 1 else f"Rank {self._place.rank}: {fault}"
        try:
            if self._events:
                self._events.write("failed", code=fault.code, message=message, hint=fault.hint, step=failed)
        except OSError as unwritable:
            print(f"the events file cannot be written: {unwritable}", file=sys.stderr)
        return fault.exit_status
