import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Workshop, write_data
from processes import command_in_ranks, each_alone
from safetensors.torch import load_file, save_file

from runtime_torch.fault import Fault, most_telling_status
from runtime_torch.processes.launcher import MAIN, launch_ranks
from runtime_torch.processes.place import Launch, Patience, Place, place_of_rank, read_launch, share_of_node
from runtime_torch.spec import RuntimeSpec

SCRIPT = "import os, pathlib, signal, sys, time\nrank, out = int(os.environ['RANK']), sys.argv[2]\n"
LONELY = f"""
sys.path.insert(0, {str(MAIN.parent)!r})
from runtime_torch.runs.run_control import end_with_launcher
end_with_launcher()
draft = pathlib.Path(out, str(rank) + ".tmp")
draft.write_text(str(os.getpid()))
draft.rename(pathlib.Path(out, str(rank)))
while not all(pathlib.Path(out, one).exists() for one in "01"): time.sleep(0.01)
os.kill(os.getppid(), signal.SIGKILL)
time.sleep(60)
"""
# Rank 0 does not leave when it is told to; far later, and still within the 30 s that torch gives without being asked.
HANGING = """
ready = pathlib.Path(out, "ready")
if rank == 0:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    ready.touch()
    time.sleep(20)
    sys.exit(0)
while not ready.exists(): time.sleep(0.01)
sys.exit(43)
"""


def launched(spec: RuntimeSpec, body: str, *, nodes: int = 1, node: int = 0, port: int = 0) -> int:
    """Ranks that only do what `body` says."""
    main = Path(spec.output_dir) / "rank.py"
    main.write_text(SCRIPT + body)
    launch = Launch(node=node, nodes=nodes, processes=2, address="127.0.0.1", port=port)
    return launch_ranks(launch, Patience(join=2, collective=2), spec, spec.output_dir, main)


def ranks_of(spec: RuntimeSpec) -> dict[str, int | str]:
    return json.loads((Path(spec.output_dir) / "ranks.json").read_text())


def wait_for(look: Callable[[], Any], seconds: float = 120) -> Any:
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return found


@pytest.mark.parametrize(
    ("body", "status", "ranks"),
    [
        ("sys.exit(0)", 0, {"0": 0, "1": 0}),
        ("sys.exit(43) if rank == 1 else time.sleep(60)", 43, {"1": 43}),
        ("os.kill(os.getpid(), signal.SIGKILL) if rank == 1 else time.sleep(60)", 137, {"1": "SIGKILL"}),
    ],
)
def test_how_each_rank_ended_is_noted_and_the_others_are_ended(
    workshop: Workshop, body: str, status: int, ranks: dict[str, Any]
):
    spec = workshop.spec()
    assert each_alone([partial(launched, spec, body)]) == [("done", status)]
    found = ranks_of(spec)
    assert {rank: found[rank] for rank in ranks} == ranks
    assert set(found.values()) <= {*ranks.values(), "SIGTERM"}
    assert sorted(path.name for path in Path(spec.output_dir).iterdir()) == ["rank.py", "ranks.json"]


def test_a_rank_that_does_not_leave_holds_back_the_end_by_seconds_only(workshop: Workshop):
    spec = workshop.spec()
    assert each_alone([partial(launched, spec, HANGING)]) == [("done", 43)]
    assert ranks_of(spec) == {"0": "SIGKILL", "1": 43}


def test_a_node_that_never_comes_is_named(workshop: Workshop):
    spec = workshop.spec()
    assert each_alone([partial(launched, spec, "", nodes=3)]) == [
        ("collective.failed", "Of 3 nodes nodes 1, 2 did not come within 2 s."),
    ]


def test_a_first_node_that_is_not_there_is_named(workshop: Workshop):
    ((how, message),) = each_alone([partial(launched, workshop.spec(), "", nodes=2, node=1, port=9)])
    assert (how, message) == ("collective.failed", "Node 0 was not reached within 2 s at 127.0.0.1:9.")


@pytest.mark.parametrize(
    ("statuses", "status"),
    [((51, 137, 51), 137), ((0, 60), 60), ((137, 43, 51), 43), ((1, 51), 1), ((143, 51), 51), ((0, 0), 0)],
)
def test_the_most_telling_status_is_that_of_the_contracts(statuses: tuple[int, ...], status: int):
    assert most_telling_status(statuses) == status


def test_a_launch_is_read_from_torchruns_variables_and_the_spec(workshop: Workshop):
    alone = workshop.spec()
    assert read_launch({}, alone).size == 1
    asked = workshop.spec(parallelism={"nodes": 1, "devicesPerNode": 4})
    assert read_launch({}, asked) == Launch(node=0, nodes=1, processes=4, address="127.0.0.1", port=0)
    pair = workshop.spec(parallelism={"nodes": 2, "devicesPerNode": 0})
    variables = {
        "PET_NNODES": "2",
        "PET_NPROC_PER_NODE": "3",
        "PET_NODE_RANK": "1",
        "PET_MASTER_ADDR": "first",
        "PET_MASTER_PORT": "29500",
    }
    launch = read_launch(variables, pair)
    assert launch == Launch(node=1, nodes=2, processes=3, address="first", port=29500)
    assert launch.first == Place(rank=3, size=6, local_rank=0, local_size=3)
    for wrong in ({}, {**variables, "PET_NODE_RANK": "2"}, {**variables, "PET_NNODES": "two"}):
        with pytest.raises(Fault) as raised:
            read_launch(wrong, pair)
        assert raised.value.code == "config.bad"


