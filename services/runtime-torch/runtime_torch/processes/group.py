"""The processes that train one run together: what they add up, and what is said when one of them is missing."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from copy import copy
from datetime import timedelta
from typing import Any, NamedTuple, TypeVar

import torch
import torch.distributed as dist
from torch.distributed import TCPStore  # pyright: ignore[reportPrivateImportUsage]  # documented there

from ..data.micro_batch import Packed, micro_batches
from ..data.prepared_dataset import Unit
from ..data.row_parts import part_of
from ..devices.device import Device
from ..fault import Fault
from ..runs.run_control import StopRequested
from .place import Patience, Place
from .roll_call import call_roll, open_store

Found = TypeVar("Found")

_STORE_ANSWER_S = 5
# How long those that have lost another one wait for each other to say so: they notice at about the same time.
_LOSS_S = 5
# NCCL kills the process when it has waited too long; before that the ranks find out by words who is missing.
_PATIENCE_OF_NCCL = 2


class Turn(NamedTuple):
    units: list[Unit]
    counts: bool
    """False: only to go along with the others."""


class Group:
    """A run of one process is a group of one: nothing is sent, and what is added up stays as it is."""

    sharded = False
    """Set where each process holds a part of the model: a pass then adds up the gradients of all itself."""
    shares_rows = False
    """Set where each process takes a part of each row."""

    def __init__(self, place: Place | None = None, device: Device | None = None) -> None:
        self.place = place or Place()
        self.device = device or Device()
        self.torch_device = torch.device(self.device.torch_name)

    @property
    def rank(self) -> int:
        return self.place.rank

    @property
    def size(self) -> int:
        return self.place.size

    @property
    def lockstep(self) -> bool:
        """Whether each pass through the model takes all processes."""
        return self.sharded or self.shares_rows

    @property
    def leads(self) -> bool:
        """Writes what a run has one of."""
        return self.rank == 0

    def shares_of(self, units: Sequence[Unit]) -> list[list[Unit]]:
        """
        What of `units` falls to each process. Every process deals them out alike: the longest first, each to whoever
        has least so far.
        """
        loads = [0] * self.size
        shares: list[list[Unit]] = [[] for _ in loads]
        for unit in sorted(units, key=lambda unit: -unit.length):
            taker = loads.index(min(loads))
            loads[taker] += unit.length
            shares[taker].append(unit)
        return shares

    def turns(self, units: Sequence[Unit], token_budget: int) -> list[Turn]:
        """The micro-batches of this process's share; in lockstep as many as the process with the most has."""
        if self.shares_rows:
            return [Turn(micro, counts=True) for micro in micro_batches(units, token_budget)]
        shares = [micro_batches(share, token_budget) for share in self.shares_of(units)]
        turns = [Turn(micro, counts=True) for micro in shares[self.rank]]
        if self.lockstep and units:
            along = Turn([min(units, key=lambda unit: unit.length)], counts=False)
            turns += [along] * (max(len(share) for share in shares) - len(turns))
        return turns

    def own_part(self, packed: Packed) -> Packed:
        """What of a turn this process takes."""
        return part_of(packed, self.rank, self.size) if self.shares_rows else packed

    def look(self, between: Callable[[], None]) -> None:
        """Between two passes. In lockstep nobody leaves by himself: a stop that one sees is one of all at once."""
        if not self.lockstep:
            return between()
        with self.together("a look between passes"):
            return between()

    @contextmanager
    def passing(self, what: str) -> Generator[None]:  # noqa: ARG002
        """Round each pass through the model and back."""
        yield

    # `what` is named in all of these when one of the processes does not come.

    def add_up_tensor(self, what: str, tensor: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """In place; of the same shape in all processes."""
        return tensor

    def add_up(self, what: str, numbers: dict[str, float]) -> dict[str, float]:  # noqa: ARG002
        """By name; a process need not have all of them."""
        return dict(numbers)

    def gather(self, what: str, mine: Found) -> list[Found]:  # noqa: ARG002
        """What each process has found, by rank."""
        return [mine]

    def add_up_gradients(self, what: str, parameters: Sequence[torch.nn.Parameter]) -> None:
        """In one message, for all micro-batches of a step; needless where the model is sharded."""

    def least(self, what: str, number: int) -> int:  # noqa: ARG002
        return number

    @contextmanager
    def meeting(self, what: str) -> Generator[None]:  # noqa: ARG002
        """Round what all processes do with each other by means of PyTorch."""
        yield

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

    def beside(self) -> Group:
        """The same processes, for what a thread of each does while its steps go on. All have to ask for it at once."""
        return self

    def leave(self) -> None:
        """Nobody leaves before all have done what they had to: a rank that has ended would be missed."""
        self.any("the end", False)


class GroupOfSeveral(Group):
    def __init__(self, place: Place, patience: Patience, device: Device | None = None) -> None:
        """Meets the others. Raises `collective.failed` that names those who do not come."""
        super().__init__(place, device)
        self._patience = patience
        self._meetings = 0
        self._purpose = ""
        self._store = _reach_store(patience)
        call_roll(self._store, "rank", self.rank, self.size, patience.join)
        on_gpu = self.device.type == "cuda"
        factor = _PATIENCE_OF_NCCL if on_gpu else 1
        try:
            dist.init_process_group(
                backend_of(self.device),
                store=self._store,
                rank=self.rank,
                world_size=self.size,
                timeout=timedelta(seconds=patience.collective * factor),
            )
            # Words go by another way than tensors: they wait for no GPU. None is the way of all.
            self.words: dist.ProcessGroup | None = None
            if on_gpu:
                self.words = self._by_words()
        except RuntimeError as cause:
            raise Fault("collective.failed", f"The ranks cannot reach each other: {cause}") from cause
        self._look_at_each_other()

    def beside(self) -> Group:
        """Its messages and meetings are not taken for those of the steps."""
        other = copy(self)
        other._meetings, other._purpose = 0, "beside/"
        other._store = _reach_store(self._patience)
        with self.meeting("the way beside the steps"):
            other.words = self._by_words()
        return other

    def _by_words(self) -> dist.ProcessGroup:
        words = dist.new_group(backend="gloo", timeout=timedelta(seconds=self._patience.collective))
        assert isinstance(words, dist.ProcessGroup), "all ranks are in it"
        return words

    def add_up_tensor(self, what: str, tensor: torch.Tensor) -> torch.Tensor:
        with self.meeting(what):
            dist.all_reduce(tensor, group=None if tensor.is_cuda else self.words)
        return tensor

    def least(self, what: str, number: int) -> int:
        found = torch.tensor(number)
        with self.meeting(what):
            dist.all_reduce(found, dist.ReduceOp.MIN, group=self.words)
        return int(found)

    @contextmanager
    def passing(self, what: str) -> Generator[None]:
        if not self.lockstep:
            yield
            return
        with self.meeting(what):
            yield

    def gather(self, what: str, mine: Found) -> list[Found]:
        parts: list[Any] = [None] * self.size
        with self.meeting(what):
            dist.all_gather_object(parts, mine, group=self.words)
        return parts

    def add_up(self, what: str, numbers: dict[str, float]) -> dict[str, float]:
        parts = self.gather(what, numbers)
        names = dict.fromkeys(name for part in parts for name in part)
        return {name: math.fsum(part.get(name, 0.0) for part in parts) for name in names}

    def add_up_gradients(self, what: str, parameters: Sequence[torch.nn.Parameter]) -> None:
        if self.sharded:
            return
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
    def meeting(self, what: str) -> Generator[None]:
        self._meetings += 1
        begin = time.monotonic()
        try:
            self._store.set(f"{self._purpose}meetings/{self.rank}", str(self._meetings))
            yield
        except RuntimeError as cause:
            if not _is_loss(cause):
                raise
            raise Fault("collective.failed", self._missed(what, time.monotonic() - begin)) from cause

    def _missed(self, what: str, waited_s: float) -> str:
        absent = self._absent()
        who = ", ".join(f"rank {rank}" for rank in absent)
        if waited_s >= self._patience.collective:
            return f"Waited {self._patience.collective} s for {who or 'another rank'} at {what}."
        return f"The ranks lost each other at {what}; {who or 'nobody'} was missing."

    def _absent(self) -> list[int]:
        """
        A rank notes each meeting before it waits for the others: who has noted fewer has not come. Where all have, who
        was lost within the meeting is the one that does not say that it has lost the others.
        """
        try:
            self._store.set_timeout(timedelta(seconds=_STORE_ANSWER_S))
            self._store.set(f"{self._purpose}lost/{self.rank}", "")
            keys = [f"{self._purpose}meetings/{rank}" for rank in range(self.size)]
            noted = [int(self._store.get(key)) if self._store.check([key]) else 0 for key in keys]
            behind = [rank for rank, meetings in enumerate(noted) if meetings < self._meetings]
            return behind or self._silent()
        except RuntimeError:
            return []  # the store has gone with the node that kept it

    def _silent(self) -> list[int]:
        keys = [f"{self._purpose}lost/{rank}" for rank in range(self.size)]
        try:
            self._store.wait(keys, timedelta(seconds=_LOSS_S))
        except RuntimeError:
            return [rank for rank, key in enumerate(keys) if not self._store.check([key])]
        return []


def _reach_store(patience: Patience) -> TCPStore:
    address, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    return open_store(address, port, keeps=False, patience_s=patience.join)


def _is_loss(cause: RuntimeError) -> bool:
    """Of another process; gloo says it by a plain RuntimeError, as exhausted memory is said."""
    return isinstance(cause, dist.DistError) or "gloo" in str(cause)


def backend_of(device: Device) -> str:
    """By gloo goes what lies in the machine's memory, also of a model on GPUs."""
    return "cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo"


def join_group(place: Place, patience: Patience, device: Device | None = None) -> Group:
    return Group(place, device) if place.size == 1 else GroupOfSeveral(place, patience, device)
