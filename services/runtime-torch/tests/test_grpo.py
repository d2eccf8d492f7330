"""GRPO: what a run learns, and that it does so the same however it goes on."""

import json
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import numpy as np
import pytest
import torch
from conftest import SIZES, VOCABULARY, Workshop, open_run, stop_in_the_fifth_step, write_model, write_prompts
from processes import in_ranks
from test_preference import events, losses
from test_train import FULL
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from runtime_torch.data.micro_batch import pack
from runtime_torch.devices.memory_plan import Room, plan_memory
from runtime_torch.fault import Fault
from runtime_torch.processes.group import Group
from runtime_torch.runs.open_run import open_inputs
from runtime_torch.runs.run_control import StopRequested
from runtime_torch.spec import RuntimeSpec

WANTED = "w9"
LETTER = {
    "type": "string_check",
    "name": "letter",
    "input": "{{sample.output_text}}",
    "reference": "{{item.letter}}",
    "operation": "like",
}
LORA = {"type": "lora", "r": 4, "loraAlpha": 8, "loraDropout": 0, "targetModules": "all-linear", "useRslora": False}
FREEZE = {"type": "freeze", "trainableLayers": 1}
STEP_SETTINGS = {"globalBatch": 4, "learningRate": 0.05, "maxSteps": 30, "epochs": 50}


def method(**changes: Any) -> dict[str, Any]:
    fields = {"groupSize": 6, "beta": 0.0, "epsilon": 0.2, "temperature": 1.0, "maxCompletionTokens": 3}
    return {"type": "grpo", **fields, "lossType": "grpo", "grader": LETTER, **changes}


@pytest.fixture
def prompts(workshop: Workshop) -> Workshop:
    """The workshop with a model whose tokens are words, and prompts that all want one of them."""
    write_model(workshop.model, sizes={**SIZES, "eos_token_id": 2})
    words = Tokenizer(WordLevel({f"w{number}": number for number in range(VOCABULARY)}, unk_token="w0"))
    words.save(str(workshop.model / "tokenizer.json"))
    return workshop


def spec_of(workshop: Workshop, item: dict[str, Any] | None = None, **changes: Any) -> RuntimeSpec:
    number = sum(1 for _ in workshop.root.iterdir())
    rows = [[5 + row, 6, 7 + row % 3] for row in range(8)]
    items = [item or {"letter": WANTED}] * len(rows)
    data = {
        "trainDir": str(write_prompts(workshop.root / f"prompts-{number}", rows, items)),
        "heldOutDir": str(write_prompts(workshop.root / f"held-out-{number}", rows[:3], items[:3])),
    }
    settings = {**STEP_SETTINGS, **changes.pop("hyperparameters", {})}
    return workshop.spec(**{"method": method(), "data": data, "hyperparameters": settings, **changes})


def tuned(tuning: dict[str, Any]) -> dict[str, Any]:
    """Weights at a rate of their own."""
    rate = STEP_SETTINGS["learningRate"] if tuning["type"] == "lora" else 0.01
    return {"tuning": tuning, "hyperparameters": {"learningRate": rate}}


def metric(spec: RuntimeSpec, name: str) -> list[float]:
    return [event["metrics"][name] for event in events(spec, "step")]


@pytest.mark.parametrize(("loss_type", "tuning"), [("grpo", LORA), ("dr_grpo", LORA), ("grpo", FULL)])
def test_a_model_learns_to_say_what_is_rewarded(prompts: Workshop, loss_type: str, tuning: dict[str, Any]):
    spec = spec_of(prompts, method=method(lossType=loss_type), **tuned(tuning))
    result = open_run(spec).run()
    rewards = metric(spec, "rewardMean")
    assert rewards[0] < 0.3  # seven words of 96 are right, and there are three to an answer
    assert sum(rewards[-3:]) / 3 > 0.8
    assert result["base"]["metrics"]["rewardMean"] < 0.5 < result["tuned"]["metrics"]["rewardMean"]
    assert result["tuned"]["loss"] == -result["tuned"]["metrics"]["rewardMean"]
    assert "perplexity" not in result["tuned"]
    assert set(events(spec, "step")[-1]["metrics"]) >= {
        *("rewardMean", "rewardStd", "groupsWithoutSpread", "completionTokens", "cutOffShare")
    }


