import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from conftest import Workshop

from runtime_torch import command
from runtime_torch.devices import device
from runtime_torch.devices.processor import computes_bfloat16

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [("flags\t: fma avx2 avx512_bf16", True), ("Features : fp asimd bf16", True), ("flags : avx2 avx512f", False)],
)
def test_bfloat16_is_told_from_the_processors_flags(tmp_path: Path, flags: str, expected: bool):
    cpuinfo = tmp_path / "cpuinfo"
    cpuinfo.write_text(flags)
    assert computes_bfloat16(cpuinfo) is expected
    assert computes_bfloat16(tmp_path / "none") is False


@pytest.mark.parametrize("has_it", [True, False])
def test_bfloat16_is_offered_only_where_it_is_fast_and_warned_of_elsewhere(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, has_it: bool
):
    monkeypatch.setattr(command, "computes_bfloat16", lambda: has_it)
    monkeypatch.setattr(device, "computes_bfloat16", lambda: has_it)
    assert ("bfloat16" in str(command.capabilities()["precisions"])) is has_it
    fields = workshop.fields(precision="bfloat16", hyperparameters={"maxSteps": 1})
    path = workshop.root / "spec.json"
    path.write_text(json.dumps(fields))
    assert command.run_command(["train", str(path)]) == 0
    lines = (Path(fields["outputDir"]) / "events.0.jsonl").read_text().splitlines()
    assert ("warning" in [json.loads(line)["type"] for line in lines]) is not has_it


@pytest.mark.parametrize("choice", ["auto", "cpu"])
def test_a_run_that_was_given_gpus_trains_on_the_processor_only_when_told_so(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, choice: str
):
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    monkeypatch.setenv("LUTHIER_TORCH_DEVICE", choice)
    fields = workshop.fields(parallelism={"nodes": 1, "devicesPerNode": 1}, hyperparameters={"maxSteps": 1})
    path = workshop.root / "spec.json"
    path.write_text(json.dumps(fields))
    assert command.run_command(["train", str(path)]) == (0 if choice == "cpu" else 41)
    events = [json.loads(line) for line in (Path(fields["outputDir"]) / "events.0.jsonl").read_text().splitlines()]
    said = [(event["type"], event["code"]) for event in events if event["type"] in ("warning", "failed")]
    assert said == [("warning", "devices.unused") if choice == "cpu" else ("failed", "config.bad")]


def test_an_unknown_command_is_a_bad_configuration(capsys: pytest.CaptureFixture[str]):
    assert command.run_command(["dance"]) == 41
    assert "usage" in capsys.readouterr().err


def test_capabilities_are_told_without_loading_torch_which_takes_seconds():
    script = (
        "import sys; from runtime_torch import command; command.capabilities(); "
        "print([name for name in ('torch', 'peft', 'transformers') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
