"""The example behind the contract, with a stand-in for LLaMA-Factory's program that prints and writes what it does."""

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Workshop, open_run

MAIN = Path(__file__).parents[1] / "examples/llama-factory/main.py"
PROGRAM = f"""#!{sys.executable}
import json, os, pathlib, sys, time
assert sys.argv[1] == "train"
asked = json.loads(pathlib.Path(sys.argv[2]).read_text())
out, behaviour = pathlib.Path(asked["output_dir"]), os.environ["STAND_IN"]
out.mkdir(parents=True)
resumed = asked.get("resume_from_checkpoint")
first = json.loads(pathlib.Path(resumed, "trainer_state.json").read_text())["global_step"] if resumed else 0
print("***** Running training *****", flush=True)
for step in range(first + 1, asked["max_steps"] + 1):
    loss = "nan" if behaviour == "nan" and step == 2 else str(5 - step / 10)
    print({{"loss": loss, "grad_norm": "0.5", "learning_rate": "0.01", "epoch": "0.1"}}, flush=True)
    if step % asked["save_steps"] == 0:
        folder = out / f"checkpoint-{{step}}"
        folder.mkdir()
        if behaviour == "half a checkpoint":
            (folder / "trainer_state.json").touch()
            sys.exit("KeyError: 'x'")
        (folder / "adapter_model.safetensors").write_text("weights")
        (folder / "trainer_state.json").write_text(json.dumps({{"global_step": step}}))
    if behaviour == "full memory" and step == 2:
        sys.exit("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.")
    if behaviour == "broken" and step == 2:
        sys.exit("KeyError: 'x'")
    if behaviour == "stopped" and step == 3:
        pathlib.Path(asked["output_dir"], "../../stop").touch()
        time.sleep(600)
(out / "adapter_model.safetensors").write_text("weights")
(out / "adapter_config.json").write_text("{{}}")
"""
DATASETS = """
import json, pathlib

class Dataset(list):
    @classmethod
    def from_generator(cls, rows, cache_dir):
        return cls(rows())

    def save_to_disk(self, folder):
        pathlib.Path(folder).mkdir(parents=True)
        pathlib.Path(folder, "rows.json").write_text(json.dumps(self))
"""


class Factory:
    """A machine that has the stand-in for LLaMA-Factory, and the module that it brings."""

    def __init__(self, workshop: Workshop) -> None:
        self._workshop = workshop
        self._tools = workshop.root / "tools"
        self._tools.mkdir()
        program = self._tools / "llamafactory-cli"
        program.write_text(PROGRAM)
        program.chmod(program.stat().st_mode | stat.S_IXUSR)
        (self._tools / "datasets.py").write_text(DATASETS)

    def train(self, behaviour: str = "", **changes: Any) -> tuple[int, list[dict[str, Any]], Path]:
        """The exit status, the events, and the output folder."""
        data = {"trainDir": str(self._workshop.train)}
        fields = self._workshop.fields(**{"data": data, "hyperparameters": {"epochs": 2}, **changes})
        path = self._workshop.root / "factory.json"
        path.write_text(json.dumps(fields))
        output = Path(fields["outputDir"])
        ended = subprocess.run(
            [sys.executable, str(MAIN), "train", str(path)],
            env={
                **os.environ,
                "PATH": f"{self._tools}:{os.environ['PATH']}",
                "PYTHONPATH": str(self._tools),
                "STAND_IN": behaviour,
            },
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=60,
        )
        lines = (output / "events.0.jsonl").read_text().splitlines()
        return ended.returncode, [json.loads(line) for line in lines], output


@pytest.fixture
def factory(workshop: Workshop) -> Factory:
    return Factory(workshop)


def of_type(events: list[dict[str, Any]], type: str) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == type]


def test_a_run_takes_the_rows_of_the_contract_and_leaves_what_it_wants(workshop: Workshop, factory: Factory):
    status, events, output = factory.train()
    assert status == 0
    ours = workshop.spec(hyperparameters={"epochs": 2}, data={"trainDir": str(workshop.train)})
    open_run(ours).run()
    lines = (Path(ours.output_dir) / "events.0.jsonl").read_text().splitlines()
    expected = of_type([json.loads(line) for line in lines], "step")
    names = ("step", "totalSteps", "epoch", "tokens", "trainedTokens")
    assert [[step[name] for name in names] for step in of_type(events, "step")] == [
        [step[name] for name in names] for step in expected
    ]
    rows = json.loads((output / "llama-factory/rows/rows.json").read_text())
    assert len(rows) == 6 * 4  # batches of 4, 4 and 3 rows, twice
    trained = [sum(label != -100 for row in rows[i : i + 4] for label in row["labels"]) for i in range(0, 24, 4)]
    assert trained == [step["trainedTokens"] for step in expected]
    assert sorted(path.name for path in (output / "checkpoints").iterdir()) == ["step-000004", "step-000006"]
    assert [event["step"] for event in of_type(events, "checkpoint")] == [2, 4, 6]
    result = events[-1]["result"]
    assert (result["steps"], result["firstLoss"], result["lastLoss"]) == (6, 4.9, 4.4)
    assert sorted(path.name for path in (output / "adapter").iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]


def test_what_was_stopped_ends_with_60_and_goes_on_from_its_last_checkpoint(factory: Factory):
    status, events, output = factory.train("stopped")
    assert status == 60
    kept = of_type(events, "checkpoint")[-1]
    assert kept["step"] == 2
    status, events, _ = factory.train(resumeFrom=str(output / kept["dir"]))
    assert status == 0
    assert events[0]["resumeStep"] == 2
    assert [event["step"] for event in of_type(events, "step")] == [3, 4, 5, 6]


@pytest.mark.parametrize(
    ("behaviour", "status", "code"),
    [
        ("nan", 43, "training.diverged"),
        ("full memory", 42, "device.out-of-memory"),
        ("broken", 1, "runtime.crashed"),
        ("half a checkpoint", 1, "runtime.crashed"),
    ],
)
def test_what_it_prints_tells_how_it_ended(factory: Factory, behaviour: str, status: int, code: str):
    found, events, _ = factory.train(behaviour)
    assert (found, events[-1]["type"], events[-1]["code"]) == (status, "failed", code)
    assert "Expecting value" not in events[-1]["message"], "a file half written is no reason"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tuning": {"type": "full"}}, "tuning"),
        ({"parallelism": {"nodes": 2, "devicesPerNode": 1}}, "parallelism"),
    ],
)
def test_what_has_no_equal_is_refused(factory: Factory, changes: dict[str, Any], named: str):
    status, events, _ = factory.train(**changes)
    assert status == 41
    assert events[-1]["message"].startswith(named)
