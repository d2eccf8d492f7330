"""Embeddings and output weights that are trained whole beside an adapter."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Workshop, write_model
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file
from test_adapters import LORA, TOKENS, artifact, logits_here
from test_train import LONG, losses, train
from transformers import AutoModelForCausalLM

from runtime_torch.fault import Fault
from runtime_torch.runs.open_run import open_inputs
from runtime_torch.tunings.whole_module_names import STORED_NAMES

BOTH = {**LORA, "modulesToSave": ["embed_tokens", "lm_head"]}
HEAD = {**LORA, "modulesToSave": ["lm_head"]}
EMBEDDINGS_NAME, HEAD_NAME = STORED_NAMES["embed_tokens"], STORED_NAMES["lm_head"]
GENTLE = {**LONG, "learningRate": 0.005}


@pytest.fixture
def untied(workshop: Workshop) -> Workshop:
    workshop.model = write_model(workshop.root / "untied", tied=False)
    return workshop


def base_of(workshop: Workshop) -> Any:
    return AutoModelForCausalLM.from_pretrained(workshop.model)


def expect_peft_agrees(workshop: Workshop, tuning: dict[str, Any]) -> dict[str, torch.Tensor]:
    spec = workshop.spec(tuning=tuning, hyperparameters=GENTLE)
    here = logits_here(workshop, spec)
    model: Any = PeftModel.from_pretrained(base_of(workshop), str(artifact(spec)))
    torch.testing.assert_close(model.eval()(TOKENS).logits[0].detach(), here, atol=1e-4, rtol=1e-4)
    with model.disable_adapter():
        assert not torch.allclose(model(TOKENS).logits[0], here, atol=1e-2)
    return load_file(artifact(spec) / "adapter_model.safetensors")


def test_peft_makes_the_same_model_of_what_was_saved_of_a_tied_one(workshop: Workshop):
    stored = expect_peft_agrees(workshop, BOTH)
    torch.testing.assert_close(stored[EMBEDDINGS_NAME], stored[HEAD_NAME], atol=0, rtol=0)
    assert not torch.equal(stored[HEAD_NAME], base_of(workshop).get_input_embeddings().weight)


@pytest.mark.parametrize("tuning", [BOTH, HEAD, {**HEAD, "useDora": True}], ids=["both", "head", "head and dora"])
def test_peft_makes_the_same_model_of_what_was_saved_of_an_untied_one(untied: Workshop, tuning: dict[str, Any]):
    stored = expect_peft_agrees(untied, tuning)
    assert {EMBEDDINGS_NAME, HEAD_NAME} & stored.keys() == {STORED_NAMES[name] for name in tuning["modulesToSave"]}


def test_a_run_starts_as_its_base(workshop: Workshop):
    spec, plain = workshop.spec(tuning=BOTH), workshop.spec(tuning=LORA)
    result, expected = train(spec), train(plain)
    assert result["base"] == expected["base"]
    assert losses(spec)[0] == pytest.approx(losses(plain)[0], abs=1e-5)


def test_what_is_trained_is_kept_in_single_precision(workshop: Workshop):
    spec = workshop.spec(tuning=BOTH, precision="bfloat16", hyperparameters=GENTLE)
    result = train(spec)
    assert result["tuned"]["loss"] < result["base"]["loss"]
    stored = load_file(artifact(spec) / "adapter_model.safetensors")
    assert {tensor.dtype for tensor in stored.values()} == {torch.float32}
    assert not torch.equal(stored[HEAD_NAME], stored[HEAD_NAME].bfloat16().float())


@pytest.mark.parametrize("modules", [["embed_tokens"], ["lm_head"], ["embed_tokens", "lm_head"]])
def test_an_adapter_that_peft_untied_goes_on_as_it_is(workshop: Workshop, modules: list[str]):
    settings: Any = LoraConfig(r=4, target_modules=["q_proj"], modules_to_save=modules, task_type="CAUSAL_LM")
    model = get_peft_model(base_of(workshop), settings)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if "modules_to_save" in name:
                parameter.add_(0.05 * torch.randn_like(parameter))
    model.save_pretrained(str(workshop.root / "theirs"))
    spec = workshop.spec(tuning=LORA, adapterDir=str(workshop.root / "theirs"), hyperparameters=GENTLE)
    here = logits_here(workshop, spec)
    there: Any = PeftModel.from_pretrained(base_of(workshop), str(artifact(spec)))
    torch.testing.assert_close(there.eval()(TOKENS).logits[0].detach(), here, atol=1e-4, rtol=1e-4)
    saved = json.loads((artifact(spec) / "adapter_config.json").read_text())
    assert (saved["modules_to_save"], saved["ensure_weight_tying"]) == (modules, False)


def test_half_of_a_matrix_that_is_both_is_refused_with_what_to_do(workshop: Workshop):
    with pytest.raises(Fault, match=r"tuning\.modulesToSave: .*name both"):
        open_inputs(workshop.spec(tuning=HEAD))


def test_a_matrix_that_the_settings_do_not_name_or_of_another_vocabulary_is_refused(untied: Workshop):
    made = untied.spec(tuning=HEAD)
    train(made)
    folder: Path = artifact(made)
    stored = load_file(folder / "adapter_model.safetensors")
    resized = torch.cat([stored[HEAD_NAME], stored[HEAD_NAME][:2]])
    save_file({**stored, HEAD_NAME: resized}, folder / "adapter_model.safetensors")
    with pytest.raises(Fault, match=r"lm_head\.weight.*resized.*with PEFT"):
        train(untied.spec(tuning=HEAD, adapterDir=str(folder)))
    save_file({**stored, EMBEDDINGS_NAME: resized}, folder / "adapter_model.safetensors")
    with pytest.raises(Fault, match=r"does not name .*embed_tokens\.weight"):
        train(untied.spec(tuning=HEAD, adapterDir=str(folder)))


def test_other_modules_are_refused_by_name(workshop: Workshop):
    made = workshop.spec(tuning=LORA)
    train(made)
    config = artifact(made) / "adapter_config.json"
    config.write_text(json.dumps({**json.loads(config.read_text()), "modules_to_save": ["norm"]}))
    with pytest.raises(Fault, match='"norm" is not supported'):
        open_inputs(workshop.spec(tuning=LORA, adapterDir=str(artifact(made))))