@pytest.mark.parametrize("tuning", [LORA, FREEZE], ids=lambda tuning: tuning["type"])
def test_a_reference_holds_the_model_back_and_its_divergence_is_told(prompts: Workshop, tuning: dict[str, Any]):
    free, held = (spec_of(prompts, method=method(beta=beta), **tuned(tuning)) for beta in (1e-9, 2.0))
    for spec in (free, held):
        open_run(spec).run()
    assert metric(free, "klDivergence")[0] == pytest.approx(0, abs=1e-9)
    assert 0 <= metric(held, "klDivergence")[-1] < metric(free, "klDivergence")[-1] / 2


@pytest.mark.parametrize(
    ("tuning", "beta"),
    [(LORA, 0), ({**LORA, "loraDropout": 0.1}, 0), (FULL, 0.5)],
    ids=["lora", "dropout", "full"],
)
def test_a_stopped_run_goes_on_exactly(prompts: Workshop, tuning: dict[str, Any], beta: float):
    short: dict[str, Any] = {"hyperparameters": {"maxSteps": 6}, "tuning": tuning, "method": method(beta=beta)}
    whole, stopped = spec_of(prompts, **short), spec_of(prompts, **short)
    expected = open_run(whole).run()
    run = open_run(stopped)

    def stop_in_the_fourth_step() -> None:
        if run.step == 3:
            raise StopRequested

    run.objective._answerer._between = stop_in_the_fourth_step  # type: ignore[attr-defined]
    with pytest.raises(StopRequested):
        run.run()
    checkpoint = str(Path(stopped.output_dir) / "checkpoints/step-000003")
    resumed = spec_of(prompts, resumeFrom=checkpoint, **short)
    result = open_run(resumed).run()
    assert metric(stopped, "rewardMean") + metric(resumed, "rewardMean") == metric(whole, "rewardMean")
    assert losses(stopped) + losses(resumed) == losses(whole)
    assert result["tuned"] == expected["tuned"]


def test_several_steps_learn_from_the_same_answers_until_tokens_have_moved_as_far_as_they_may(prompts: Workshop):
    spec = spec_of(prompts, method=method(numIterations=3, epsilon=0.05), hyperparameters={"maxSteps": 9})
    run = open_run(spec)
    answerer: Any = run.objective._answerer  # type: ignore[attr-defined]
    answerer.sampled = Mock(wraps=answerer.sampled)
    run.run()
    assert answerer.sampled.call_count == 3 * 4  # batches of prompts
    clipped = metric(spec, "clippedShare")
    assert clipped[0::3] == [0, 0, 0]
    assert all(share > 0 for step, share in enumerate(clipped) if step % 3)
    assert [event["epoch"] for event in events(spec, "step")][5] == 1  # two batches, each taken three times


def test_a_run_that_was_stopped_between_steps_with_the_same_answers_goes_on_exactly(prompts: Workshop):
    changes: dict[str, Any] = {"method": method(numIterations=3, beta=0.1), "hyperparameters": {"maxSteps": 8}}
    whole, stopped = spec_of(prompts, **changes), spec_of(prompts, **changes)
    open_run(whole).run()
    stop_in_the_fifth_step(open_run(stopped))
    checkpoint = str(Path(stopped.output_dir) / "checkpoints/step-000004")
    resumed = spec_of(prompts, resumeFrom=checkpoint, **changes)
    open_run(resumed).run()
    assert losses(stopped) + losses(resumed) == losses(whole)
    for name in ("rewardMean", "clippedShare", "cutOffShare", "klDivergence"):
        assert metric(stopped, name) + metric(resumed, name) == metric(whole, name)


def test_a_stop_is_seen_after_each_token_that_is_generated(prompts: Workshop):
    spec = spec_of(prompts)
    looks: list[int] = []
    run = open_run(spec)
    run.objective._answerer._between = lambda: looks.append(run.step)  # type: ignore[attr-defined]
    run.objective.open(run.batches.at(0))
    assert len(looks) == 4 * 3  # prompts by tokens


def train(spec: RuntimeSpec, group: Group) -> dict[str, Any]:
    return open_run(spec, group).run()


def train_in_parts(spec: RuntimeSpec, group: Group) -> dict[str, Any]:
    return open_run(spec, group, sharded=True).run()


def test_two_processes_give_the_answers_and_losses_of_one(prompts: Workshop):
    short: dict[str, Any] = {"hyperparameters": {"maxSteps": 4}, "method": method(beta=0.05, numIterations=2)}
    alone, together = spec_of(prompts, **short), spec_of(prompts, **short)
    expected = train(alone, Group())
    ends = in_ranks([partial(train, together)] * 2)
    assert [how for how, _ in ends] == ["done"] * 2
    np.testing.assert_allclose(losses(together), losses(alone), atol=1e-4)
    for name in ("rewardMean", "klDivergence", "clippedShare", "completionTokens"):
        np.testing.assert_allclose(metric(together, name), metric(alone, name), atol=1e-4)
    assert ends[0][1]["tuned"]["metrics"] == pytest.approx(expected["tuned"]["metrics"])


