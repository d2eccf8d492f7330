"""Folders of a run that are there as a whole or not at all, and which of its checkpoints are kept."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from ..spec import RuntimeSpec

_CHECKPOINTS_DIR = "checkpoints"
_KEPT_MIN = 2


def write_folder(folder: Path, write: Callable[[Path], None]) -> None:
    """Puts a folder in place as a whole: written beside it, flushed, renamed. An older one is replaced."""
    with in_place(folder) as temporary:
        write(temporary)


@contextmanager
def in_place(folder: Path) -> Generator[Path]:
    """As `write_folder`: what is written within."""
    temporary = begin_folder(folder)
    with put_in_place(temporary, folder):
        yield temporary


def begin_folder(folder: Path) -> Path:
    """An empty one beside it, to be written and then `put_in_place`."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(folder)
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    return temporary


@contextmanager
def put_in_place(temporary: Path, folder: Path) -> Generator[None]:
    """When what is done within is done."""
    try:
        yield
        for path in [*temporary.iterdir(), temporary]:
            _fsync(path)
        shutil.rmtree(folder, ignore_errors=True)
        temporary.rename(folder)
        _fsync(folder.parent)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def beside(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.tmp")


def checkpoint_dir(step: int) -> str:
    """Relative to the output folder."""
    return f"{_CHECKPOINTS_DIR}/step-{step:06d}"


def remove_old_checkpoints(spec: RuntimeSpec) -> None:
    parent = Path(spec.output_dir) / _CHECKPOINTS_DIR
    kept = sorted(entry for entry in parent.iterdir() if re.fullmatch(r"step-\d+", entry.name))
    for old in kept[: -max(_KEPT_MIN, spec.checkpointing.keep_last)]:
        # The runner removes what it has stored, maybe just now.
        with suppress(FileNotFoundError):
            shutil.rmtree(old)


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
