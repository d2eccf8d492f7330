"""The processes that train one run together: what they add up, and what is said when one of them is missing."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from .fault import Fault
from .place import Patience, Place
from .prepared_dataset import Unit
from .roll_call import call_roll, open_store
from .run_control import StopRequested

_STORE_ANSWER_S = 5


class Group:
    """A run of one process is a group of one: nothing is sent, and what is added up stays as it is."""

    def __init__(self, place: Place | None = None) -> None:
        self.place = place or Place()

    @property
    def rank(self) -> int:
        return self.place.rank

    @property
    def size(self) -> int:
        return self.place.size

    @property
    def leads(self) -> bool:
        """Writes what a run has one of."""
        return self.rank == 0

    def share_of(self, units: Sequence[Unit]) -> list[Unit]:
        """
        Those of `units` that fall to this process. Every process deals them out alike: the longest first, each to
        whoever has least so far.
        """
        loads = [0] * self.size
        mine: list[Unit] = []
        for unit in sorted(units, key=lambda unit: -unit.length):
            taker = loads.index(min(loads))
            loads[taker] += unit.length
            if taker == self.rank:
                mine.append(unit)
        return mine

    # `what` is named in all of these when one of the processes does not come.

    def add_up_tensor(self, what: str, tensor: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """In place; of the same shape in all processes."""
        return tensor

    def add_up(self, what: str, numbers: dict[str, float]) -> dict[str, float]:  # noqa: ARG002
        """By name; a process need not have all of them."""
        return dict(numbers)

    def add_up_gradients(self, what: str, parameters: Sequence[torch.nn.Parameter]) -> None:
        """In one message, for all micro-batches of a step."""

    def any(self, what: str, flag: bool) -> bool:
        return bool(self.add_up_tensor(what, torch.tensor(float(flag))) > 0)

    @contextmanager
    def together(self, what: str) -> Generator[None]:
        """What each process does alone. A stop that one of them sees within is one of all, when all are done."""
        stopped = False
        try:
            yield
        except StopRequested:
            stopped = True
        if self.any(what, stopped):
            raise StopRequested

    def leave(self) -> None:
        """Nobody leaves before all have done what they had to: a rank that has ended would be missed."""
        self.any("the end", False)


class GroupOfSeveral(Group):
    def __init__(self, place: Place, patience: Patience) -> None:
        """Meets the others. Raises `collective.failed` that names those who do not come."""
        super().__init__(place)
        self._patience_s = patience.collective
        self._meetings = 0
        address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
        self._store = open_store(address, port, keeps=False, patience_s=patience.join)
        call_roll(self._store, "rank", self.rank, self.size, patience.join)
        patience_of_torch = timedelta(seconds=patience.collective)
        try:
            dist.init_process_group(
                "gloo", store=self._store, rank=self.rank, world_size=self.size, timeout=patience_of_torch
            )
        except RuntimeError as cause:
            raise Fault("collective.failed", f"The ranks cannot reach each other: {cause}") from cause
        self._look_at_each_other()

    def add_up_tensor(self, what: str, tensor: torch.Tensor) -> torch.Tensor:
        with self._awaiting(what):
            dist.all_reduce(tensor)
        return tensor

    def add_up(self, what: str, numbers: dict[str, float]) -> dict[str, float]:
        parts: list[Any] = [None] * self.size
        with self._awaiting(what):
            dist.all_gather_object(parts, numbers)
        names = dict.fromkeys(name for part in parts for name in part)
        return {name: math.fsum(part.get(name, 0.0) for part in parts) for name in names}

    def add_up_gradients(self, what: str, parameters: Sequence[torch.nn.Parameter]) -> None:
        # Who had no row of the batch adds nothing, but has to come.
        gradients = [torch.zeros_like(one) if one.grad is None else one.grad for one in parameters]
        flat = self.add_up_tensor(what, torch.cat([gradient.flatten() for gradient in gradients]))
        sums = flat.split([gradient.numel() for gradient in gradients])
        for parameter, total in zip(parameters, sums, strict=True):
            parameter.grad = total.view_as(parameter)

    def _look_at_each_other(self) -> None:
        """Before anything is loaded: whether what one sends reaches all others whole, and how long it takes."""
        begin = time.perf_counter()
        present = torch.nn.functional.one_hot(torch.tensor(self.rank), self.size)
        self.add_up_tensor("the first meeting", present)
        if present.tolist() != [1] * self.size:
            raise Fault("collective.failed", f"The ranks do not hear each other: {present.tolist()}.")
        if self.leads:
            print(f"{self.size} ranks met in {(time.perf_counter() - begin) * 1000:.0f} ms")

    @contextmanager
    def _awaiting(self, what: str) -> Generator[None]:
        self._meetings += 1
        begin = time.monotonic()
        try:
            self._store.set(f"meetings/{self.rank}", str(self._meetings))
            yield
        except RuntimeError as cause:
            raise Fault("collective.failed", self._missed(what, time.monotonic() - begin)) from cause

    def _missed(self, what: str, waited_s: float) -> str:
        absent = self._absent()
        who = ", ".join(f"rank {rank}" for rank in absent)
        if waited_s >= self._patience_s:
            return f"Waited {self._patience_s} s for {who or 'another rank'} at {what}."
        return f"The ranks lost each other at {what}; {who or 'nobody'} was missing."

    def _absent(self) -> list[int]:
        """A rank notes each meeting before it waits for the others: who has noted fewer has not come."""
        try:
            self._store.set_timeout(timedelta(seconds=_STORE_ANSWER_S))
            keys = [f"meetings/{rank}" for rank in range(self.size)]
            noted = [int(self._store.get(key)) if self._store.check([key]) else 0 for key in keys]
        except RuntimeError:
            return []  # the store has gone with the node that kept it
        return [rank for rank, meetings in enumerate(noted) if meetings < self._meetings]


def join_group(place: Place, patience: Patience) -> Group:
    return Group(place) if place.size == 1 else GroupOfSeveral(place, patience)
