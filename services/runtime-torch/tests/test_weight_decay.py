"""What weight decay draws towards zero, and what it leaves as it is."""

from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Workshop, open_run, write_model
from test_train import FULL
from transformers import AutoModelForCausalLM, Trainer

from runtime_torch.processes.group import Group
from runtime_torch.runs.optimiser import optimiser_of
from runtime_torch.runs.weight_decay import is_decayed

RATE = 0.02
SHAPES = {
    "model.embed_tokens.weight": (96, 64),
    "model.layers.0.input_layernorm.weight": (64,),
    "model.layers.0.self_attn.q_proj.weight": (64, 64),
    "model.layers.0.self_attn.q_proj.bias": (64,),
    "model.layers.0.mlp.up_proj.weight": (40, 64),
    "model.norm.weight": (64,),
}
MATRICES = {name for name, shape in SHAPES.items() if len(shape) == 2}


def moved(workshop: Workshop, optimizer: str, decay: float) -> dict[str, torch.Tensor]:
    """All of `SHAPES` after three steps."""
    random = torch.Generator().manual_seed(1)
    trained = {name: torch.nn.Parameter(torch.randn(shape, generator=random)) for name, shape in SHAPES.items()}
    settings = {"optimizer": optimizer, "weightDecay": decay}
    optimiser = optimiser_of(workshop.spec(tuning=FULL, hyperparameters=settings), trained, Group())
    for _ in range(3):
        for parameter in trained.values():
            parameter.grad = torch.randn(parameter.shape, generator=random)
        optimiser.step(RATE)
    return {name: parameter.detach() for name, parameter in trained.items()}


@pytest.mark.parametrize("optimizer", ["adamw", "adamw8bit", "adafactor", "muon"])
def test_decay_moves_matrices_alone_and_leaves_vectors_to_the_bit(workshop: Workshop, optimizer: str):
    plain, decayed = moved(workshop, optimizer, 0.0), moved(workshop, optimizer, 0.1)
    assert {name for name in SHAPES if not torch.equal(plain[name], decayed[name])} == MATRICES
    for name in MATRICES:
        assert decayed[name].norm() < plain[name].norm()


def test_without_decay_all_are_moved_as_by_one_group_to_the_bit(workshop: Workshop):
    random = torch.Generator().manual_seed(1)
    trained = {name: torch.nn.Parameter(torch.randn(shape, generator=random)) for name, shape in SHAPES.items()}
    optimiser = torch.optim.AdamW(trained.values(), lr=RATE, weight_decay=0.0)
    for _ in range(3):
        for parameter in trained.values():
            parameter.grad = torch.randn(parameter.shape, generator=random)
        optimiser.step()
    found = moved(workshop, "adamw", 0.0)
    assert all(torch.equal(found[name], parameter.detach()) for name, parameter in trained.items())


@pytest.mark.parametrize("family", ["llama", "mistral", "qwen2", "qwen3", "gemma2", "gemma3_text"])
@pytest.mark.parametrize("tied", [True, False])
def test_decays_of_a_whole_model_what_transformers_decays(tmp_path: Path, family: str, tied: bool):
    model: Any = AutoModelForCausalLM.from_pretrained(write_model(tmp_path / "model", family, tied=tied))
    theirs = set(Trainer.get_decay_parameter_names(None, model))  # pyright: ignore[reportArgumentType]
    # Tied weights have two names there, and one where they are trained.
    named = dict(model.named_parameters())
    assert {name for name, one in named.items() if is_decayed(name, one)} == theirs & named.keys()


def test_decays_both_matrices_of_an_adapter_and_not_its_magnitudes(workshop: Workshop):
    tuning = {"type": "lora", "r": 4, "loraAlpha": 8, "loraDropout": 0, "targetModules": "all-linear"}
    run = open_run(workshop.spec(tuning={**tuning, "useRslora": False, "useDora": True}))
    for name, parameter in run.tuning.trained.items():
        assert is_decayed(name, parameter) == (".lora_A." in name or ".lora_B." in name)
        assert is_decayed(name, parameter) != ("magnitude" in name)
