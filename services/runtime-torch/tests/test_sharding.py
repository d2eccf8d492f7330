"""FSDP2 over processes of this machine: the whole model trained, and LoRA on a model that no process holds whole."""

import math
import os
import signal
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
import torch
from conftest import SIZES, Sizes, Workshop, open_run, write_model
from processes import disturb, in_ranks
from safetensors.torch import load_file, save_file
from test_train import FULL, losses
from transformers import AutoModelForCausalLM

from runtime_torch.devices.memory_plan import Room
from runtime_torch.processes.group import Group
from runtime_torch.runs.events_file import EventsFile
from runtime_torch.runs.open_run import open_inputs
from runtime_torch.runs.score import score
from runtime_torch.spec import RuntimeSpec

LONG = {"epochs": 3, "evaluationSteps": 4}
SHORT = {"epochs": 2}
# Fewer rows of some matrices than there are processes: some hold none of them.
THIN = {"type": "lora", "r": 2, "loraAlpha": 8, "loraDropout": 0, "targetModules": "all-linear", "useRslora": False}
DORA = {**THIN, "useDora": True}
PISSA = {**THIN, "initLoraWeights": "pissa"}
MODULES = {**THIN, "modulesToSave": ["embed_tokens", "lm_head"]}
FEW_BITS = {**THIN, "type": "qlora", "bits": 4}


def train(spec: RuntimeSpec, group: Group) -> dict[str, Any]:
    """Sharded wherever there are several processes."""
    return open_run(spec, group, sharded=group.size > 1).run()


def disturbed(signal_number: int, looks: float, spec: RuntimeSpec, group: Group) -> None:
    run = open_run(spec, group, sharded=group.size > 1)
    disturb(run, signal_number, looks)
    run.run()