def test_a_rank_knows_its_place_and_has_its_part_of_the_limits(workshop: Workshop):
    assert place_of_rank({}) is None
    found = place_of_rank(
        {"TORCHELASTIC_RUN_ID": "x", "RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"}
    )
    place = Place(rank=5, size=8, local_rank=1, local_size=4)
    assert found == place
    limits = share_of_node(workshop.spec(limits={"memoryMib": 4096, "cpu": 2, "deadlineSeconds": 60}), place).limits
    assert (limits.memory_mib, limits.cpu) == (1024, 1)


def events_of(output_dir: str, rank: int) -> list[dict[str, Any]]:
    file = Path(output_dir) / f"events.{rank}.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


class Started:
    """The runtime with two processes, as its runner starts it."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.output_dir: str = fields["outputDir"]
        path = Path(f"{self.output_dir}.json")
        path.write_text(json.dumps(fields))
        self.launcher = subprocess.Popen(
            [sys.executable, str(MAIN), "train", str(path)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PET_NPROC_PER_NODE": "2", "LUTHIER_TORCH_COLLECTIVE_SECONDS": "5"},
        )

    def ranks(self) -> list[int]:
        children = Path(f"/proc/{self.launcher.pid}/task/{self.launcher.pid}/children").read_text().split()
        ranks = {environment_of(int(pid)).get("RANK", ""): int(pid) for pid in children}
        return [ranks["0"], ranks["1"]]

    def checkpoint(self) -> dict[str, Any] | None:
        """The newest, which stays for a while."""
        said = [event for event in events_of(self.output_dir, 0) if event["type"] == "checkpoint"]
        return said[-1] if said else None


def environment_of(pid: int) -> dict[str, str]:
    text = Path(f"/proc/{pid}/environ").read_bytes().decode()
    return dict(variable.split("=", 1) for variable in text.split("\0") if "=" in variable)


def test_a_fault_of_any_rank_is_said_with_its_code_and_its_rank(workshop: Workshop):
    """The shorter of two rows falls to rank 1, and holds a token whose embedding is not a number."""
    path = workshop.model / "model.safetensors"
    tensors = load_file(path)
    tensors["model.embed_tokens.weight"][90] = float("nan")
    tensors["lm_head.weight"] = torch.zeros_like(tensors["model.embed_tokens.weight"])
    save_file(tensors, path, {"format": "pt"})
    config = json.loads((workshop.model / "config.json").read_text())
    (workshop.model / "config.json").write_text(json.dumps({**config, "tie_word_embeddings": False}))
    train = write_data(workshop.root / "pair", [[1, 2, 3, 4, 5, 6], [7, 90, 8, 9]])
    fields = workshop.fields(data={"trainDir": str(train)})
    spec = workshop.root / "spec.json"
    spec.write_text(json.dumps(fields))
    ends = command_in_ranks(["train", str(spec)], 2)
    assert ends[1] == ("done", 43)
    said = [event for event in events_of(fields["outputDir"], 1) if event["type"] == "failed"]
    assert [(event["code"], event["rank"]) for event in said] == [("training.diverged", 1)]
    assert said[0]["message"].startswith("Rank 1: Step 1: loss nan")
    assert "file-a line 2" in said[0]["message"]


def test_ranks_do_not_outlive_their_launcher(workshop: Workshop):
    spec = workshop.spec()
    assert each_alone([partial(launched, spec, LONELY)]) == [("exit", -signal.SIGKILL)]
    pids = [int((Path(spec.output_dir) / str(rank)).read_text()) for rank in range(2)]
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_a_rank_that_hangs_with_its_part_of_the_model_is_named_and_ended(workshop: Workshop):
    started = Started(workshop.fields(tuning={"type": "full"}, hyperparameters={"epochs": 50, "globalBatch": 1}))
    wait_for(started.checkpoint)
    hanging = started.ranks()[1]
    os.kill(hanging, signal.SIGSTOP)
    assert started.launcher.wait(90) == 51, events_of(started.output_dir, 0)[-2:]
    (said,) = [event for event in events_of(started.output_dir, 0) if event["type"] == "failed"]
    assert said["code"] == "collective.failed"
    assert said["message"].startswith("Rank 0: Waited 5 s for rank 1 at ")
    assert not Path(f"/proc/{hanging}").exists()


def test_a_killed_rank_ends_the_whole_run_by_its_signal_and_its_checkpoint_is_gone_on_from(workshop: Workshop):
    full = {"type": "full"}
    started = Started(workshop.fields(tuning=full, hyperparameters={"epochs": 50, "globalBatch": 1}))
    wait_for(started.checkpoint)
    os.kill(started.ranks()[1], signal.SIGKILL)
    assert started.launcher.wait(60) == 128 + signal.SIGKILL
    checkpoint = started.checkpoint()
    assert checkpoint
    assert json.loads((Path(started.output_dir) / "ranks.json").read_text())["1"] == "SIGKILL"
    step = int(checkpoint["step"])
    folder = str(Path(started.output_dir) / checkpoint["dir"])
    changes = {"tuning": full, "resumeFrom": folder, "hyperparameters": {"globalBatch": 1, "maxSteps": step + 1}}
    fields = workshop.fields(**changes)
    path = workshop.root / "resumed.json"
    path.write_text(json.dumps(fields))
    assert command_in_ranks(["train", str(path)], 2) == [("done", 0)] * 2
    said = events_of(fields["outputDir"], 0)
    assert [event["step"] for event in said if event["type"] == "step"] == [step + 1]
