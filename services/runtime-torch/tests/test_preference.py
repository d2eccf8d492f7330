"""Whole runs of each preference method, against a plain loop: one row at a time, a second model as the reference."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Workshop, open_run, stop_in_the_fifth_step, write_data
from torch.nn.functional import logsigmoid, relu
from transformers import AutoModelForCausalLM

from runtime_torch.data.global_batches import Batch, TrainingBatches
from runtime_torch.data.prepared_dataset import Row
from runtime_torch.fault import Fault
from runtime_torch.runs.open_run import open_inputs
from runtime_torch.runs.run_control import StopRequested
from runtime_torch.spec import RuntimeSpec

BETA, GAMMA, GOOD, BAD = 0.3, 0.5, 1.5, 0.7
METHODS: dict[str, dict[str, Any]] = {
    "dpo": {"type": "dpo", "loss": "sigmoid", "beta": BETA, "labelSmoothing": 0.0},
    "dpo smoothed": {"type": "dpo", "loss": "sigmoid", "beta": BETA, "labelSmoothing": 0.2},
    "ipo": {"type": "dpo", "loss": "ipo", "beta": BETA, "labelSmoothing": 0.0},
    "hinge": {"type": "dpo", "loss": "hinge", "beta": BETA, "labelSmoothing": 0.0},
    "orpo": {"type": "orpo", "beta": BETA},
    "simpo": {"type": "simpo", "beta": BETA, "gamma": GAMMA},
    "kto": {"type": "kto", "beta": BETA, "desirableWeight": GOOD, "undesirableWeight": BAD},
}
FULL = {"type": "full"}


def spec_of(workshop: Workshop, method: str, **changes: Any) -> RuntimeSpec:
    data = workshop.rated if method == "kto" else workshop.pairs
    return workshop.spec(method=METHODS[method], data=data, **changes)


def events(spec: RuntimeSpec, type: str) -> list[dict[str, Any]]:
    lines = (Path(spec.output_dir) / "events.0.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["type"] == type]


def losses(spec: RuntimeSpec) -> list[float]:
    return [event["loss"] for event in events(spec, "step")]


class Plain:
    """The methods from their papers' formulas, with nothing shared between rows and nothing kept."""

    def __init__(self, spec: RuntimeSpec) -> None:
        self.spec = spec
        self.policy: Any = open_run(spec).tuning.model
        self.policy.set_attn_implementation("eager")
        self.reference: Any = AutoModelForCausalLM.from_pretrained(spec.model_dir)

    def log_probability(self, model: Any, row: Row, prompt: Row | None = None) -> torch.Tensor:
        """Of the answer of `row`, after its own prompt or another one."""
        given = (prompt or row).tokens[: row.prompt_length].tolist()
        answer = row.tokens[row.prompt_length :].tolist()
        logits = model(input_ids=torch.tensor([given + answer])).logits[0].double()
        steps = logits.log_softmax(-1)[len(given) - 1 : -1]
        return steps[torch.arange(len(answer)), torch.tensor(answer)].sum()

    def gain(self, row: Row, prompt: Row | None = None) -> torch.Tensor:
        with torch.no_grad():
            before = self.log_probability(self.reference, row, prompt)
        return self.log_probability(self.policy, row, prompt) - before

    def loss(self, batch: Batch, method: str) -> torch.Tensor:
        if method == "kto":
            return self.kto(batch.rows)
        pairs = [unit.rows for unit in batch.units]
        terms = torch.stack([self.pair_term(method, *rows) for rows in pairs]).mean()
        if method != "orpo":
            return terms
        chosen = [rows[0] for rows in pairs]
        likelihood = torch.stack([self.log_probability(self.policy, row) for row in chosen]).sum()
        return terms - likelihood / sum(row.trained_count for row in chosen)

    def pair_term(self, method: str, chosen: Row, rejected: Row) -> torch.Tensor:
        if method in ("orpo", "simpo"):
            good, bad = (self.log_probability(self.policy, row) / row.trained_count for row in (chosen, rejected))
            if method == "simpo":
                return -logsigmoid(BETA * good - BETA * bad - GAMMA)
            odds = [mean.exp() / (1 - mean.exp()) for mean in (good, bad)]
            return -BETA * logsigmoid((odds[0] / odds[1]).log())
        margin = self.gain(chosen) - self.gain(rejected)
        if method == "ipo":
            return (margin - 1 / (2 * BETA)) ** 2
        if method == "hinge":
            return relu(1 - BETA * margin)
        wrong = 0.2 if method == "dpo smoothed" else 0.0
        return -(1 - wrong) * logsigmoid(BETA * margin) - wrong * logsigmoid(-BETA * margin)

    def kto(self, rows: list[Row]) -> torch.Tensor:
        with torch.no_grad():
            mixed = [self.gain(other, row) for row, other in zip(rows, [*rows[1:], rows[0]], strict=True)]
            divergence = torch.stack(mixed).mean().clamp(min=0)
        terms = [
            GOOD * (1 - torch.sigmoid(BETA * (self.gain(row) - divergence)))
            if row.desirable
            else BAD * (1 - torch.sigmoid(BETA * (divergence - self.gain(row))))
            for row in rows
        ]
        return torch.stack(terms).mean()

    def train(self, method: str) -> list[float]:
        train = open_inputs(self.spec).train
        assert train is not None
        settings = self.spec.hyperparameters
        parameters = [parameter for parameter in self.policy.parameters() if parameter.requires_grad]
        optimiser = torch.optim.AdamW(parameters, lr=settings.learning_rate, weight_decay=settings.weight_decay)
        found: list[float] = []
        for batch in TrainingBatches(self.spec, train):
            optimiser.zero_grad()
            loss = self.loss(batch, method)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(parameters, settings.max_grad_norm)
            optimiser.step()
            found.append(loss.item())
        return found