def hanging_at_norm(spec: RuntimeSpec, group: Group) -> None:
    run = open_run(spec, group, sharded=True)

    def hang(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    with patch("torch.nn.utils.clip_grad_norm_", side_effect=hang):
        run.run()


def scored(spec: RuntimeSpec, group: Group) -> dict[str, Any]:
    inputs = open_inputs(spec)
    plan = replace(inputs.plan(spec, Room(spec.limits.memory_mib, group.size)), sharded=True)
    return score(spec, inputs, plan, EventsFile(spec.output_dir, group.rank), group)


def parts_in_memory(spec: RuntimeSpec, group: Group) -> float:
    """What of the model this process holds."""
    run = open_run(spec, group, sharded=True)
    held = [parameter.to_local() for parameter in run.tuning.trained.values()]  # type: ignore[attr-defined]
    whole = sum(parameter.numel() for parameter in run.tuning.trained.values())
    return sum(part.untyped_storage().nbytes() / 4 for part in held) / whole


@pytest.mark.parametrize(
    ("size", "tuning", "memory_mode"),
    [
        (2, FULL, "layer-recompute"),
        (4, FULL, "whole-step"),
        (4, THIN, "whole-step"),
        (2, DORA, "whole-step"),
        (3, PISSA, "whole-step"),
        (2, FEW_BITS, "layer-recompute"),
        (2, {**FEW_BITS, "bits": 8, "useDora": True}, "whole-step"),
        (2, {**FEW_BITS, "initLoraWeights": "pissa"}, "whole-step"),
        (2, MODULES, "layer-recompute"),
        (2, {**FEW_BITS, **MODULES, "type": "qlora", "bits": 4}, "whole-step"),
    ],
)
def test_ranks_with_parts_of_a_model_give_the_losses_and_scores_of_a_single_process(
    workshop: Workshop, size: int, tuning: dict[str, Any], memory_mode: str
):
    """Also where a layer that is computed again is fetched again."""
    alone = workshop.spec(hyperparameters=LONG, tuning=tuning)
    together = workshop.spec(hyperparameters=LONG, tuning=tuning, memoryMode=memory_mode)
    expected = train(alone, Group())
    ends = in_ranks([partial(train, together)] * size)
    assert [how for how, _ in ends] == ["done"] * size
    np.testing.assert_allclose(losses(together), losses(alone), atol=1e-4)
    for which in ("base", "tuned"):
        assert ends[0][1][which]["loss"] == pytest.approx(expected[which]["loss"], abs=1e-4)
    name = "model/model.safetensors" if tuning == FULL else "adapter/adapter_model.safetensors"
    ours, theirs = (load_file(Path(spec.output_dir) / name) for spec in (together, alone))
    assert ours.keys() == theirs.keys()
    for tensor in ours:
        torch.testing.assert_close(ours[tensor], theirs[tensor], atol=1e-3, rtol=0)


def test_a_process_holds_its_part_alone(workshop: Workshop):
    for _, share in in_ranks([partial(parts_in_memory, workshop.spec(tuning=FULL))] * 4):
        assert share == pytest.approx(1 / 4, abs=0.05)


def test_comparisons_are_learnt_alike_by_a_model_in_several_files_with_output_weights_of_its_own(workshop: Workshop):
    model = write_model(workshop.root / "untied", "qwen3", tied=False)
    AutoModelForCausalLM.from_pretrained(model).save_pretrained(workshop.root / "files", max_shard_size="30KB")
    workshop.model = workshop.root / "files"
    assert len(list(workshop.model.glob("*.safetensors"))) > 1
    kto = {"type": "kto", "beta": 0.1, "desirableWeight": 1, "undesirableWeight": 1}
    alone, together = (
        workshop.spec(method=kto, data=workshop.rated, hyperparameters=LONG, tuning=FULL) for _ in range(2)
    )
    train(alone, Group())
    assert [how for how, _ in in_ranks([partial(train, together)] * 3)] == ["done"] * 3
    np.testing.assert_allclose(losses(together), losses(alone), atol=1e-4)


@pytest.mark.parametrize(
    ("tuning", "sizes"), [(FULL, (4, 2, 1)), (THIN, (4, 1)), (PISSA, (2, 3, 1)), (FEW_BITS, (2, 1))]
)
def test_four_processes_two_and_one_go_on_from_each_other_exactly(
    workshop: Workshop, tuning: dict[str, Any], sizes: tuple[int, ...]
):
    whole = workshop.spec(hyperparameters=SHORT, tuning=tuning)
    train(whole, Group())
    found: list[float] = []
    checkpoint: dict[str, str] = {}
    for size in sizes:
        spec = workshop.spec(hyperparameters=SHORT, tuning=tuning, **checkpoint)
        looks = math.inf if size == 1 else 2
        ends = in_ranks([*[partial(train, spec)] * (size - 1), partial(disturbed, 0, looks, spec)])
        assert ends == [("done" if size == 1 else "stopped", None)] * size
        newest = max((Path(spec.output_dir) / "checkpoints").iterdir())
        checkpoint = {"resumeFrom": str(newest)}
        assert {path.suffix for path in newest.iterdir()} == {".json", ".safetensors"}  # no pickle
        assert len(losses(spec)) > 0
        found += losses(spec)
    np.testing.assert_allclose(found, losses(whole), atol=1e-4)


# A wide model, whose matrices are large enough to be kept in 8 bits.
OPTIMISERS = [
    ("adafactor", SIZES, 1e-4),
    ("muon", SIZES, 1e-4),
    ("adamw8bit", {**SIZES, "hidden_size": 256, "intermediate_size": 300}, 1e-3),
]


@pytest.mark.parametrize(("optimizer", "sizes", "apart"), OPTIMISERS)
def test_other_optimisers_move_parts_of_a_model_as_they_move_a_whole_one(
    workshop: Workshop, optimizer: str, sizes: Sizes, apart: float
):
    """Sums that differ in their last bits fall into another of 256 steps now and then: 8 bits are less alike."""
    write_model(workshop.model, sizes=sizes)
    settings = {"tuning": FULL, "hyperparameters": {**SHORT, "optimizer": optimizer, "learningRate": 0.002}}
    alone, together = (workshop.spec(**settings) for _ in range(2))
    train(alone, Group())
    assert [how for how, _ in in_ranks([partial(train, together)] * 3)] == ["done"] * 3
    np.testing.assert_allclose(losses(together), losses(alone), atol=apart)
    assert min(losses(alone)) < losses(alone)[0] - 100 * apart
    newest = str(Path(together.output_dir) / "checkpoints/step-000004")
    resumed = workshop.spec(**settings, resumeFrom=newest)
    train(resumed, Group())
    np.testing.assert_allclose(losses(resumed), losses(alone)[4:], atol=apart)


def test_parts_are_taken_from_what_one_process_wrote(workshop: Workshop):
    alone = workshop.spec(hyperparameters={"maxSteps": 2}, tuning=FULL)
    train(alone, Group())
    checkpoint = max((Path(alone.output_dir) / "checkpoints").iterdir())
    whole, resumed = (
        workshop.spec(hyperparameters={"maxSteps": 3}, tuning=FULL, **changes)
        for changes in ({}, {"resumeFrom": str(checkpoint)})
    )
    train(whole, Group())
    assert [how for how, _ in in_ranks([partial(train, resumed)] * 2)] == ["done"] * 2
    np.testing.assert_allclose(losses(resumed), losses(whole)[2:], atol=1e-4)


def test_an_adapter_is_scored_on_a_model_that_no_process_holds_whole(workshop: Workshop):
    trained = workshop.spec(tuning=THIN)
    result = train(trained, Group())
    adapter = Path(trained.output_dir) / "adapter"
    ends = in_ranks([partial(scored, workshop.spec(mode="score", tuning=THIN, adapterDir=str(adapter)))] * 2)
    for which in ("base", "tuned"):
        for _, found in ends:
            assert found[which]["loss"] == pytest.approx(result[which]["loss"], abs=1e-4)


def test_weights_that_are_missing_are_not_made_up(workshop: Workshop):
    path = workshop.model / "model.safetensors"
    save_file({name: one for name, one in load_file(path).items() if "layers.1.mlp.up" not in name}, path)
    for end in in_ranks([partial(train, workshop.spec(tuning=FULL))] * 2):
        assert end == ("model.unreadable", "The weights lack model.layers.1.mlp.up_proj.weight.")


def test_a_rank_that_hangs_where_the_gradients_norm_is_added_up_is_named(workshop: Workshop):
    spec = workshop.spec(hyperparameters=LONG, tuning=FULL)
    ends = in_ranks([partial(train, spec), partial(hanging_at_norm, spec)], collective_s=2, hanging=1)
    assert ends[0][0] == "collective.failed"
    assert ends[0][1].startswith("Waited 2 s for rank 1 at step ")


def test_a_rank_that_hangs_within_a_pass_is_named(workshop: Workshop):
    spec = workshop.spec(hyperparameters=LONG, tuning=FULL)
    hanging = partial(disturbed, signal.SIGSTOP, 2, spec)
    ends = in_ranks([partial(train, spec), partial(train, spec), hanging], collective_s=2, hanging=1)
    for how, message in ends[:2]:
        assert how == "collective.failed"
        assert "rank 2" in message
        assert "rank 0" not in message and "rank 1" not in message
