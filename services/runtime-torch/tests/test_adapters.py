"""DoRA, PiSSA and QLoRA: what starts where, and what others make of what was saved."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from bitsandbytes.nn.modules import Linear4bit, Linear8bitLt
from conftest import Workshop, open_run
from peft import LoraConfig, PeftModel, get_peft_model
from test_train import LONG, losses, train
from transformers import AutoModelForCausalLM

from runtime_torch.data.micro_batch import pack
from runtime_torch.data.prepared_dataset import Row
from runtime_torch.fault import Fault
from runtime_torch.models.quantised_model import EightBitLinear, FourBitLinear
from runtime_torch.runs.open_run import open_inputs
from runtime_torch.spec import RuntimeSpec
from runtime_torch.tunings.pissa_tuning import principal_parts

LORA = {"type": "lora", "r": 4, "loraAlpha": 8, "loraDropout": 0, "targetModules": "all-linear", "useRslora": False}
DORA = {**LORA, "useDora": True}
PISSA = {**LORA, "initLoraWeights": "pissa"}
QLORA = {**LORA, "type": "qlora", "bits": 4}
TOKENS = torch.tensor([[5, 6, 7, 8, 9, 10]])


def artifact(spec: RuntimeSpec) -> Path:
    return Path(spec.output_dir) / "adapter"


def logits_of(hidden: torch.Tensor, weight: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
    return hidden @ weight.T


def logits_here(workshop: Workshop, spec: RuntimeSpec) -> torch.Tensor:
    """Of the model as it is when the run has ended."""
    run = open_run(spec)
    run.run()
    run.model.eval()
    row = Row(TOKENS[0].numpy(), np.ones(6, np.uint8), "")
    rows = replace(pack([row]), predictors=torch.arange(6))
    return run.model.over(rows, logits_of).detach()


@pytest.mark.parametrize(
    "tuning",
    [DORA, PISSA, {**PISSA, "useRslora": True, "loraDropout": 0.1}],
    ids=["dora", "pissa", "pissa with rslora and dropout"],
)
def test_peft_makes_the_same_model_of_the_plain_base_and_what_was_saved(workshop: Workshop, tuning: dict[str, Any]):
    spec = workshop.spec(tuning=tuning, hyperparameters=LONG)
    here = logits_here(workshop, spec)
    base: Any = AutoModelForCausalLM.from_pretrained(workshop.model)
    model: Any = PeftModel.from_pretrained(base, str(artifact(spec)))
    there = model.eval()(TOKENS).logits[0].detach()
    torch.testing.assert_close(there, here, atol=2e-4, rtol=1e-4)
    with model.disable_adapter():
        assert not torch.allclose(model(TOKENS).logits[0], here, atol=1e-2)


@pytest.mark.parametrize("tuning", [DORA, PISSA, {**QLORA, "useDora": True}, {**QLORA, "initLoraWeights": "pissa"}])
def test_a_run_starts_as_its_base(workshop: Workshop, tuning: dict[str, Any]):
    spec, plain = workshop.spec(tuning=tuning), workshop.spec(tuning={**LORA, **_base_of(tuning)})
    result, expected = train(spec), train(plain)
    assert result["base"] == expected["base"]
    assert losses(spec)[0] == pytest.approx(losses(plain)[0], abs=1e-5)
    assert result["tuned"]["loss"] != expected["tuned"]["loss"]


def _base_of(tuning: dict[str, Any]) -> dict[str, Any]:
    return {key: tuning[key] for key in ("type", "bits") if key in tuning}


def test_pissa_begins_with_what_peft_begins_with(workshop: Workshop):
    """Each takes the best approximation of the weights by the rank."""
    run = open_run(workshop.spec(tuning=PISSA))
    base: Any = AutoModelForCausalLM.from_pretrained(workshop.model)
    config = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", init_lora_weights="pissa")
    theirs = {name: one for name, one in get_peft_model(base, config).named_parameters() if one.requires_grad}
    for name, ours in run.tuning.trained.items():
        if ".lora_A." not in name:
            continue
        other = name.replace(".lora_A.", ".lora_B.")
        expected = theirs[_adapter(other)] @ theirs[_adapter(name)]
        torch.testing.assert_close(run.tuning.trained[other] @ ours, expected, atol=1e-3, rtol=0)


def _adapter(name: str) -> str:
    return name.replace(".weight", ".default.weight")


def test_principal_parts_share_the_size_of_what_they_approximate():
    torch.manual_seed(1)
    weight = torch.randn(12, 20) @ torch.diag(torch.logspace(0, -3, 20))
    a, b = principal_parts(weight, 12, scale=2)
    torch.testing.assert_close(2 * b @ a, weight, atol=1e-5, rtol=0)
    torch.testing.assert_close(a @ a.T, b.T @ b, atol=1e-5, rtol=0)


def test_an_adapter_with_magnitudes_is_gone_on_from(workshop: Workshop):
    first = workshop.spec(tuning=DORA)
    result = train(first)
    again = open_run(workshop.spec(adapterDir=str(artifact(first)), tuning=DORA))
    score = again._score_tuned()  # pyright: ignore[reportPrivateUsage]
    assert score is not None and score.loss == pytest.approx(result["tuned"]["loss"], abs=1e-6)


@pytest.mark.parametrize(("bits", "apart"), [(4, 0.1), (8, 0.02)])
def test_qlora_learns_and_stays_near_what_is_not_quantised(workshop: Workshop, bits: int, apart: float):
    exact, quantised = (
        workshop.spec(hyperparameters=LONG),
        workshop.spec(hyperparameters=LONG, tuning={**QLORA, "bits": bits}),
    )
    expected, result = train(exact), train(quantised)
    assert losses(quantised) != losses(exact)
    assert losses(quantised) == pytest.approx(losses(exact), rel=apart)
    assert result["tuned"]["loss"] < result["base"]["loss"]
    assert result["base"]["loss"] == pytest.approx(expected["base"]["loss"], rel=apart)


@pytest.mark.parametrize("tuning", [QLORA, {**QLORA, "useDora": True}])
def test_qlora_in_bfloat16_stays_near_float32_and_keeps_the_adapter_in_float32(
    workshop: Workshop, tuning: dict[str, Any]
):
    exact, rounded = (workshop.spec(tuning=tuning, precision=one) for one in ("float32", "bfloat16"))
    train(exact)
    run = open_run(rounded)
    run.run()
    assert losses(rounded) == pytest.approx(losses(exact), rel=0.03)
    assert {one.dtype for one in run.tuning.trained.values()} == {torch.float32}


def test_dpo_of_few_bits_begins_with_a_coin_toss(workshop: Workshop):
    """Its reference is measured where nothing is trained, and compared with what is."""
    method = {"type": "dpo", "loss": "sigmoid", "beta": 0.1, "labelSmoothing": 0}
    for tuning in (QLORA, {**QLORA, "bits": 8}, DORA, PISSA):
        spec = workshop.spec(tuning=tuning, method=method, data=workshop.pairs)
        train(spec)
        assert losses(spec)[0] == pytest.approx(0.693147, abs=1e-5)


@pytest.mark.parametrize("bits", [4, 8])
def test_a_layer_of_few_bits_is_bitsandbytes_own_with_a_gradient(bits: int):
    torch.manual_seed(1)
    linear = torch.nn.Linear(64, 48)
    layer = (FourBitLinear if bits == 4 else EightBitLinear)(linear, torch.device("cpu"))
    layer.take_weight(linear.weight.detach())
    inputs = torch.randn(5, 64, requires_grad=True)
    output = layer(inputs)
    theirs: Any = (
        Linear4bit(64, 48, compute_dtype=torch.float32, quant_type="nf4")
        if bits == 4
        else Linear8bitLt(64, 48, has_fp16_weights=False)
    )
    theirs.load_state_dict(linear.state_dict())
    expected = theirs.to("cpu")(inputs.detach().requires_grad_())
    torch.testing.assert_close(output, expected, atol=1e-4, rtol=1e-4)
    (gradient,) = torch.autograd.grad(output.sum(), inputs)
    torch.testing.assert_close(gradient, layer.weight.sum(dim=0).expand(5, 64))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"tuning": {**PISSA, "useDora": True}}, "initLoraWeights"),
        ({"tuning": {**PISSA, "r": 17}}, r"tuning\.r: pissa takes at most 16"),
        ({"tuning": PISSA, "method": {"type": "reward", "centerRewardsCoefficient": 0}}, "initLoraWeights"),
        ({"tuning": PISSA, "adapterDir": "/none"}, "initLoraWeights"),
        ({"hyperparameters": {"optimizer": "muon"}}, "optimizer"),
        (
            {
                "hyperparameters": {"labelSmoothingFactor": 0.1},
                "method": {"type": "orpo", "beta": 0.1},
            },
            "labelSmoothingFactor",
        ),
    ],
)
def test_what_does_not_go_together_is_refused_by_its_field(workshop: Workshop, changes: dict[str, Any], named: str):
    with pytest.raises(Fault, match=named) as raised:
        open_inputs(workshop.spec(**changes))
    assert raised.value.exit_status == 41


def test_a_saved_adapter_says_what_it_is(workshop: Workshop):
    spec = workshop.spec(tuning=PISSA)
    train(spec)
    config = json.loads((artifact(spec) / "adapter_config.json").read_text())
    kept = {name: config[name] for name in ("r", "lora_alpha", "use_dora", "init_lora_weights")}
    assert kept == {"r": 8, "lora_alpha": 16, "use_dora": False, "init_lora_weights": True}


@pytest.mark.parametrize("tuning", [QLORA, DORA])
def test_a_reward_model_is_trained_on_few_bits_and_with_magnitudes(workshop: Workshop, tuning: dict[str, Any]):
    method = {"type": "reward", "centerRewardsCoefficient": 0}
    spec = workshop.spec(tuning=tuning, method=method, data=workshop.pairs, hyperparameters=LONG)
    result = train(spec)
    assert result["tuned"]["loss"] < result["base"]["loss"]
