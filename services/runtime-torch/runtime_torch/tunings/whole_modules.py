"""Embeddings and output weights that are trained whole beside an adapter (PEFT's `modules_to_save`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from peft.utils import ModulesToSaveWrapper
from safetensors import safe_open

from .whole_module_names import MERGE, STORED_NAMES


def take_single_precision(model: torch.nn.Module, frozen: torch.dtype) -> None:
    """What is trained is kept in float32; what embeddings give is in the precision of all that follows."""
    for wrapper in _wrappers(model):
        for copied in wrapper.modules_to_save.values():
            copied.float()  # keeps a matrix that is both of them one
            if isinstance(copied, torch.nn.Embedding) and frozen != torch.float32:
                copied.register_forward_hook(lambda _module, _given, found: found.to(frozen))


def _wrappers(model: torch.nn.Module) -> Iterator[Any]:
    return (module for module in model.modules() if isinstance(module, ModulesToSaveWrapper))


def check_stored_names(file: Path, trained: Iterable[str]) -> None:
    """A module of which a file has a matrix that its settings do not name is a ValueError."""
    with safe_open(file, framework="pt") as stored:
        for name in set(STORED_NAMES.values()).intersection(stored.keys()).difference(trained):
            raise ValueError(f'modules_to_save does not name "{name}"; {MERGE}.')