@pytest.mark.parametrize(("size", "tuning"), [(3, LORA), (2, FULL), (2, {**LORA, "type": "qlora", "bits": 4})])
def test_processes_with_parts_of_a_model_give_the_answers_and_losses_of_one(
    prompts: Workshop, size: int, tuning: dict[str, Any]
):
    """Also where they do not have as many prompts each, and answers end at their own lengths."""
    short: dict[str, Any] = {
        "hyperparameters": {"maxSteps": 4, "learningRate": 0.01},
        "method": method(beta=0.05, numIterations=2, maxCompletionTokens=12),
        "tuning": tuning,
    }
    alone, together = spec_of(prompts, **short), spec_of(prompts, **short)
    expected = train(alone, Group())
    ends = in_ranks([partial(train_in_parts, together)] * size)
    assert [how for how, _ in ends] == ["done"] * size
    np.testing.assert_allclose(losses(together), losses(alone), atol=1e-4)
    for name in ("rewardMean", "klDivergence", "clippedShare", "completionTokens", "cutOffShare"):
        np.testing.assert_allclose(metric(together, name), metric(alone, name), atol=1e-4)
    assert 0 < metric(alone, "cutOffShare")[0] < 1
    for which in ("base", "tuned"):
        assert ends[0][1][which]["metrics"] == pytest.approx(expected[which]["metrics"])


def test_a_stop_while_parts_of_a_model_answer_is_one_of_all(prompts: Workshop):
    spec = spec_of(prompts, hyperparameters={"maxSteps": 3})
    whole = spec_of(prompts, hyperparameters={"maxSteps": 3})
    train(whole, Group())
    assert in_ranks([partial(train_in_parts, spec), partial(stopped_in_an_answer, spec)]) == [("stopped", None)] * 2
    newest = max((Path(spec.output_dir) / "checkpoints").iterdir())
    resumed = spec_of(prompts, hyperparameters={"maxSteps": 3}, resumeFrom=str(newest))
    train(resumed, Group())
    assert len(losses(spec)) == 1
    np.testing.assert_allclose(losses(spec) + losses(resumed), losses(whole), atol=1e-4)


def stopped_in_an_answer(spec: RuntimeSpec, group: Group) -> None:
    """Of the second step."""
    run = open_run(spec, group, sharded=True)
    answerer: Any = run.objective._answerer  # type: ignore[attr-defined]

    def look() -> None:
        if run.step == 1:
            raise StopRequested

    answerer._between = lambda: group.look(look)
    run.run()


@pytest.mark.parametrize("sharded", [False, True])
def test_an_adapter_that_goes_on_is_held_near_to_what_it_was(prompts: Workshop, sharded: bool):
    first = spec_of(prompts, hyperparameters={"maxSteps": 6})
    train(first, Group())
    started: dict[str, Any] = {
        "adapterDir": str(Path(first.output_dir) / "adapter"),
        "method": method(beta=0.3),
        "hyperparameters": {"maxSteps": 4},
    }
    whole, again = spec_of(prompts, **started), spec_of(prompts, **started)
    if sharded:
        assert [how for how, _ in in_ranks([partial(train_in_parts, again)] * 2)] == ["done"] * 2
    else:
        train(again, Group())
    run = open_run(whole)
    batch = run.batches.at(0)
    packed = pack([unit.rows[0] for unit in run.objective.open(batch).units])
    policy = run.objective._log_probabilities  # type: ignore[attr-defined]
    before = policy(packed).detach()
    with run.tuning.base_only():
        assert not torch.allclose(policy(packed), before, atol=1e-2)
    run.run()
    assert metric(whole, "klDivergence")[0] == pytest.approx(0, abs=1e-6)
    assert metric(whole, "klDivergence")[-1] > 1e-4
    with run.tuning.reference():
        torch.testing.assert_close(policy(packed).detach(), before, atol=1e-5, rtol=0)
    assert not torch.allclose(policy(packed).detach(), before, atol=1e-3)
    np.testing.assert_allclose(losses(again), losses(whole), atol=1e-4)
    np.testing.assert_allclose(metric(again, "klDivergence"), metric(whole, "klDivergence"), atol=1e-4)
    checkpoint = str(Path(whole.output_dir) / "checkpoints/step-000002")
    resumed = spec_of(prompts, **started, resumeFrom=checkpoint)
    train(resumed, Group())
    assert losses(resumed) == losses(whole)[2:]


