"""What is known of a model before its weights are read."""

from pathlib import Path

import pytest
from conftest import write_model
from transformers import AutoModelForCausalLM

from runtime_torch.models.model_config import read_model_config


@pytest.mark.parametrize("family", ["llama", "qwen2", "qwen3"])
@pytest.mark.parametrize("tied", [True, False])
def test_counts_the_numbers_of_every_family_with_its_biases_and_norms(tmp_path: Path, family: str, tied: bool):
    folder = write_model(tmp_path / "model", family, tied=tied)
    model = AutoModelForCausalLM.from_pretrained(folder)
    assert read_model_config(str(folder)).parameters == model.num_parameters()
    (layer, *_) = model.model.layers
    assert read_model_config(str(folder)).layer_parameters == sum(one.numel() for one in layer.parameters())
