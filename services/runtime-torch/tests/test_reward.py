"""Reward models: their loss, whole runs against a plain loop, and what becomes of them in other hands."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SIZES, Workshop, counting_pairs, open_run, stop_in_the_fifth_step, write_data, write_model
from peft import PeftModel
from processes import in_ranks
from test_preference import events, losses
from torch.nn.functional import logsigmoid
from transformers import AutoModelForSequenceClassification

from runtime_torch.data.global_batches import TrainingBatches
from runtime_torch.data.prepared_dataset import PreparedDataset, Row
from runtime_torch.devices.memory_plan import Room
from runtime_torch.fault import Fault
from runtime_torch.methods.reward_loss import reward_loss
from runtime_torch.processes.group import Group
from runtime_torch.runs.events_file import EventsFile
from runtime_torch.runs.open_run import open_inputs
from runtime_torch.runs.score import score
from runtime_torch.spec import Reward, RuntimeSpec

CENTRE = 0.01
METHOD = {"type": "reward", "centerRewardsCoefficient": CENTRE}


def spec_of(workshop: Workshop, **changes: Any) -> RuntimeSpec:
    return workshop.spec(**{"method": METHOD, "data": workshop.pairs, **changes})


def classifier(model_dir: str | Path, adapter_dir: Path) -> Any:
    base: Any = AutoModelForSequenceClassification.from_pretrained(model_dir, num_labels=1)
    return PeftModel.from_pretrained(base, str(adapter_dir)).eval()


def points_of(model: Any, row: Row) -> torch.Tensor:
    return model(input_ids=torch.tensor([row.tokens.tolist()])).logits[0, 0].double()


def settings(coefficient: float) -> Reward:
    return Reward.model_validate({"type": "reward", "centerRewardsCoefficient": coefficient})


def data_of(spec: RuntimeSpec) -> tuple[PreparedDataset, PreparedDataset]:
    inputs = open_inputs(spec)
    assert inputs.train is not None and inputs.held_out is not None
    return inputs.train, inputs.held_out


def test_the_loss_is_that_of_bradley_and_terry_with_points_kept_near_zero():
    chosen, rejected = torch.tensor([1.0, 0.0], dtype=torch.float64), torch.tensor([0.0, 2.0], dtype=torch.float64)
    plain = reward_loss(settings(0), chosen, rejected)
    assert plain.tolist() == pytest.approx([math.log(1 + math.exp(-1)), math.log(1 + math.exp(2))])
    centred = reward_loss(settings(0.5), chosen, rejected)
    assert (centred - plain).tolist() == pytest.approx([0.5, 2.0])


def test_the_losses_are_those_of_a_plain_loop(workshop: Workshop):
    spec = spec_of(workshop, hyperparameters={"epochs": 2})
    open_run(spec).run()
    model: Any = open_run(spec).tuning.model
    model.set_attn_implementation("eager")
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimiser = torch.optim.AdamW(parameters, lr=0.01, weight_decay=0.01)
    found: list[float] = []
    for batch in TrainingBatches(spec, data_of(spec)[0]):
        optimiser.zero_grad()
        pairs = [[points_of(model, row) for row in unit.rows] for unit in batch.units]
        loss = torch.stack([-logsigmoid(good - bad) + CENTRE * (good + bad) ** 2 for good, bad in pairs]).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1)
        optimiser.step()
        found.append(loss.item())
    assert losses(spec) == pytest.approx(found, abs=1e-4)


@pytest.mark.parametrize("padded", [False, True], ids=["no padding token", "rows that end in the padding token"])
def test_transformers_and_peft_give_the_points_that_the_run_has_scored(workshop: Workshop, padded: bool):
    pad_token = 7
    model = write_model(workshop.root / "other", sizes={**SIZES, "pad_token_id": pad_token if padded else None})
    pairs = [[*row, *([pad_token] * (number % 3))] for number, row in enumerate(counting_pairs(5))]
    held_out = str(write_data(workshop.root / "padded", pairs, kind="preference"))
    spec = spec_of(workshop, modelDir=str(model), data={**workshop.pairs, "heldOutDir": held_out})
    tuned = open_run(spec).run()["tuned"]
    loaded = classifier(model, Path(spec.output_dir) / "adapter")
    with torch.no_grad():
        points = [[points_of(loaded, row).item() for row in unit.rows] for unit in data_of(spec)[1]]
    margins = [good - bad for good, bad in points]
    assert tuned["metrics"]["rewardMargin"] == pytest.approx(sum(margins) / len(margins), abs=1e-5)
    assert tuned["metrics"]["rewardAccuracy"] == sum(margin > 0 for margin in margins) / len(margins)


def test_a_run_learns_to_give_the_better_answer_more_points(workshop: Workshop):
    spec = spec_of(workshop, hyperparameters={"epochs": 8, "evaluationSteps": 3})
    result = open_run(spec).run()
    base, tuned = result["base"], result["tuned"]
    assert tuned["metrics"]["rewardAccuracy"] == 1
    assert tuned["metrics"]["rewardMargin"] > base["metrics"]["rewardMargin"] + 1
    assert tuned["loss"] < base["loss"]
    assert not {"perplexity", "tokenAccuracy"} & tuned.keys()
    found = events(spec, "evaluation")[-1]
    assert found["metrics"].keys() == {"evaluationRewardAccuracy", "evaluationRewardMargin"}
    assert "perplexity" not in found


def scored(spec: RuntimeSpec) -> dict[str, Any]:
    inputs = open_inputs(spec)
    return score(spec, inputs, inputs.plan(spec, Room(spec.limits.memory_mib)), EventsFile(spec.output_dir, 0), Group())


def test_a_score_of_its_adapter_says_what_the_run_said(workshop: Workshop):
    spec = spec_of(workshop)
    result = open_run(spec).run()
    adapter = str(Path(spec.output_dir) / "adapter")
    again = scored(spec_of(workshop, mode="score", adapterDir=adapter))
    for which in ("base", "tuned"):
        assert again[which]["metrics"] == pytest.approx(result[which]["metrics"])
        assert again[which]["loss"] == pytest.approx(result[which]["loss"])


def test_a_stopped_run_goes_on_exactly(workshop: Workshop):
    whole, stopped = (spec_of(workshop, hyperparameters={"epochs": 3}) for _ in range(2))
    expected = open_run(whole).run()
    run = open_run(stopped)
    stop_in_the_fifth_step(run)
    checkpoint = str(Path(stopped.output_dir) / "checkpoints/step-000004")
    resumed = spec_of(workshop, hyperparameters={"epochs": 3}, resumeFrom=checkpoint)
    result = open_run(resumed).run()
    assert losses(stopped) + losses(resumed) == losses(whole)
    assert result["tuned"] == expected["tuned"]


def test_halves_keep_the_head_that_is_trained_in_single_precision(workshop: Workshop):
    run = open_run(spec_of(workshop, precision="bfloat16"))
    assert {parameter.dtype for parameter in run.tuning.trained.values()} == {torch.float32}
    assert run.run()["tuned"]["loss"] > 0


def train(spec: RuntimeSpec, sharded: bool, group: Group) -> dict[str, Any]:
    return open_run(spec, group, sharded=sharded and group.size > 1).run()


@pytest.mark.parametrize("sharded", [False, True], ids=["the model whole in each", "a part of it in each"])
def test_two_processes_give_the_losses_and_scores_of_one(workshop: Workshop, sharded: bool):
    alone, together = (spec_of(workshop, hyperparameters={"epochs": 2}) for _ in range(2))
    expected = train(alone, False, Group())
    ends = in_ranks([partial(train, together, sharded)] * 2)
    assert [how for how, _ in ends] == ["done"] * 2
    np.testing.assert_allclose(losses(together), losses(alone), atol=1e-4)
    for which in ("base", "tuned"):
        assert ends[0][1][which]["metrics"] == pytest.approx(expected[which]["metrics"], abs=1e-4)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"tuning": {"type": "full"}}, "tuning: a reward model is trained as an adapter"),
        ({"mode": "score"}, "adapterDir: only a trained adapter gives points"),
    ],
)
def test_what_cannot_be_a_reward_model_is_refused_before_anything_is_loaded(
    workshop: Workshop, changes: dict[str, Any], said: str
):
    with pytest.raises(Fault, match=said):
        open_inputs(spec_of(workshop, **changes))


def test_an_adapter_that_gives_points_and_one_that_gives_answers_do_not_go_on_from_each_other(workshop: Workshop):
    rewarding, answering = spec_of(workshop), workshop.spec()
    for spec in (rewarding, answering):
        open_run(spec).run()
    points, answers = (str(Path(spec.output_dir) / "adapter") for spec in (rewarding, answering))
    with pytest.raises(Fault, match="gives points instead of answers"):
        open_inputs(workshop.spec(adapterDir=points))
    with pytest.raises(Fault, match="gives answers instead of points"):
        open_inputs(spec_of(workshop, adapterDir=answers))
