"""Checkpoints that are written while the next steps are made."""

import json
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Workshop, open_run, stop_in_the_fifth_step
from processes import in_ranks
from test_device import EIGHT_BILLION, HOST
from test_train import FULL, LONG, losses, train

from runtime_torch.devices.memory_plan import Room, plan_memory
from runtime_torch.fault import Fault
from runtime_torch.processes.group import Group
from runtime_torch.runs import checkpoint
from runtime_torch.runs.events_file import EventsFile
from runtime_torch.runs.saver import Saver
from runtime_torch.runs.train import TrainRun
from runtime_torch.spec import RuntimeSpec

WAIT_S = 60


def said(spec: RuntimeSpec) -> list[str]:
    lines = (Path(spec.output_dir) / "events.0.jsonl").read_text().splitlines()
    named = [event for event in map(json.loads, lines) if event["type"] in ("step", "checkpoint")]
    return [f"{event['type']} {event['step']}" for event in named]


def write_slowly(run: TrainRun, name: str, steps: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What `checkpoint` writes by `name` for the first time is begun when the run has made so many steps."""
    write: Callable[..., None] = getattr(checkpoint, name)
    reached, first = threading.Event(), iter([True])
    finish = run._finish_step  # pyright: ignore[reportPrivateUsage]

    def finish_step(*what: Any) -> None:
        finish(*what)
        if run.step == steps:
            reached.set()

    def written(*what: Any) -> None:
        if next(first, False):
            assert reached.wait(WAIT_S)
        write(*what)

    monkeypatch.setattr(run, "_finish_step", finish_step)
    monkeypatch.setattr(checkpoint, name, written)


@pytest.mark.parametrize("tuning", [None, FULL])
def test_a_checkpoint_is_of_its_step_and_said_when_it_is_whole_though_the_run_has_gone_on(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, tuning: dict[str, Any] | None
):
    changes = {"tuning": tuning} if tuning else {}
    spec = workshop.spec(hyperparameters=LONG, checkpointing={"everySteps": 4, "keepLast": 4}, **changes)
    run = open_run(spec)
    write_slowly(run, "save_tensors", 6, monkeypatch)
    run.run()
    order = said(spec)
    assert order.index("step 6") < order.index("checkpoint 4") < order.index("checkpoint 8")
    resumed = workshop.spec(
        hyperparameters=LONG, resumeFrom=str(Path(spec.output_dir) / "checkpoints/step-000004"), **changes
    )
    train(resumed)
    assert losses(resumed) == losses(spec)[4:]


def train_slowly(spec: RuntimeSpec, group: Group) -> None:
    """Each rank writes its part of the first checkpoint when it has made two more steps."""
    with pytest.MonkeyPatch.context() as patches:
        run = open_run(spec, group, sharded=True)
        write_slowly(run, "save_parts", 6, patches)
        run.run()


def test_parts_of_a_model_are_written_beside_the_steps_of_all_processes(workshop: Workshop):
    spec = workshop.spec(hyperparameters=LONG, checkpointing={"everySteps": 4, "keepLast": 4}, tuning=FULL)
    assert [how for how, _ in in_ranks([partial(train_slowly, spec)] * 2)] == ["done"] * 2
    order = said(spec)
    assert order.index("step 6") < order.index("checkpoint 4") < order.index("checkpoint 8")
    folder = Path(spec.output_dir) / "checkpoints/step-000004"
    resumed = workshop.spec(hyperparameters=LONG, resumeFrom=str(folder), tuning=FULL)
    train(resumed)
    np.testing.assert_allclose(losses(resumed), losses(spec)[4:], atol=1e-4)


def test_one_is_written_at_a_time_and_the_next_waits_for_it(tmp_path: Path):
    may_end, begun = threading.Event(), list[str]()

    def begin(*_: Any) -> Callable[[], str]:
        begun.append("begun")

        def write() -> str:
            assert may_end.wait(WAIT_S)
            begun.append("written")
            return "folder"

        return write

    saver = Saver(begin, EventsFile(str(tmp_path)), Group(), beside=True)
    saver.save(1)
    saver.look()
    assert begun == ["begun"]
    threading.Timer(0.1, may_end.set).start()
    saver.save(2)
    assert begun[:3] == ["begun", "written", "begun"]
    saver.finish()
    events = (tmp_path / "events.0.jsonl").read_text().splitlines()
    assert [json.loads(event)["step"] for event in events] == [1, 2]


def full_disk(*_: Any) -> None:
    raise OSError(28, "No space left on device")


def test_a_disk_that_fails_ends_the_run_that_has_gone_on(workshop: Workshop, monkeypatch: pytest.MonkeyPatch):
    spec = workshop.spec(hyperparameters=LONG)
    run = open_run(spec)
    monkeypatch.setattr(checkpoint, "save_file", full_disk)
    with pytest.raises(OSError, match="No space left"):
        run.run()
    assert run.step >= 2
    assert "checkpoint 2" not in said(spec)
    assert not list((Path(spec.output_dir) / "checkpoints").iterdir())


def save_when_told(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    told = threading.Event()
    write = checkpoint.save_file

    def written(*what: Any) -> None:
        assert told.wait(WAIT_S)
        write(*what)

    monkeypatch.setattr(checkpoint, "save_file", written)
    return told


def test_a_stop_waits_for_what_is_being_saved(workshop: Workshop, monkeypatch: pytest.MonkeyPatch):
    spec = workshop.spec(hyperparameters=LONG, checkpointing={"everySteps": 4, "keepLast": 2})
    run = open_run(spec)
    may_end = save_when_told(monkeypatch)
    threading.Timer(0.2, may_end.set).start()
    stop_in_the_fifth_step(run)
    assert said(spec)[-1] == "checkpoint 4"


def test_a_run_that_fails_leaves_what_it_was_saving(workshop: Workshop, monkeypatch: pytest.MonkeyPatch):
    spec = workshop.spec(hyperparameters=LONG, checkpointing={"everySteps": 4, "keepLast": 2})
    run = open_run(spec)
    may_end = save_when_told(monkeypatch)

    def fail() -> None:
        if run.step == 4:
            threading.Timer(0.2, may_end.set).start()
            raise Fault("training.diverged", "by itself")

    run.stepper.between = fail
    with pytest.raises(Fault, match="by itself"):
        run.run()
    assert said(spec)[-1] == "checkpoint 4"


def test_what_has_no_room_for_a_copy_is_saved_between_the_steps(workshop: Workshop):
    spec = workshop.spec(tuning=FULL, limits={**HOST, "memoryMib": 200_000})
    assert not plan_memory(spec, EIGHT_BILLION, 2048, Room(200_000)).saves_beside
    roomy = workshop.spec(tuning=FULL, limits={**HOST, "memoryMib": 400_000})
    assert plan_memory(roomy, EIGHT_BILLION, 2048, Room(400_000)).saves_beside
    # A GPU's checkpoint is copied to the memory of its machine.
    on_gpu = Room(300_000, on_gpu=True)
    assert plan_memory(spec, EIGHT_BILLION, 2048, on_gpu).saves_beside
    narrow = workshop.spec(tuning=FULL, limits={**HOST, "memoryMib": 40_000})
    assert not plan_memory(narrow, EIGHT_BILLION, 2048, on_gpu).saves_beside


def test_saving_between_the_steps_goes_on_as_exactly(workshop: Workshop):
    spec = workshop.spec(hyperparameters=LONG)
    run = open_run(spec)
    run.saver = Saver(run._begin_checkpoint, run.events, run.group, beside=False)  # pyright: ignore[reportPrivateUsage]
    run.run()
    assert said(spec)[:3] == ["step 1", "step 2", "checkpoint 2"]
