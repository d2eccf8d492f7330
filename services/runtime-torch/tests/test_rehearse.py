import json
from pathlib import Path
from typing import Any

import pytest
from conftest import Workshop, counting_rows, write_data
from processes import command_in_ranks, in_ranks
from safetensors.torch import load_file, save_file

from runtime_torch import command
from runtime_torch.processes.group import Group
from runtime_torch.runs.rehearse import _most_of_any  # pyright: ignore[reportPrivateUsage]


def rehearse(workshop: Workshop, **changes: Any) -> tuple[int, list[dict[str, Any]]]:
    """The exit status and the events."""
    fields = workshop.fields(mode="rehearse", **changes)
    path = workshop.root / "spec.json"
    path.write_text(json.dumps(fields))
    status = command.run_command(["rehearse", str(path)])
    lines = (Path(fields["outputDir"]) / "events.0.jsonl").read_text().splitlines()
    return status, [json.loads(line) for line in lines]


@pytest.mark.parametrize("method", ["supervised", "dpo", "kto"])
def test_two_steps_with_the_longest_rows_are_saved_and_gone_on_from(workshop: Workshop, method: str):
    settings: dict[str, dict[str, Any]] = {
        "supervised": {},
        "dpo": {
            "method": {"type": "dpo", "loss": "sigmoid", "beta": 0.1, "labelSmoothing": 0},
            "data": workshop.pairs,
        },
        "kto": {
            "method": {"type": "kto", "beta": 0.1, "desirableWeight": 1, "undesirableWeight": 1},
            "data": workshop.rated,
        },
    }
    long = {"epochs": 50, "evaluationSteps": 1}
    status, events = rehearse(workshop, **settings[method], hyperparameters=long)
    assert status == 0
    steps = [event for event in events if event["type"] == "step"]
    assert [step["step"] for step in steps] == [1, 2]
    result = events[-1]["result"]
    assert result["tokensPerStep"] == steps[0]["tokens"] == steps[1]["tokens"]
    if method == "supervised":
        rows = sorted((len(row) for row in counting_rows(11)), reverse=True)
        assert result["tokensPerStep"] == sum(rows[:4])
    assert result["stepMs"] == pytest.approx(sum(step["stepMs"] for step in steps) / 2)
    assert result["peakMemoryMib"] > 100
    assert result["checkpointMib"] > 0
    phases = [event["phase"] for event in events if event["type"] == "phase"]
    assert phases[-2:] == ["saving", "scoring-tuned"]
    assert phases.count("training") == 2  # the second run has nothing left to train


def test_what_only_the_longest_row_meets_fails_here_as_it_would_in_the_run(workshop: Workshop):
    path = workshop.model / "model.safetensors"
    tensors = load_file(path)
    tensors["model.embed_tokens.weight"][90] = float("nan")
    save_file(tensors, path, {"format": "pt"})
    train = write_data(workshop.root / "rare", [*counting_rows(11), [80 + i for i in range(16)]])
    status, events = rehearse(workshop, data={"trainDir": str(train)}, hyperparameters={"globalBatch": 1})
    assert status == 43
    assert events[-1]["code"] == "training.diverged"
    assert "file-a line 12" in events[-1]["message"]


def test_more_memory_than_the_run_may_take_is_said_with_what_was_measured(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("runtime_torch.devices.memory_plan._RUNTIME_MIB", 0)  # the estimate is far too low
    status, events = rehearse(workshop, limits={"memoryMib": 100, "cpu": 1, "deadlineSeconds": 60})
    assert status == 42
    assert events[-1]["code"] == "device.out-of-memory"
    assert "may take 100 MiB" in events[-1]["message"]
    assert not [event for event in events if event["type"] == "result"]


def test_a_checkpoint_that_cannot_be_written_is_found_out_now(workshop: Workshop, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("runtime_torch.runs.checkpoint.save_file", full)
    status, events = rehearse(workshop)
    assert (status, events[-1]["code"], events[-1]["step"]) == (45, "disk.full", 2)


def test_another_attempt_makes_its_steps_again(workshop: Workshop):
    _, events = rehearse(workshop)
    saved = next(event["dir"] for event in events if event["type"] == "checkpoint")
    status, events = rehearse(workshop, resumeFrom=str(workshop.root / "out-1" / saved))
    assert status == 0
    assert [event["step"] for event in events if event["type"] == "step"] == [1, 2]


@pytest.mark.parametrize("tuning", ["lora", "full"])
def test_several_processes_rehearse_together_whether_or_not_each_holds_the_whole_model(workshop: Workshop, tuning: str):
    fields = workshop.fields(mode="rehearse", **({"tuning": {"type": "full"}} if tuning == "full" else {}))
    path = workshop.root / "spec.json"
    path.write_text(json.dumps(fields))
    assert command_in_ranks(["rehearse", str(path)], 2) == [("done", 0)] * 2
    of_ranks = [
        [json.loads(line) for line in (Path(fields["outputDir"]) / f"events.{rank}.jsonl").read_text().splitlines()]
        for rank in range(2)
    ]
    assert [event["step"] for event in of_ranks[0] if event["type"] == "step"] == [1, 2]
    assert of_ranks[0][-1]["result"]["peakMemoryMib"] > 100
    assert not [event for event in of_ranks[1] if event["type"] in ("failed", "result")]


def most(group: Group) -> dict[str, float]:
    return _most_of_any({"peakMemoryMib": 100 + group.rank, "deviceMib": 50 - group.rank}, group)


def test_the_memory_is_that_of_the_process_that_took_most():
    assert in_ranks([most] * 3) == [("done", {"peakMemoryMib": 102, "deviceMib": 50})] * 3
