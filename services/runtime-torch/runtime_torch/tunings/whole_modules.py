"""Embeddings and output weights that are trained whole beside an adapter (PEFT's `modules_to_save`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from peft.utils import ModulesToSaveWrapper
from safetensors import safe_open

EMBEDDINGS, HEAD = "embed_tokens", "lm_head"
WHOLE_MODULES: tuple[str, ...] = (EMBEDDINGS, HEAD)
STORED_NAMES = {
    EMBEDDINGS: "base_model.model.model.embed_tokens.weight",
    HEAD: "base_model.model.lm_head.weight",
}
MERGE = "if the vocabulary was resized, merge the adapter into its base with PEFT"


def whole_module_of(name: str) -> str | None:
    """As PEFT names one: it matches by the end of a path, and names the path itself where weights are tied."""
    last = name.rsplit(".", 1)[-1]
    return last if name in (EMBEDDINGS, HEAD, f"model.{EMBEDDINGS}") else None


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


def stored_names(modules: Sequence[str]) -> list[str]:
    return [STORED_NAMES[module] for module in modules]
