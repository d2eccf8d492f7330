"""What the next step takes, made by one thread while a step is computed."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, TypeVar

import torch

from ..devices.device import Device

Made = TypeVar("Made")


class Ahead(Generic[Made]):
    """Never more than one step ahead. What `make` raises is raised where its step takes what was to be made."""

    def __init__(self, make: Callable[[int], Made], steps: int, device: Device) -> None:
        self._make = make
        self._steps = steps
        self._thread = ThreadPoolExecutor(1, "ahead", _use, (device,))
        self._made: tuple[int, Future[Made]] | None = None

    def __enter__(self) -> Ahead[Made]:
        return self

    def __exit__(self, *_: object) -> None:
        self._thread.shutdown(cancel_futures=True)

    def take(self, step: int) -> Made:
        """Of `step`, and begins that of the next."""
        if self._made is None or self._made[0] != step:
            self._begin(step)
        assert self._made is not None
        found = self._made[1].result()
        if step + 1 < self._steps:
            self._begin(step + 1)
        return found

    def _begin(self, step: int) -> None:
        self._made = step, self._thread.submit(self._make, step)


def _use(device: Device) -> None:
    """Without it a thread would wake the first GPU of the node, whatever the process computes on."""
    if device.type == "cuda":
        torch.cuda.set_device(device.index)
