"""A model whose parts lie in the machine's memory: on processors by gloo, where nothing is pinned."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Workshop
from processes import disturb, in_ranks
from test_device import EIGHT_BILLION, HOST
from test_sharding import FEW_BITS, PISSA, THIN
from test_train import FULL, LONG, losses
from test_train import train as train_whole

from runtime_torch.devices.device import Device
from runtime_torch.devices.memory_plan import Room, plan_memory
from runtime_torch.fault import Fault
from runtime_torch.processes.group import Group, backend_of
from runtime_torch.runs.events_file import EventsFile
from runtime_torch.runs.open_run import open_inputs
from runtime_torch.runs.train import TrainRun
from runtime_torch.spec import RuntimeSpec

ONE_GPU = Room(20_000, on_gpu=True)
MUCH = {**HOST, "memoryMib": 250_000}


def open_offloaded(spec: RuntimeSpec, group: Group) -> TrainRun:
    inputs = open_inputs(spec)
    plan = inputs.plan(spec, Room(spec.limits.memory_mib, group.size))
    return TrainRun(
        spec, inputs, replace(plan, sharded=True, offloaded=True), EventsFile(spec.output_dir, group.rank), group
    )


def train(spec: RuntimeSpec, group: Group) -> dict[str, Any]:
    return open_offloaded(spec, group).run()


def stopped(spec: RuntimeSpec, group: Group) -> None:
    run = open_offloaded(spec, group)
    disturb(run, 0, 4)
    run.run()


@pytest.mark.parametrize(("size", "tuning"), [(1, FULL), (2, FULL), (1, THIN)])
def test_what_lies_in_the_machines_memory_is_trained_as_what_lies_on_the_device(
    workshop: Workshop, size: int, tuning: dict[str, Any]
):
    alone, away = (workshop.spec(hyperparameters=LONG, tuning=tuning) for _ in range(2))
    expected = train_whole(alone)
    ends = in_ranks([partial(train, away)] * size)
    assert [how for how, _ in ends] == ["done"] * size
    np.testing.assert_allclose(losses(away), losses(alone), atol=1e-4)
    for which in ("base", "tuned"):
        assert ends[0][1][which]["loss"] == pytest.approx(expected[which]["loss"], abs=1e-4)


def test_a_process_alone_goes_on_from_its_parts_and_so_does_one_that_has_all_on_its_device(workshop: Workshop):
    whole, first = (workshop.spec(hyperparameters=LONG, tuning=FULL) for _ in range(2))
    train_whole(whole)
    assert in_ranks([partial(stopped, first)]) == [("stopped", None)]
    newest = max((Path(first.output_dir) / "checkpoints").iterdir())
    away, back = (workshop.spec(hyperparameters=LONG, tuning=FULL, resumeFrom=str(newest)) for _ in range(2))
    assert [how for how, _ in in_ranks([partial(train, away)])] == ["done"]
    train_whole(back)
    for resumed in (away, back):
        np.testing.assert_allclose(losses(first) + losses(resumed), losses(whole), atol=1e-4)


def test_a_model_leaves_its_gpu_only_where_nothing_else_fits_and_the_machine_has_room(workshop: Workshop):
    full = workshop.spec(precision="bfloat16", limits=MUCH, tuning=FULL)
    plan = plan_memory(full, EIGHT_BILLION, 2048, ONE_GPU)
    assert (plan.sharded, plan.offloaded) == (True, True)
    assert "in the machine's memory" in plan.described(ONE_GPU)
    for roomy in (replace(ONE_GPU, mib=200_000), replace(ONE_GPU, mib=75_000, processes=8)):
        assert not plan_memory(full, EIGHT_BILLION, 2048, roomy).offloaded
    lora = workshop.spec(precision="bfloat16", limits=HOST)
    assert plan_memory(lora, EIGHT_BILLION, 2048, replace(ONE_GPU, mib=14_000)).offloaded
    assert not plan_memory(lora, EIGHT_BILLION, 2048, ONE_GPU).offloaded


def test_a_machine_without_room_for_what_leaves_the_gpu_is_named(workshop: Workshop):
    full = workshop.spec(precision="bfloat16", limits=HOST, tuning=FULL)
    with pytest.raises(
        Fault, match=r"weights \d+, adapterAndOptimiser \d+, runtime \d+\) and may take 32768"
    ) as raised:
        plan_memory(full, EIGHT_BILLION, 2048, ONE_GPU)
    assert raised.value.exit_status == 42


@pytest.mark.parametrize(
    ("tuning", "optimizer"), [(FULL, "adafactor"), (FULL, "adamw8bit"), (PISSA, "adamw"), (FEW_BITS, "adamw")]
)
def test_other_optimisers_and_tunings_leave_the_gpu_as_exactly(
    workshop: Workshop, tuning: dict[str, Any], optimizer: str
):
    settings = {"hyperparameters": {**LONG, "optimizer": optimizer}, "tuning": tuning}
    whole, away = (workshop.spec(**settings) for _ in range(2))
    train_whole(whole)
    assert [how for how, _ in in_ranks([partial(train, away)])] == ["done"]
    np.testing.assert_allclose(losses(away), losses(whole), atol=1e-4)


def test_what_lies_in_the_machines_memory_goes_by_gloo_also_between_gpus():
    assert backend_of(Device("cuda")) == "cpu:gloo,cuda:nccl"
    assert backend_of(Device()) == "gloo"
