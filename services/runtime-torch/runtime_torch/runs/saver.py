"""Saves checkpoints one at a time: in a thread while the next steps are made, or between two of them."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from concurrent.futures import Future, wait
from threading import Thread

from ..models.tensor_file import host_copies
from ..processes.group import Group
from .checkpoint import Copied
from .events_file import EventsFile

# How long a run that has failed waits for what it was saving; its node may be given up some time after.
_SALVAGE_S = 20
_LOOK_S = 1.0

Begin = Callable[[Group, Copied], Callable[[], str]]
"""Begins a checkpoint; what it returns writes the rest and says where it lies."""


class Saver:
    """Says `checkpoint` when one is whole on the disk. What its writing meets is raised by the next look at it."""

    def __init__(self, begin: Begin, events: EventsFile, group: Group, *, beside: bool) -> None:
        self._begin = begin
        self._events = events
        self._says = group.place.leads_node
        self._beside = beside
        self._group = group.beside() if beside and group.sharded else group
        self._under_way: tuple[int, Future[str]] | None = None

    def save(self, step: int) -> None:
        """Waits for the one before."""
        self.finish()
        if self._beside:
            self._under_way = step, _in_thread(self._begin(self._group, host_copies))
        else:
            self._say(step, self._begin(self._group, dict)())

    def look(self) -> None:
        """Waits for nothing."""
        if self._under_way and self._under_way[1].done():
            self.finish()

    def finish(self) -> None:
        """Until nothing is under way. Says meanwhile that the run is alive."""
        if self._under_way is None:
            return
        step, writing = self._under_way
        while not wait([writing], _LOOK_S).done:
            self._events.heartbeat(step)
        self._under_way = None
        self._say(step, writing.result())

    def salvage(self) -> None:
        """As `finish`, for a run that has failed: not for long, and what it was told first is what counts."""
        if self._under_way is None or not wait([self._under_way[1]], _SALVAGE_S).done:
            return
        try:
            self.finish()
        except Exception:
            traceback.print_exc()

    def _say(self, step: int, folder: str) -> None:
        if self._says:
            self._events.write("checkpoint", step=step, dir=folder)


def _in_thread(write: Callable[[], str]) -> Future[str]:
    """A daemon, as a run that has failed does not wait for a disk that hangs."""
    future: Future[str] = Future()

    def run() -> None:
        try:
            future.set_result(write())
        except BaseException as thrown:
            future.set_exception(thrown)

    Thread(target=run, name="checkpoint", daemon=True).start()
    return future
