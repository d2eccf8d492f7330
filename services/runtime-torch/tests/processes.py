"""Several processes within a test: made by a server that has imported PyTorch once."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

from runtime_torch.command import run_command
from runtime_torch.fault import Fault
from runtime_torch.processes.group import Group, join_group
from runtime_torch.processes.place import Patience, Place
from runtime_torch.processes.roll_call import open_store
from runtime_torch.runs.run_control import StopRequested
from runtime_torch.runs.train import TrainRun

_TIMEOUT_S = 120
_server = multiprocessing.get_context("forkserver")
_server.set_forkserver_preload(["runtime_torch.runs.train", "runtime_torch.processes.launcher"])

End = tuple[str, Any]
"""How a process ended: `done` with what it returned, `stopped`, a fault's code with its message, or `exit`."""


def each_alone(functions: list[Callable[[], Any]], *, hanging: int = 0) -> list[End]:
    """Runs each function in a process of its own; so many of them never end by themselves."""
    pipes = [_server.Pipe(duplex=False) for _ in functions]
    processes: list[BaseProcess] = []
    for function, (_, sender) in zip(functions, pipes, strict=True):
        processes.append(_server.Process(target=_run, args=(function, sender)))
        processes[-1].start()
        sender.close()
    ends: list[End] = [("exit", None)] * len(functions)
    waiting = {receiver: index for index, (receiver, _) in enumerate(pipes)}
    while len(waiting) > hanging and (ready := wait(list(waiting), _TIMEOUT_S)):
        for index in [waiting.pop(receiver) for receiver in ready if isinstance(receiver, Connection)]:
            ends[index] = _end_of(pipes[index][0], processes[index])
    for process in processes:
        process.kill()
        process.join()
    return ends


def in_ranks(
    functions: list[Callable[[Group], Any]], *, size: int | None = None, collective_s: int = 60, hanging: int = 0
) -> list[End]:
    """Runs the functions as the first ranks of a group of `size`; without more, as all of them."""
    count = size or len(functions)
    store = open_store("127.0.0.1", 0, keeps=True, patience_s=1)
    patience = Patience(join=3 if count > len(functions) else 60, collective=collective_s)
    places = [Place(rank, count, rank, count) for rank in range(len(functions))]
    return each_alone(
        [partial(_in_group, one, store.port, at, patience) for one, at in zip(functions, places, strict=True)],
        hanging=hanging,
    )


def command_in_ranks(arguments: list[str], size: int) -> list[End]:
    """Runs a command of the runtime in each process of a group: `done` with its exit status."""
    store = open_store("127.0.0.1", 0, keeps=True, patience_s=1)
    return each_alone([partial(_command, arguments, store.port, Place(rank, size, rank, size)) for rank in range(size)])


def disturb(run: TrainRun, signal_number: int, looks: float) -> None:
    """This process gets a signal, or sees a stop where there is none, at so many looks between passes."""
    number = iter(range(1000))

    def look() -> None:
        if next(number) == looks:
            if signal_number == 0:
                raise StopRequested
            os.kill(os.getpid(), signal_number)

    run.stepper.between = look


def _end_of(receiver: Connection, process: BaseProcess) -> End:
    try:
        return receiver.recv()
    except EOFError:
        process.join(_TIMEOUT_S)
        return ("exit", process.exitcode)


def _in_group(function: Callable[[Group], Any], port: int, place: Place, patience: Patience) -> Any:
    _enter(port, place)
    return function(join_group(place, patience))


def _command(arguments: list[str], port: int, place: Place) -> int:
    _enter(port, place)
    return run_command(arguments)


def _enter(port: int, place: Place) -> None:
    """The variables that `elastic_launch` gives to a rank."""
    local = {"LOCAL_RANK": str(place.local_rank), "LOCAL_WORLD_SIZE": str(place.local_size)}
    os.environ.update(local, RANK=str(place.rank), WORLD_SIZE=str(place.size), TORCHELASTIC_RUN_ID="run")
    os.environ.update(MASTER_ADDR="127.0.0.1", MASTER_PORT=str(port))


def _run(function: Callable[[], Any], sender: Connection) -> None:
    try:
        sender.send(("done", function()))
    except StopRequested:
        sender.send(("stopped", None))
    except Fault as fault:
        sender.send((fault.code, str(fault)))
