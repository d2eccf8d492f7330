"""Which of a run's processes this one is. The names of the variables are torchrun's."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..fault import Fault
from ..spec import RuntimeSpec

_JOIN_SECONDS = 600
_COLLECTIVE_SECONDS = 300


@dataclass(frozen=True)
class Place:
    """One process among those of its run. Without more it is the only one."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    """Among those of its node."""
    local_size: int = 1

    @property
    def leads_node(self) -> bool:
        return self.local_rank == 0


@dataclass(frozen=True)
class Launch:
    """What is started on this node, and where its node stands among those of the run."""

    node: int
    nodes: int
    processes: int
    """On each node."""
    address: str
    """Of the first node, as the others reach it; its port is 0 where there are no others."""
    port: int

    @property
    def size(self) -> int:
        return self.nodes * self.processes

    @property
    def first(self) -> Place:
        """The first process of this node, in whose file the node's launcher says what went wrong."""
        return Place(self.node * self.processes, self.size, 0, self.processes)


@dataclass(frozen=True)
class Patience:
    """How long ranks wait for each other, in seconds."""

    join: int
    collective: int


def place_of_rank(environment: Mapping[str, str]) -> Place | None:
    """None for a process that nobody has started as one of several."""
    if "TORCHELASTIC_RUN_ID" not in environment:
        return None
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    return Place(*(_number(environment, name, 0) for name in names))


def read_launch(environment: Mapping[str, str], spec: RuntimeSpec) -> Launch:
    """`PET_*` as the cluster sets them; without them one node with a process for each device."""
    asked = spec.parallelism
    launch = Launch(
        node=_number(environment, "PET_NODE_RANK", 0),
        nodes=_number(environment, "PET_NNODES", 1),
        processes=_number(environment, "PET_NPROC_PER_NODE", max(1, asked.devices_per_node)),
        address=environment.get("PET_MASTER_ADDR", "127.0.0.1"),
        port=_number(environment, "PET_MASTER_PORT", 0),
    )
    if launch.nodes != asked.nodes:
        raise Fault("config.bad", f"parallelism.nodes: {asked.nodes} are asked for and {launch.nodes} are started.")
    if launch.node >= launch.nodes or min(launch.nodes, launch.processes) < 1:
        raise Fault("config.bad", f"PET_NODE_RANK: there is no node {launch.node} of {launch.nodes}.")
    return launch


def share_of_node(spec: RuntimeSpec, place: Place) -> RuntimeSpec:
    """Limits are those of a node; its processes have equal parts of them."""
    cpu, memory_mib = spec.limits.cpu // place.local_size, spec.limits.memory_mib // place.local_size
    limits = spec.limits.model_copy(update={"cpu": max(1, cpu), "memory_mib": max(1, memory_mib)})
    return spec.model_copy(update={"limits": limits})


def read_patience(environment: Mapping[str, str]) -> Patience:
    return Patience(
        join=_number(environment, "LUTHIER_TORCH_JOIN_SECONDS", _JOIN_SECONDS),
        collective=_number(environment, "LUTHIER_TORCH_COLLECTIVE_SECONDS", _COLLECTIVE_SECONDS),
    )


def _number(environment: Mapping[str, str], name: str, fallback: int) -> int:
    text = environment.get(name)
    if text is None:
        return fallback
    if not text.isdecimal():
        raise Fault("config.bad", f'{name}: "{text}" is no number.')
    return int(text)
