"""How a run is told what to do: files in its output folder, and the pipe that its parent holds."""

from __future__ import annotations

import ctypes
import os
import signal
import stat
import threading
from pathlib import Path

_STDIN = 0
_PR_SET_PDEATHSIG = 1


class StopRequested(Exception):
    """The stop file was seen; the caller saves and leaves."""


def raise_if_stopped(output_dir: str) -> None:
    """Looked at after every micro-batch."""
    if (Path(output_dir) / "stop").exists():
        raise StopRequested


def take_checkpoint_request(output_dir: str) -> bool:
    """Whether `<outputDir>/checkpoint-now` asks for a checkpoint; the request is taken with the question."""
    try:
        (Path(output_dir) / "checkpoint-now").unlink()
    except FileNotFoundError:
        return False
    return True


def end_with_parent() -> None:
    """
    Ends the process when whoever started it is gone: standard input is a pipe held by the parent, and ends with it.
    A terminal or a file as standard input says nothing about a parent and is left alone.
    """
    mode = os.fstat(_STDIN).st_mode
    if stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode):
        threading.Thread(target=_await_end, daemon=True).start()


def end_with_launcher() -> None:
    """
    A rank outlives its launcher by nothing: the launcher puts it into a session of its own, where whoever kills the
    launcher's process group does not reach it, while standard input is held by the launcher's parent.
    """
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _await_end() -> None:
    try:
        while os.read(_STDIN, 4096):
            pass
    finally:
        os._exit(1)
