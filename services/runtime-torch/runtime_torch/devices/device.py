"""What a process computes on: the processor, or the GPU of its place. PyTorch is imported for GPUs alone."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ..fault import Fault
from ..processes.place import Place
from ..spec import RuntimeSpec
from .processor import computes_bfloat16

DeviceType = Literal["cpu", "cuda"]

_CHOICES = ("auto", "cpu", "cuda")
_MIB = 1024 * 1024
_DRIVER = Path("/dev/nvidiactl")


@dataclass(frozen=True)
class Gpu:
    """As PyTorch sees it."""

    name: str
    memory_mib: int
    bfloat16: bool
    """Whether it has instructions for it; one without imitates them, slower than float32."""

    @property
    def precisions(self) -> tuple[str, ...]:
        return ("float32", "bfloat16", "float16") if self.bfloat16 else ("float32", "float16")


@dataclass(frozen=True)
class Device:
    type: DeviceType = "cpu"
    index: int = 0
    name: str = "cpu"
    reason: str = "nothing else was asked for"
    """Why it was chosen."""

    @property
    def torch_name(self) -> str:
        return "cpu" if self.type == "cpu" else f"cuda:{self.index}"


def wanted_device(environment: Mapping[str, str], spec: RuntimeSpec) -> DeviceType:
    """`LUTHIER_TORCH_DEVICE`; `auto`, its default, takes GPUs where the run was given some."""
    choice = environment.get("LUTHIER_TORCH_DEVICE", "auto")
    if choice not in _CHOICES:
        raise Fault("config.bad", f'LUTHIER_TORCH_DEVICE: "{choice}" is not one of {", ".join(_CHOICES)}.')
    given = spec.parallelism.devices_per_node > 0
    if choice == "cpu" or (choice == "auto" and not given):
        if spec.precision == "float16":
            raise Fault("config.bad", "precision: float16 is for GPUs; take float32 or bfloat16 on a processor.")
        return "cpu"
    return "cuda"


def choose_gpu(place: Place, precision: str | None, gpus: Sequence[Gpu], why_none: str = "") -> Device:
    """Each process of a node takes the GPU of its number. Raises `config.bad` where it cannot compute what is asked."""
    if not gpus:
        reason = why_none or "PyTorch finds no GPU"
        raise Fault("config.bad", f"parallelism.devicesPerNode: the run was given GPUs and cannot use any: {reason}.")
    if place.local_rank >= len(gpus):
        which = f"process {place.local_rank} of {place.local_size}"
        raise Fault("config.bad", f"parallelism.devicesPerNode: {which} finds no GPU of its own among {len(gpus)}.")
    gpu = gpus[place.local_rank]
    if precision is not None and precision not in gpu.precisions:
        offered = " or ".join(gpu.precisions)
        raise Fault("config.bad", f"precision: {gpu.name} has no instructions for {precision}; take {offered}.")
    reason = f"GPU {place.local_rank} of {len(gpus)}, for process {place.local_rank} of its node"
    return Device("cuda", place.local_rank, gpu.name, reason)


def open_device(environment: Mapping[str, str], spec: RuntimeSpec, place: Place) -> Device:
    """Chooses the device, says why in the log, and makes it the one that this process computes on."""
    if wanted_device(environment, spec) == "cpu":
        given = spec.parallelism.devices_per_node
        reason = "LUTHIER_TORCH_DEVICE says so" if given else "the run was given no GPUs"
        device = Device("cpu", 0, f"cpu, {spec.limits.cpu} threads", reason)
    else:
        device = choose_gpu(place, spec.precision, *_list_gpus())
        _use(device)
    if place.rank == 0 and device.type == "cuda":
        print(f"computes on {device.name}: {device.reason}")
    return device


def list_gpus() -> list[Gpu]:
    """Empty without asking PyTorch, whose import takes seconds, where the machine has no driver of GPUs."""
    return _list_gpus()[0] if _DRIVER.exists() else []


def processor_precisions() -> tuple[str, ...]:
    return ("float32", "bfloat16") if computes_bfloat16() else ("float32",)


def _list_gpus() -> tuple[list[Gpu], str]:
    """And why there are none."""
    # Before CUDA starts: products then give the same bits each time, so that a run goes on exactly.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    if not torch.backends.cuda.is_built():
        return [], "this PyTorch is built without CUDA"
    if not torch.cuda.is_available():
        return [], "PyTorch cannot use CUDA here: no driver, one that is too old, or no GPU that this process may see"
    found: list[Gpu] = []
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        # Ampere is the first with instructions for bfloat16.
        found.append(Gpu(properties.name, properties.total_memory // _MIB, properties.major >= 8))
    return found, ""


def _use(device: Device) -> None:
    import torch

    torch.cuda.set_device(device.index)
    # Where an operation has no way of giving the same bits each time it is taken all the same, with a word in the log.
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Nothing is read here before it is written.
    torch.utils.deterministic.fill_uninitialized_memory = False  # pyright: ignore[reportAttributeAccessIssue]
