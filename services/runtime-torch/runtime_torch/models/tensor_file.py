"""Whole tensors to and from safetensors files, one in memory at a time, also where each process holds a part."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch.distributed.tensor import DTensor

from ..processes.parts import whole_of

_ALIGNMENT = 8
_DTYPE_NAMES = {torch.float32: "F32", torch.bfloat16: "BF16", torch.float16: "F16"}
_INDEX = "model.safetensors.index.json"
_SINGLE = "model.safetensors"


def save_tensors(tensors: Mapping[str, torch.Tensor], path: Path | None) -> None:
    """
    Called by all processes that hold parts, which are gathered tensor by tensor; the one that is given a `path` writes.
    """
    with ExitStack() as stack:
        file = stack.enter_context(path.open("wb")) if path else None
        if file:
            file.write(_header(tensors))
        for tensor in tensors.values():
            whole = whole_of(tensor.detach())
            if file:
                file.write(whole.cpu().contiguous().view(torch.uint8).numpy().data)


def host_copies(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """What this process holds of each, in the machine's memory, where nothing moves it any more."""
    return {name: tensor.detach().to("cpu", copy=True) for name, tensor in tensors.items()}


def take(parameter: torch.Tensor, whole: Any) -> None:
    """What this process holds of `whole`, a tensor or a slice of a file."""
    with torch.no_grad():
        if not isinstance(parameter, DTensor):
            parameter.copy_(whole[:])
            return
        own = parameter.to_local()
        # FSDP deals out rows in equal pieces, rounded up: the last processes may have fewer, or none.
        first = -(-parameter.shape[0] // parameter.device_mesh.size()) * parameter.device_mesh.get_local_rank()
        if own.shape[0]:
            own.copy_(whole[first : first + own.shape[0]])


class StoredWeights:
    """The weights of a Hugging Face folder by their names, in one file or several, each read when it is asked for."""

    def __init__(self, folder: Path) -> None:
        index = folder / _INDEX
        self._folder = folder
        self._files: dict[str, Any] = {}
        self._file_of: dict[str, str] = (
            json.loads(index.read_bytes())["weight_map"]
            if index.exists()
            else dict.fromkeys(self._open(_SINGLE).keys(), _SINGLE)
        )

    def __contains__(self, name: str) -> bool:
        return name in self._file_of

    def slice_of(self, name: str) -> Any:
        """Indexed as a tensor, it reads what is asked."""
        return self._open(self._file_of[name]).get_slice(name)

    def _open(self, name: str) -> Any:
        if Path(name).name != name:
            raise ValueError(f"{_INDEX} names a file elsewhere: {name}")
        if name not in self._files:
            self._files[name] = safe_open(self._folder / name, framework="pt")
        return self._files[name]


def _header(tensors: Mapping[str, torch.Tensor]) -> bytes:
    entries: dict[str, object] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, tensor in tensors.items():
        start, end = end, end + math.prod(tensor.shape) * tensor.element_size()
        entries[name] = {
            "dtype": _DTYPE_NAMES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(entries, separators=(",", ":")).encode()
    text += b" " * (-len(text) % _ALIGNMENT)
    return len(text).to_bytes(8, "little") + text
