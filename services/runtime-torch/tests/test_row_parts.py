"""Rows of which each process takes some positions."""

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Workshop, counting_rows, write_data
from processes import disturb, in_ranks
from test_device import EIGHT_BILLION, HOST
from test_sharding import THIN
from test_train import FULL, losses
from test_train import train as train_alone

from runtime_torch.data.micro_batch import pack
from runtime_torch.data.prepared_dataset import Row
from runtime_torch.data.row_parts import part_of
from runtime_torch.devices.memory_plan import Room, plan_memory
from runtime_torch.fault import Fault
from runtime_torch.processes.group import Group
from runtime_torch.runs.events_file import EventsFile
from runtime_torch.runs.open_run import open_inputs
from runtime_torch.runs.train import TrainRun
from runtime_torch.spec import RuntimeSpec

LONG = {"epochs": 2, "evaluationSteps": 4}


def open_shared(spec: RuntimeSpec, group: Group, *, sharded: bool) -> TrainRun:
    inputs = open_inputs(spec)
    plan = inputs.plan(spec, Room(spec.limits.memory_mib, group.size))
    how = replace(plan, sharded=sharded, rows_shared=True)
    return TrainRun(spec, inputs, how, EventsFile(spec.output_dir, group.rank), group)


def train(sharded: bool, spec: RuntimeSpec, group: Group) -> dict[str, Any]:
    return open_shared(spec, group, sharded=sharded).run()


def row(number: int, length: int) -> Row:
    trained = np.array([0, 0, *[1] * (length - 2)], np.uint8)
    return Row(np.arange(length, dtype=np.int32) + 100 * number, trained, "", number=number)


def test_each_token_and_each_label_goes_to_one_process_and_the_work_is_even():
    whole = pack([row(1, 16), row(2, 3), row(3, 21)])
    parts = [part_of(whole, rank, 4) for rank in range(4)]
    assert sorted(torch.cat([part.tokens for part in parts]).tolist()) == sorted(whole.tokens.tolist())
    assert sorted(torch.cat([part.labels for part in parts]).tolist()) == sorted(whole.labels.tolist())
    for part in parts:
        assert torch.equal(part.tokens[part.predictors] + 1, part.labels)
        assert torch.equal(part.tokens % 100, part.positions)
        deal = part.segments.deal
        assert deal is not None
        line = torch.cat([torch.nn.functional.pad(one.tokens, (0, deal.most - len(one.tokens))) for one in parts])
        assert torch.equal(line[deal.order], whole.tokens)
    alone = [part_of(pack([row(1, 64)]), rank, 4) for rank in range(4)]
    assert len({int(part.positions.sum()) for part in alone}) == 1


@pytest.mark.parametrize(
    ("size", "tuning", "sharded", "memory_mode"),
    [
        (2, THIN, False, "whole-step"),
        (4, THIN, False, "layer-recompute"),
        (2, FULL, True, "whole-step"),
        (4, FULL, True, "layer-recompute"),
    ],
)
def test_processes_with_parts_of_each_row_give_the_losses_and_scores_of_a_single_one(
    workshop: Workshop, size: int, tuning: dict[str, Any], sharded: bool, memory_mode: str
):
    rows = [*counting_rows(6), [(3 * i) % 90 for i in range(45)]]
    data = {"trainDir": str(write_data(workshop.root / "long", rows)), "heldOutDir": str(workshop.held_out)}
    alone = workshop.spec(hyperparameters=LONG, tuning=tuning, data=data)
    together = workshop.spec(hyperparameters=LONG, tuning=tuning, data=data, memoryMode=memory_mode)
    expected = train_alone(alone)
    ends = in_ranks([partial(train, sharded, together)] * size)
    assert [how for how, _ in ends] == ["done"] * size
    np.testing.assert_allclose(losses(together), losses(alone), atol=1e-4)
    for which in ("base", "tuned"):
        assert ends[0][1][which]["loss"] == pytest.approx(expected[which]["loss"], abs=1e-4)
        assert ends[0][1][which]["tokenAccuracy"] == pytest.approx(expected[which]["tokenAccuracy"])


def stopped(looks: int, spec: RuntimeSpec, group: Group) -> None:
    run = open_shared(spec, group, sharded=False)
    disturb(run, 0, looks)
    run.run()


def test_a_stop_that_one_process_sees_is_one_of_all_and_any_number_goes_on(workshop: Workshop):
    whole, first = workshop.spec(hyperparameters=LONG), workshop.spec(hyperparameters=LONG)
    train_alone(whole)
    assert in_ranks([partial(train, False, first), partial(stopped, 3, first)]) == [("stopped", None)] * 2
    newest = max((Path(first.output_dir) / "checkpoints").iterdir())
    resumed = workshop.spec(hyperparameters=LONG, resumeFrom=str(newest))
    assert [how for how, _ in in_ranks([partial(train, False, resumed)] * 3)] == ["done"] * 3
    assert 0 < len(losses(first)) < len(losses(whole))
    np.testing.assert_allclose(losses(first) + losses(resumed), losses(whole), atol=1e-4)


def test_in_halves_keys_and_values_travel_as_they_are_multiplied(workshop: Workshop):
    alone, together = (workshop.spec(hyperparameters=LONG, precision="bfloat16") for _ in range(2))
    train_alone(alone)
    assert [how for how, _ in in_ranks([partial(train, False, together)] * 2)] == ["done"] * 2
    np.testing.assert_allclose(losses(together), losses(alone), rtol=0.01)


def test_rows_are_shared_where_one_process_cannot_hold_the_longest(workshop: Workshop):
    lora = workshop.spec(precision="bfloat16", limits=HOST)
    eight = Room(40_000, 8, on_gpu=True)
    assert not plan_memory(lora, EIGHT_BILLION, 8_000, eight).rows_shared
    plan = plan_memory(lora, EIGHT_BILLION, 128_000, eight)
    assert plan.rows_shared
    assert "over all 8 processes" in plan.described(eight)
    for changes in ({"hyperparameters": {"neftuneNoiseAlpha": 5}}, {"method": {"type": "orpo", "beta": 0.1}}):
        other = workshop.spec(precision="bfloat16", limits=HOST, **changes)
        with pytest.raises(Fault, match="activations"):
            plan_memory(other, EIGHT_BILLION, 128_000, eight)