@pytest.mark.parametrize("method", METHODS)
def test_the_losses_are_those_of_a_plain_loop(workshop: Workshop, method: str):
    spec = spec_of(workshop, method, hyperparameters={"epochs": 2})
    open_run(spec).run()
    assert losses(spec) == pytest.approx(Plain(spec).train(method), abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_a_run_learns_to_prefer_and_says_by_how_much(workshop: Workshop, method: str):
    spec = spec_of(workshop, method, hyperparameters={"epochs": 8, "evaluationSteps": 3})
    result = open_run(spec).run()
    base, tuned = result["base"], result["tuned"]
    assert tuned["loss"] < base["loss"]
    assert tuned["metrics"]["rewardMargin"] > base["metrics"]["rewardMargin"]
    first, last = events(spec, "evaluation")[0], events(spec, "step")[-1]
    assert first["metrics"].keys() >= {"evaluationRewardMargin"}
    assert last["metrics"]["rewardMargin"] > 0
    if method != "kto":
        assert tuned["metrics"]["rewardAccuracy"] == 1
        assert last["metrics"]["rewardAccuracy"] > 0.5


def test_an_unmoved_model_has_the_loss_of_its_reference(workshop: Workshop):
    base = open_run(spec_of(workshop, "dpo")).run()["base"]
    assert base["loss"] == pytest.approx(math.log(2))
    assert base["metrics"] == {"rewardAccuracy": 0, "rewardMargin": 0}
    kto = open_run(spec_of(workshop, "kto")).run()["base"]
    assert kto["loss"] == pytest.approx((GOOD + BAD) / 4)


def test_the_answers_to_learn_are_scored_as_supervised_rows_are(workshop: Workshop):
    preferred = open_run(spec_of(workshop, "simpo")).run()["base"]
    supervised = open_run(workshop.spec()).run()["base"]
    for name in ("perplexity", "tokenAccuracy", "trainedTokens"):
        assert preferred[name] == pytest.approx(supervised[name])
    assert open_run(spec_of(workshop, "kto")).run()["base"]["perplexity"] == pytest.approx(supervised["perplexity"])


@pytest.mark.parametrize(("method", "tuning"), [("dpo", None), ("kto", None), ("kto", FULL), ("orpo", FULL)])
def test_a_stopped_run_goes_on_exactly_with_its_old_reference(
    workshop: Workshop, method: str, tuning: dict[str, Any] | None
):
    changes: dict[str, Any] = {"hyperparameters": {"epochs": 3}, **({"tuning": tuning} if tuning else {})}
    whole, stopped = spec_of(workshop, method, **changes), spec_of(workshop, method, **changes)
    whole_result = open_run(whole).run()
    run = open_run(stopped)
    stop_in_the_fifth_step(run)
    checkpoint = Path(stopped.output_dir) / "checkpoints/step-000004"
    resumed = spec_of(workshop, method, resumeFrom=str(checkpoint), **changes)
    resumed_result = open_run(resumed).run()
    assert losses(stopped) + losses(resumed) == losses(whole)
    for which in ("base", "tuned"):
        assert resumed_result[which] == whole_result[which]


def test_the_reference_is_the_adapter_that_a_run_goes_on_from(workshop: Workshop):
    first = spec_of(workshop, "dpo", hyperparameters={"epochs": 4})
    open_run(first).run()
    again = spec_of(workshop, "dpo", adapterDir=str(Path(first.output_dir) / "adapter"))
    open_run(again).run()
    assert losses(first)[-1] < 0.6
    assert losses(again)[0] == pytest.approx(math.log(2))


def test_a_stop_while_the_reference_is_measured_leaves_nothing_half_known(workshop: Workshop):
    stopped = spec_of(workshop, "dpo")
    (Path(stopped.output_dir) / "stop").touch()
    with pytest.raises(StopRequested):
        open_run(stopped).run()
    checkpoint = Path(stopped.output_dir) / "checkpoints/step-000000"
    resumed, whole = spec_of(workshop, "dpo", resumeFrom=str(checkpoint)), spec_of(workshop, "dpo")
    open_run(resumed).run()
    open_run(whole).run()
    assert losses(resumed) == losses(whole)


def test_layers_computed_again_give_the_same_losses(workshop: Workshop):
    whole, again = (spec_of(workshop, "dpo", memoryMode=mode) for mode in ("whole-step", "layer-recompute"))
    open_run(whole).run()
    open_run(again).run()
    assert losses(again) == pytest.approx(losses(whole), abs=1e-5)


def test_data_of_another_method_are_refused(workshop: Workshop):
    with pytest.raises(Fault, match='kind "sft"; expected preference') as raised:
        open_inputs(workshop.spec(method=METHODS["dpo"]))
    assert raised.value.exit_status == 40


def test_an_answer_without_a_trained_token_is_named(workshop: Workshop):
    folder = write_data(workshop.root / "empty", [[1, 2, 3], [1, 2]], kind="preference")
    with pytest.raises(Fault, match="file-a line 2: the answer has no trained token"):
        open_run(workshop.spec(method=METHODS["orpo"], data={"trainDir": str(folder)})).run()