def test_a_run_without_anything_to_learn_ends_with_the_reason(prompts: Workshop):
    spec = spec_of(prompts, {"letter": "never"}, hyperparameters={"maxSteps": 50})
    with pytest.raises(Fault, match="For 20 steps all answers to each prompt were worth the same") as raised:
        open_run(spec).run()
    assert "more varied prompts" in raised.value.hint
    assert len(events(spec, "step")) == 19
    assert metric(spec, "groupsWithoutSpread") == [1.0] * 19


def test_the_steps_without_anything_to_learn_are_counted_over_a_stop(prompts: Workshop):
    first = spec_of(prompts, {"letter": "never"}, hyperparameters={"maxSteps": 8})
    open_run(first).run()
    checkpoint = str(Path(first.output_dir) / "checkpoints/step-000008")
    changes = {"hyperparameters": {"maxSteps": 50}, "resumeFrom": checkpoint}
    resumed = spec_of(prompts, {"letter": "never"}, **changes)
    with pytest.raises(Fault, match="For 20 steps"):
        open_run(resumed).run()
    assert [event["step"] for event in events(resumed, "step")] == list(range(9, 20))


def test_the_log_probabilities_are_those_of_the_tokens_at_the_temperature_they_were_drawn_at(prompts: Workshop):
    temperature = 0.7
    run = open_run(spec_of(prompts, method=method(temperature=temperature)))
    opened = run.objective.open(run.batches.at(0))
    packed = pack([unit.rows[0] for unit in opened.units])
    found = run.objective._log_probabilities(packed)  # type: ignore[attr-defined]
    model: Any = run.tuning.model
    model.set_attn_implementation("eager")
    wanted: list[float] = []
    for unit in opened.units:
        row = unit.rows[0]
        logits = model(input_ids=torch.tensor([row.tokens.tolist()])).logits[0] / temperature
        steps = logits.log_softmax(-1)
        wanted += [steps[at - 1, row.tokens[at]].item() for at in range(row.prompt_length, len(row.tokens))]
    assert found.tolist() == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"method": method(maxCompletionTokens=300)}, "the model reads 256"),
        ({"method": method(grader={**LETTER, "reference": "{{x}}"})}, r"method\.grader\.reference"),
    ],
)
def test_what_cannot_be_trained_is_refused_before_anything_is_loaded(
    prompts: Workshop, changes: dict[str, Any], said: str
):
    with pytest.raises(Fault, match=said):
        open_inputs(spec_of(prompts, **changes))


def test_a_model_is_dealt_out_only_where_one_process_cannot_hold_it_as_each_token_would_fetch_it(prompts: Workshop):
    spec = spec_of(prompts, tuning=FULL)
    inputs = open_inputs(spec)
    large = inputs.config.model_copy(update={"num_hidden_layers": 10_000})
    assert not inputs.plan(spec, Room(2048, processes=2)).sharded
    assert plan_memory(spec, large, 10, Room(2048, processes=4)).sharded
    with pytest.raises(Fault, match="MiB"):
        plan_memory(spec, large, 10, Room(1024, processes=4))


def test_a_row_that_the_grader_cannot_grade_is_named(prompts: Workshop):
    with pytest.raises(Fault, match=r'file-a line 1: the row has no "item\.letter"') as raised:
        open_run(spec_of(prompts, {"other": 1})).run()
    assert raised.value.exit_status == 40


def test_items_that_do_not_fit_their_rows_are_refused(prompts: Workshop):
    spec = spec_of(prompts)
    folder = Path(spec.data.train_dir or "")
    items = folder / "items-00000.jsonl"
    items.write_text(items.read_text() + json.dumps({}) + "\n")
    with pytest.raises(Fault, match=r"items-00000\.jsonl does not have the sha256"):
        open_inputs(spec)


def test_an_adapter_with_magnitudes_on_few_bits_learns_from_rewards_too(prompts: Workshop):
    lora = {"r": 4, "loraAlpha": 8, "loraDropout": 0, "targetModules": "all-linear", "useRslora": False}
    tuning = {"type": "qlora", "bits": 4, "useDora": True, **lora}
    spec = spec_of(prompts, tuning=tuning)
    open_run(spec).run()
    # The likeliest answers of the base, which the scores are of, may be right by chance; those that are drawn are not.
    rewards = metric(spec, "rewardMean")
    assert sum(rewards[-3:]) / 3 > rewards[0] + 0.3
