"""What a step takes of the data is made while the step before it is computed."""

import threading
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Workshop, open_run
from test_train import LONG, losses

from runtime_torch.data.micro_batch import pack
from runtime_torch.data.prepared_dataset import Row
from runtime_torch.devices.device import Device
from runtime_torch.fault import Fault
from runtime_torch.runs.ahead import Ahead
from runtime_torch.runs.train import TrainRun

WAIT_S = 60


def ahead_of(steps: int, made: list[int]) -> Ahead[int]:
    def make(step: int) -> int:
        made.append(step)
        return 10 * step

    return Ahead(make, steps, Device())


def test_while_a_step_is_made_the_next_one_is_made_ready_and_no_other():
    began, made = [threading.Event() for _ in range(4)], list[int]()

    def make(step: int) -> int:
        made.append(step)
        began[step].set()
        return 10 * step

    with Ahead(make, 4, Device()) as ahead:
        assert ahead.take(1) == 10
        assert began[2].wait(WAIT_S)
        assert made == [1, 2]
        assert ahead.take(2) == 20
        assert began[3].wait(WAIT_S)
        assert ahead.take(3) == 30
    assert made == [1, 2, 3]  # there is no step after the last


def test_a_step_out_of_turn_is_made_then():
    made: list[int] = []
    with ahead_of(9, made) as ahead:
        assert [ahead.take(step) for step in (0, 5, 6)] == [0, 50, 60]
    assert [step for step in made if step != 7] == [0, 1, 5, 6]


def test_a_fault_in_the_data_of_a_step_ends_the_run_in_that_step_with_its_code(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
):
    spec = workshop.spec(hyperparameters=LONG)
    run = open_run(spec)
    whole = run.batches.at

    def at(step: int) -> Any:
        if step == 3:
            raise Fault("data.bad", "file-a line 7 cannot be read")
        return whole(step)

    monkeypatch.setattr(run.batches, "at", at)
    with pytest.raises(Fault, match="file-a line 7") as raised:
        run.run()
    assert raised.value.exit_status == 40
    assert run.step == len(losses(spec)) == 3


def test_rows_are_packed_outside_the_thread_that_computes(workshop: Workshop, monkeypatch: pytest.MonkeyPatch):
    run = open_run(workshop.spec(hyperparameters=LONG))
    packing = packing_threads(run, monkeypatch)
    run.run()
    assert packing == {"ahead_0"}


def packing_threads(run: TrainRun, monkeypatch: pytest.MonkeyPatch) -> set[str]:
    found: set[str] = set()
    whole = run.objective.pack

    def packed(units: Any) -> Any:
        found.add(threading.current_thread().name)
        return whole(units)

    monkeypatch.setattr(run.objective, "pack", packed)
    return found


def test_all_that_a_gpu_reads_is_pinned(monkeypatch: pytest.MonkeyPatch):
    """By shape: pinning takes a driver."""

    def moved(tensor: torch.Tensor) -> torch.Tensor:
        return tensor + 1000

    monkeypatch.setattr(torch.Tensor, "pin_memory", moved)
    row = Row(np.array([5, 6, 7], np.int32), np.array([0, 1, 1], np.uint8), "")
    pinned = pack([row, row]).pinned()
    for tensor in (pinned.tokens, pinned.positions, pinned.predictors, pinned.labels, pinned.row_of_label):
        assert int(tensor.min()) >= 1000
    assert pinned.segments.bounds.tolist() == [1000, 1003, 1006]
    assert pinned.segments.lengths == (3, 3)
