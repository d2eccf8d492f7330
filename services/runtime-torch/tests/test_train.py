"""Runs within this process; whole processes are in test/runtime-conformance."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import Workshop, open_run, stop_in_the_fifth_step, write_model
from safetensors.torch import load_file, save_file

from runtime_torch.fault import Fault
from runtime_torch.runs.open_run import open_inputs
from runtime_torch.spec import RuntimeSpec


def train(spec: RuntimeSpec) -> dict[str, Any]:
    return open_run(spec).run()


def losses(spec: RuntimeSpec) -> list[float]:
    lines = (Path(spec.output_dir) / "events.0.jsonl").read_text().splitlines()
    return [event["loss"] for event in map(json.loads, lines) if event["type"] == "step"]


LONG = {"epochs": 3}
FULL = {"type": "full"}
FREEZE = {"type": "freeze", "trainableLayers": 1}


@pytest.mark.parametrize("tuning", [None, FULL, FREEZE])
def test_a_run_learns_and_leaves_what_it_scored(workshop: Workshop, tuning: dict[str, Any] | None):
    changes = {"tuning": tuning} if tuning else {}
    spec = workshop.spec(hyperparameters={"epochs": 6}, **changes)
    result = train(spec)
    assert result["tuned"]["loss"] < result["base"]["loss"]
    kept = Path(spec.output_dir) / result["artifactDir"]
    data = {"heldOutDir": str(workshop.held_out)}
    if tuning:
        again = workshop.spec(modelDir=str(kept), data={"trainDir": str(workshop.train), **data}, **changes)
    else:
        again = workshop.spec(adapterDir=str(kept), data={"trainDir": str(workshop.train), **data})
    run = open_run(again)
    score = run._score_tuned()  # pyright: ignore[reportPrivateUsage]
    assert score is not None and score.loss == pytest.approx(result["tuned"]["loss"], abs=1e-6)


def adapter(**changes: Any) -> dict[str, Any]:
    always = {"r": 4, "loraAlpha": 8, "loraDropout": 0.1, "targetModules": "all-linear", "useRslora": False}
    return {"type": "lora", **always, **changes}


@pytest.mark.parametrize(
    ("tuning", "hyperparameters"),
    [
        (adapter(), {}),
        (FULL, {}),
        (FREEZE, {"optimizer": "adafactor"}),
        (FULL, {"optimizer": "muon"}),
        (FULL, {"optimizer": "adamw8bit"}),
        (adapter(useDora=True, loraplusLrRatio=4), {"neftuneNoiseAlpha": 5, "labelSmoothingFactor": 0.1}),
        (adapter(initLoraWeights="pissa"), {"optimizer": "adafactor"}),
        (adapter(type="qlora", bits=4), {"optimizer": "adamw8bit"}),
        (adapter(type="qlora", bits=8, useDora=True), {}),
    ],
)
def test_a_stopped_run_goes_on_exactly(workshop: Workshop, tuning: dict[str, Any], hyperparameters: dict[str, Any]):
    # Wide enough that 8-bit states are in 8 bits.
    model = write_model(workshop.root / "wide", sizes={"hidden_size": 64})
    changes: dict[str, Any] = {"tuning": tuning, "modelDir": str(model)}
    settings = {**LONG, **hyperparameters}
    whole = workshop.spec(hyperparameters=settings, **changes)
    train(whole)
    stopped = workshop.spec(hyperparameters=settings, **changes)
    run = open_run(stopped)
    stop_in_the_fifth_step(run)
    checkpoint = Path(stopped.output_dir) / "checkpoints/step-000004"
    resumed = workshop.spec(hyperparameters=settings, resumeFrom=str(checkpoint), **changes)
    train(resumed)
    assert losses(stopped) + losses(resumed) == losses(whole)


def test_freeze_moves_the_topmost_layers_alone_and_leaves_a_whole_model(workshop: Workshop):
    spec = workshop.spec(tuning=FREEZE)
    train(spec)
    before, after = (load_file(folder / "model.safetensors") for folder in (workshop.model, _artifact(spec)))
    assert before.keys() == after.keys()
    moved = {name for name, values in after.items() if not torch.equal(values, before[name])}
    assert moved == {name for name in before if name.startswith("model.layers.1.")}


def _artifact(spec: RuntimeSpec) -> Path:
    return Path(spec.output_dir) / "model"


def test_bfloat16_stays_near_float32_and_keeps_the_adapter_in_float32(workshop: Workshop):
    exact, rounded = workshop.spec(hyperparameters=LONG), workshop.spec(hyperparameters=LONG, precision="bfloat16")
    train(exact)
    train(rounded)
    assert losses(rounded) != losses(exact)
    np.testing.assert_allclose(losses(rounded), losses(exact), rtol=0.03)
    adapter = load_file(Path(rounded.output_dir) / "adapter/adapter_model.safetensors")
    assert {tensor.dtype for tensor in adapter.values()} == {torch.float32}


def test_a_loss_that_is_not_finite_names_the_step_and_the_rows(workshop: Workshop):
    path = workshop.model / "model.safetensors"
    tensors = load_file(path)
    tensors["model.embed_tokens.weight"][10] = float("nan")  # in row 1 (7, 8, 9, 10 ...) and its neighbours
    save_file(tensors, path, {"format": "pt"})
    spec = workshop.spec(data={"trainDir": str(workshop.train)})
    with pytest.raises(Fault, match=r"^Step 1: loss nan.*file-a line \d") as raised:
        train(spec)
    assert raised.value.exit_status == 43
    assert "learning rate" in raised.value.hint
    assert "first of all the weight model.embed_tokens.weight is not finite" in str(raised.value)


def test_a_loss_that_is_not_finite_names_the_first_layer_that_went_bad(workshop: Workshop):
    path = workshop.model / "model.safetensors"
    tensors = load_file(path)
    name = "model.layers.1.mlp.down_proj"
    tensors[f"{name}.weight"] = torch.full_like(tensors[f"{name}.weight"], 3e38)  # finite, and its products are not
    save_file(tensors, path, {"format": "pt"})
    spec = workshop.spec(data={"trainDir": str(workshop.train)})
    with pytest.raises(Fault, match=f"first of all the output of {name} is not finite"):
        train(spec)


def test_weights_that_are_missing_are_not_made_up(workshop: Workshop):
    path = workshop.model / "model.safetensors"
    tensors = load_file(path)
    del tensors["model.norm.weight"]
    save_file(tensors, path, {"format": "pt"})
    with pytest.raises(Fault, match=r"lack model\.norm\.weight") as raised:
        train(workshop.spec())
    assert raised.value.code == "model.unreadable"


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tuning": {"type": "freeze", "trainableLayers": 3}}, "trainableLayers: the model has 2 layers"),
        ({"data": {}}, "trainDir"),
    ],
)
def test_what_is_not_built_is_refused_by_name(workshop: Workshop, changes: dict[str, Any], named: str):
    with pytest.raises(Fault, match=named) as raised:
        open_inputs(workshop.spec(**changes))
    assert raised.value.exit_status == 41
