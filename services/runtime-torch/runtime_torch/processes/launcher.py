"""Starts the ranks of this node over torchrun's `elastic_launch`, and finds out how they ended."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, PContext, SignalException
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure
from torch.distributed.elastic.rendezvous import (
    RendezvousHandler,
    RendezvousInfo,
    RendezvousParameters,
    RendezvousStoreInfo,
    rendezvous_handler_registry,
)
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from ..fault import EXIT_DONE, most_telling_status
from ..spec import RuntimeSpec
from .place import Launch, Patience
from .roll_call import call_roll, open_store

RANKS_FILE = "ranks.json"
_RENDEZVOUS = "luthier"
# Ranks that have lost another one leave by themselves or are ended; one that hangs is not waited for longer.
_SHUTDOWN_S = 5
_SHELL_SIGNAL_BASE = 128
# When a rank has failed torch ends the others by its own default, 30 s, and does not look at `shutdown_timeout`.
PContext.close.__defaults__ = (None, _SHUTDOWN_S)
# Failures have times in whole seconds, of a clock that may be put right meanwhile.
_KILLED_AFTER_S = _SHUTDOWN_S - 1
MAIN = Path(__file__).parents[2] / "main.py"


def launch_ranks(launch: Launch, patience: Patience, spec: RuntimeSpec, spec_path: str, main: Path = MAIN) -> int:
    """
    Runs the spec in each process of this node, and leaves `ranks.json`. Returns the exit status that says most. Raises
    `collective.failed` when not all nodes come.
    """
    meeting = _Meeting(launch, patience, spec.run_id)
    rendezvous_handler_registry.register(_RENDEZVOUS, meeting.handle)
    with tempfile.TemporaryDirectory(prefix=".launch-", dir=spec.output_dir) as scratch:
        config = LaunchConfig(
            min_nodes=launch.nodes,
            max_nodes=launch.nodes,
            nproc_per_node=launch.processes,
            logs_specs=DefaultLogsSpecs(log_dir=scratch),
            run_id=spec.run_id,
            role="rank",
            rdzv_backend=_RENDEZVOUS,
            max_restarts=0,  # only the platform decides on another attempt
            shutdown_timeout=_SHUTDOWN_S,
        )
        try:
            elastic_launch(config, sys.executable)(str(main), spec.mode, spec_path)
        except ChildFailedError as failed:
            _note_ends(spec.output_dir, {rank: one.exitcode for rank, one in failed.failures.items()})
            return most_telling_status(_own_ends(failed.failures))
        except SignalException as ended:
            return _SHELL_SIGNAL_BASE + ended.sigval.value
    first = launch.first.rank
    _note_ends(spec.output_dir, dict.fromkeys(range(first, first + launch.processes), EXIT_DONE))
    return EXIT_DONE


def _own_ends(failures: Mapping[int, ProcessFailure]) -> list[int]:
    """As a shell says them; without those that were killed as they did not leave when another had failed: they hung."""
    first = min(failure.timestamp for failure in failures.values())
    own = (
        failure.exitcode
        for failure in failures.values()
        if failure.exitcode != -signal.SIGKILL or failure.timestamp - first < _KILLED_AFTER_S
    )
    return [_SHELL_SIGNAL_BASE - end if end < 0 else end for end in own]


def _note_ends(output_dir: str, ends: Mapping[int, int]) -> None:
    """A signal is a negative status here; SIGTERM is what the others get when one has failed."""
    said = {str(rank): signal.Signals(-end).name if end < 0 else end for rank, end in sorted(ends.items())}
    path = Path(output_dir) / RANKS_FILE
    draft = path.with_suffix(".tmp")
    try:
        draft.write_text(json.dumps(said), encoding="utf-8")
        draft.rename(path)
    except OSError as unwritable:
        print(f"{RANKS_FILE} cannot be written: {unwritable}", file=sys.stderr)


class _Meeting(RendezvousHandler):
    """Nodes meet at a store that the first one keeps; unlike torchrun's own, who does not come is named."""

    def __init__(self, launch: Launch, patience: Patience, run_id: str) -> None:
        self._launch = launch
        self._patience = patience
        self._run_id = run_id

    def handle(self, _parameters: RendezvousParameters) -> RendezvousHandler:
        return self

    def next_rendezvous(self) -> RendezvousInfo:
        launch, join = self._launch, self._patience.join
        self._store = open_store(launch.address, launch.port, keeps=launch.node == 0, patience_s=join)
        call_roll(self._store, "node", launch.node, launch.nodes, join)
        return RendezvousInfo(
            self._store,
            launch.node,
            launch.nodes,
            RendezvousStoreInfo(launch.address, self._store.port),
        )

    @property
    def use_agent_store(self) -> bool:
        return True

    def get_backend(self) -> str:
        return _RENDEZVOUS

    def get_run_id(self) -> str:
        return self._run_id

    def is_closed(self) -> bool:
        return False

    def set_closed(self) -> None:
        """There is no second meeting to be kept from."""

    def num_nodes_waiting(self) -> int:
        return 0

    def shutdown(self) -> bool:
        return True
