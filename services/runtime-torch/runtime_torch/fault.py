"""Faults that have a code, an exit status and a hint (docs/reference/runtime-contract.md)."""

from __future__ import annotations

import errno
import re
import signal
from collections.abc import Generator, Iterable
from contextlib import contextmanager

EXIT_DONE = 0
EXIT_CRASHED = 1
EXIT_BAD_CONFIGURATION = 41
EXIT_SAVED_AND_LEFT = 60

EXIT_OF_CODE = {
    "data.bad": 40,
    "config.bad": EXIT_BAD_CONFIGURATION,
    "device.out-of-memory": 42,
    "training.diverged": 43,
    "model.unreadable": 44,
    "disk.full": 45,
    "collective.failed": 51,
}

HINT_OF_CODE = {
    "data.bad": "Correct the data that the message names and prepare the dataset again.",
    "config.bad": "Correct the field named in the message.",
    "device.out-of-memory": "Take shorter rows, a smaller rank or a smaller model, or give the run more memory.",
    "training.diverged": "Lower the learning rate (a third is a good first try) and look at the rows named.",
    "model.unreadable": "Import the model again; only safetensors files are read.",
    "disk.full": "Free some space; the last checkpoint is kept and the run can go on from it.",
    "collective.failed": "Check the network between the nodes; the run goes on from its last checkpoint.",
    "runtime.crashed": "Read the end of the log; the run is tried once more.",
}

_SIGNALLED = range(129, 193)
# Of several ends: what the user has to change, a signal, a crash; then the loss of a rank that ended first, a stop,
# and the signal by which a launcher ends those that are left.
_TELLING = (range(40, 46), _SIGNALLED, range(1, 256))
_TELLING_LEAST = (EXIT_OF_CODE["collective.failed"], EXIT_SAVED_AND_LEFT, 128 + signal.SIGTERM, EXIT_DONE)

# On CPU PyTorch says exhausted memory by a plain RuntimeError.
_OUT_OF_MEMORY = re.compile(r"can't allocate memory|out of memory|bad_alloc|not enough memory", re.IGNORECASE)
_AMOUNT = r"(\d+(?:\.\d+)? (?:bytes|KiB|MiB|GiB))"
_TRIED = re.compile(rf"Tried to allocate {_AMOUNT}")
_CAPACITY = re.compile(rf"total capacity of {_AMOUNT} of which {_AMOUNT} is free")
_ALLOCATED = re.compile(rf"{_AMOUNT} is allocated by PyTorch")
_DISK_FULL = re.compile(r"No space left on device|Disk quota exceeded", re.IGNORECASE)


class Fault(Exception):
    """What ends a run with a diagnosis."""

    def __init__(self, code: str, message: str, hint: str | None = None) -> None:
        """`hint`: what to do, where that of the code says less."""
        super().__init__(message)
        self.code = code
        self.hint = hint or HINT_OF_CODE[code]

    @property
    def exit_status(self) -> int:
        return EXIT_OF_CODE.get(self.code, EXIT_CRASHED)


def fault_of(thrown: BaseException, fallback: str) -> Fault:
    """A full disk and exhausted memory are recognised anywhere; anything else is `fallback`."""
    if isinstance(thrown, Fault):
        return thrown
    message = str(thrown) or type(thrown).__name__
    if isinstance(thrown, OSError) and thrown.errno in (errno.ENOSPC, errno.EDQUOT):
        return Fault("disk.full", message)
    if _DISK_FULL.search(message):
        return Fault("disk.full", message)
    # torch.OutOfMemoryError is a RuntimeError too.
    if isinstance(thrown, MemoryError) or (isinstance(thrown, RuntimeError) and _OUT_OF_MEMORY.search(message)):
        return Fault("device.out-of-memory", _in_short(message))
    return Fault(fallback, message)


def _in_short(said: str) -> str:
    """Of PyTorch's words on a GPU's exhausted memory: what was needed, what is allocated, what there is."""
    tried, capacity, allocated = _TRIED.search(said), _CAPACITY.search(said), _ALLOCATED.search(said)
    if not (tried and capacity and allocated):
        return said
    free = f"of {capacity[1]} are {capacity[2]} free"
    return f"The GPU has no room for {tried[1]} more: the run has {allocated[1]} allocated, {free}."


def most_telling_status(statuses: Iterable[int]) -> int:
    """Of the ranks of a run; the order is that of the contracts."""

    def place(status: int) -> int:
        if status in _TELLING_LEAST:
            return len(_TELLING) + _TELLING_LEAST.index(status)
        return next(index for index, some in enumerate(_TELLING) if status in some)

    return min(statuses, key=place)


@contextmanager
def blaming(code: str) -> Generator[None]:
    """What is thrown inside without a code of ours is reported as `code`: reading a model, reading data."""
    try:
        yield
    except Fault:
        raise
    except Exception as thrown:
        raise fault_of(thrown, code) from thrown
