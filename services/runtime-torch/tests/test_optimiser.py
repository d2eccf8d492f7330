"""Optimisers, each beside a second, plain implementation, and what LoRA+, NEFTune and label smoothing change."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from bitsandbytes.optim.adamw import AdamW8bit
from conftest import Workshop, counting_rows, open_run
from peft import LoraConfig, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from test_train import FULL, LONG, losses, train
from transformers import AutoModelForCausalLM

from runtime_torch.data.micro_batch import pack
from runtime_torch.data.prepared_dataset import Row
from runtime_torch.models.head import summed_loss
from runtime_torch.processes.group import Group
from runtime_torch.runs.optimiser import is_fast, is_matrix_of_a_layer, optimiser_of
from runtime_torch.tunings.adapter_tuning import stored_name
from runtime_torch.tunings.embedding_noise import EmbeddingNoise

LORA = {"type": "lora", "r": 4, "loraAlpha": 8, "loraDropout": 0, "targetModules": "all-linear", "useRslora": False}
RATE, DECAY = 0.02, 0.1


def moved(workshop: Workshop, optimizer: str, name: str, start: torch.Tensor, gradients: list[torch.Tensor]):
    """A parameter of that name after a step with each gradient."""
    settings = {"optimizer": optimizer, "weightDecay": DECAY}
    parameter = torch.nn.Parameter(start.clone())
    optimiser = optimiser_of(workshop.spec(tuning=FULL, hyperparameters=settings), {name: parameter}, Group())
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimiser.step(RATE)
    return parameter.detach()


def random(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(12, 20), (20, 12)])
def test_muon_takes_newton_schulz_steps_as_large_as_adamws(workshop: Workshop, shape: tuple[int, int]):
    start, gradients = random(*shape), [random(*shape, seed=seed) for seed in (2, 3)]
    expected, momentum = start.double(), torch.zeros(shape, dtype=torch.float64)
    for gradient in gradients:
        momentum = 0.95 * momentum + 0.05 * gradient
        x = 0.05 * gradient + 0.95 * momentum
        x = x / x.norm()
        for _ in range(5):
            square = x @ x.T
            x = 3.4445 * x + (-4.775 * square + 2.0315 * square @ square) @ x
        expected = expected * (1 - RATE * DECAY) - 0.2 * math.sqrt(max(shape)) * RATE * x
    found = moved(workshop, "muon", "model.layers.0.mlp.up_proj.weight", start, gradients)
    torch.testing.assert_close(found.double(), expected, atol=1e-6, rtol=0)


def test_muon_leaves_what_is_no_matrix_of_a_layer_to_adamw(workshop: Workshop):
    gradients = [random(6, 4, seed=2)]
    for name in ("model.embed_tokens.weight", "lm_head.weight"):
        assert not is_matrix_of_a_layer(name, gradients[0])
        found, other = (moved(workshop, which, name, random(6, 4), gradients) for which in ("muon", "adamw"))
        assert torch.equal(found, other)
    assert not is_matrix_of_a_layer("model.layers.0.input_layernorm.weight", random(4))


def test_adafactor_moves_by_means_of_rows_and_columns_at_the_given_rate(workshop: Workshop):
    start, gradients = random(6, 4), [random(6, 4, seed=seed) for seed in (2, 3)]
    expected, rows, columns = start.double().numpy(), np.zeros(6), np.zeros(4)
    for step, gradient in enumerate((one.double().numpy() for one in gradients), start=1):
        kept = 1 - step**-0.8
        rows = kept * rows + (1 - kept) * (gradient**2).mean(axis=1)
        columns = kept * columns + (1 - kept) * (gradient**2).mean(axis=0)
        update = gradient / np.sqrt(np.outer(rows, columns) / rows.mean())
        update /= max(1.0, np.sqrt((update**2).mean()))
        expected = expected * (1 - RATE * DECAY) - RATE * update
    found = moved(workshop, "adafactor", "model.layers.0.mlp.up_proj.weight", start, gradients)
    np.testing.assert_allclose(found.numpy(), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(64, 256), (64, 128), (20, 300)])
def test_adamw_in_8_bits_stays_near_adamw_with_a_quarter_of_its_states(workshop: Workshop, shape: tuple[int, int]):
    start, gradients = random(*shape), [random(*shape, seed=seed) for seed in range(5)]
    found, exact = (moved(workshop, which, "weight", start, gradients) for which in ("adamw8bit", "adamw"))
    assert not torch.equal(found, exact)
    assert (found - exact).abs().mean().item() < (exact - start).abs().mean().item() / 50
    parameter = torch.nn.Parameter(start)
    spec = workshop.spec(tuning=FULL, hyperparameters={"optimizer": "adamw8bit"})
    optimiser = optimiser_of(spec, {"weight": parameter}, Group())
    optimiser.open_states(1)
    kept = sum(tensor.numel() * tensor.element_size() for tensor in optimiser.tensors().values())
    assert kept == 2 * (start.numel() + 4 * shape[0] * math.ceil(shape[1] / 256))


def test_adamw_in_8_bits_moves_rows_of_whole_blocks_as_bitsandbytes_does(workshop: Workshop):
    start, gradients = random(16, 512), [random(16, 512, seed=seed) for seed in range(5)]
    parameter = torch.nn.Parameter(start.clone())
    theirs = AdamW8bit([parameter], lr=RATE, weight_decay=DECAY)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        theirs.step()
    assert torch.equal(moved(workshop, "adamw8bit", "weight", start, gradients), parameter.detach())


def test_adamw_in_8_bits_moves_a_row_alike_whatever_rows_lie_beside_it(workshop: Workshop):
    start, gradients = random(40, 300), [random(40, 300, seed=seed) for seed in range(3)]
    whole = moved(workshop, "adamw8bit", "weight", start, gradients)
    part = moved(workshop, "adamw8bit", "weight", start[20:], [gradient[20:] for gradient in gradients])
    assert torch.equal(whole[20:], part)


@pytest.mark.parametrize("shape", [(64,), (20, 100)])
def test_what_is_too_small_for_8_bits_is_moved_by_adamw(workshop: Workshop, shape: tuple[int, ...]):
    gradients = [random(*shape, seed=2)]
    found, exact = (moved(workshop, which, "weight", random(*shape), gradients) for which in ("adamw8bit", "adamw"))
    assert torch.equal(found, exact)


@pytest.mark.parametrize("use_dora", [False, True])
def test_lora_plus_gives_the_same_parameters_the_higher_rate_as_peft(workshop: Workshop, use_dora: bool):
    config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM", use_dora=use_dora)
    model: Any = get_peft_model(AutoModelForCausalLM.from_pretrained(workshop.model), config)
    theirs = create_loraplus_optimizer(model, torch.optim.AdamW, lr=RATE, loraplus_lr_ratio=16)
    named = {parameter: stored_name(name) for name, parameter in model.named_parameters()}
    rates = {named[one]: group["lr"] for group in theirs.param_groups for one in group["params"]}
    tuning = {**LORA, "useDora": use_dora, "loraplusLrRatio": 16}
    trained = open_run(workshop.spec(tuning=tuning)).tuning.trained
    assert {name: RATE * (16 if is_fast(name, one) else 1) for name, one in trained.items()} == rates


def test_lora_plus_moves_b_by_its_ratio(workshop: Workshop):
    names = {"a": "x.lora_A.weight", "b": "x.lora_B.weight"}
    trained = {name: torch.nn.Parameter(torch.zeros(2, 2)) for name in names.values()}
    optimiser = optimiser_of(workshop.spec(tuning={**LORA, "loraplusLrRatio": 8}), trained, Group())
    for parameter in trained.values():
        parameter.grad = torch.ones(2, 2)
    optimiser.step(RATE)
    assert trained[names["a"]].mean().item() == pytest.approx(-RATE)
    assert trained[names["b"]].mean().item() == pytest.approx(-8 * RATE)


def row(number: int, length: int) -> Row:
    return Row(np.arange(length, dtype=np.int32), np.ones(length, np.uint8), "", number=number)


def test_neftune_scales_noise_by_row_and_size_and_leaves_no_trace_of_neighbours():
    noise = EmbeddingNoise(seed=7, alpha=5)
    together = noise.added_to(torch.zeros(400 + 100, 64), pack([row(3, 400), row(4, 100)]))
    alone = noise.added_to(torch.zeros(100, 64), pack([row(4, 100)]))
    assert torch.equal(together[400:], alone)
    for part, length in ((together[:400], 400), (alone, 100)):
        bound = 5 / math.sqrt(length * 64)
        assert part.abs().max().item() == pytest.approx(bound, rel=0.01)
        assert part.mean().item() == pytest.approx(0, abs=bound / 20)
    noise.step = 1
    assert not torch.equal(noise.added_to(torch.zeros(100, 64), pack([row(4, 100)])), alone)


def test_neftune_disturbs_steps_and_no_scores(workshop: Workshop):
    plain, noisy = workshop.spec(), workshop.spec(hyperparameters={"neftuneNoiseAlpha": 5})
    expected, result = train(plain), train(noisy)
    assert losses(noisy)[0] != losses(plain)[0]
    assert result["base"] == expected["base"]
    run = open_run(noisy.model_copy(update={"output_dir": plain.output_dir}))
    scores = [run._score_tuned() for _ in range(2)]  # pyright: ignore[reportPrivateUsage]
    assert scores[0] == scores[1]


def test_label_smoothing_is_pytorchs_in_loss_and_gradients():
    hidden, weight = random(300, 8).requires_grad_(), random(50, 8, seed=2).requires_grad_()
    labels = torch.arange(300) % 50
    expected = torch.nn.functional.cross_entropy(hidden @ weight.T, labels, reduction="sum", label_smoothing=0.2)
    gradients = torch.autograd.grad(expected, (hidden, weight))
    found = summed_loss(hidden, weight, labels, 0.2)
    assert found.item() == pytest.approx(expected.item(), rel=1e-5)
    for one, other in zip(torch.autograd.grad(found, (hidden, weight)), gradients, strict=True):
        torch.testing.assert_close(one, other, atol=1e-4, rtol=1e-4)


def test_label_smoothing_is_of_steps_and_not_of_scores(workshop: Workshop):
    plain, smooth = workshop.spec(), workshop.spec(hyperparameters={"labelSmoothingFactor": 0.1})
    assert train(smooth)["base"] == train(plain)["base"]
    assert losses(smooth)[0] != losses(plain)[0]
    assert len(counting_rows(11)) / 4 < len(losses(smooth)) + 1


@pytest.mark.parametrize("optimizer", ["adamw8bit", "adafactor"])
def test_other_optimisers_learn_an_adapter_too(workshop: Workshop, optimizer: str):
    result = train(workshop.spec(hyperparameters={**LONG, "optimizer": optimizer}))
    assert result["tuned"]["loss"] < result["base"]["loss"]
