"""GRPO: the model answers, a grader says what its answers are worth, and it learns from the better ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from ..data.global_batches import Batch, stored_batches
from ..data.micro_batch import MicroBatch, Packed
from ..data.prepared_dataset import PreparedDataset, Unit
from ..fault import Fault
from ..graders.grader import open_grader
from ..models.head import token_losses
from ..runs.trainer_state import Score
from ..spec import Grpo, LoraFields
from .grpo_loss import advantages_of, divergence_of, grpo_share, grpo_token_losses
from .objective import Objective, OpenBatch, Surroundings
from .preference_share import Share
from .rollout import Answer, Answerer

_WHAT = "the answers"
_FILE = "rewards.json"
# Steps in a row without anything to learn, after which there is no hope of it.
_FRUITLESS_STEPS_MAX = 20
_HINT = (
    "Take a grader that gives points for parts of an answer, more varied prompts, a higher temperature or larger "
    "groups; where no answer is ever right, train supervised on some examples first."
)


class GrpoObjective(Objective):
    makes_rows = True

    def __init__(self, around: Surroundings, settings: Grpo) -> None:
        self._around = around
        self._settings = settings
        spec, model, between = around.spec, around.model, around.between
        grader = open_grader(settings.grader)
        self._answerer = Answerer(model, spec.model_dir, grader, settings.max_completion_tokens, between)
        dropout = isinstance(spec.tuning, LoraFields) and spec.tuning.lora_dropout > 0
        self._noisy = dropout or spec.hyperparameters.neftune_noise_alpha is not None
        self._fruitless_steps = 0
        self._opened: tuple[int, OpenBatch] | None = None

    def prepare(self) -> None: ...

    def load(self, checkpoint: Path) -> None:
        self._fruitless_steps = json.loads((checkpoint / _FILE).read_text(encoding="utf-8"))["fruitlessSteps"]

    def save(self, checkpoint: Path) -> None:
        (checkpoint / _FILE).write_text(json.dumps({"fruitlessSteps": self._fruitless_steps}), encoding="utf-8")

    def open(self, batch: Batch) -> OpenBatch:
        """A step that overflows in halves is made again: with the same answers."""
        if self._opened is None or self._opened[0] != batch.first:
            self._opened = batch.first, self._open(batch)
        return self._opened[1]

    def _open(self, batch: Batch) -> OpenBatch:
        groups = self._answer(batch)
        rewards = torch.tensor([[answer.reward for answer in answers] for answers in groups], dtype=torch.float64)
        answers = [answer for group in groups for answer in group]
        spread = rewards.std(dim=1)
        self._count_fruitless(spread)
        units = [Unit(number, (answer.row,)) for number, answer in enumerate(answers)]
        advantages = advantages_of(self._settings, rewards).flatten()
        tokens = sum(answer.length for answer in answers)
        metrics = {
            "rewardMean": rewards.mean().item(),
            "rewardStd": spread.mean().item(),
            "groupsWithoutSpread": (spread == 0).double().mean().item(),
            **_lengths_of(answers),
        }
        share = partial(self._share, advantages, tokens)
        return OpenBatch(units, share, metrics if self._around.group.leads else {})

    def score(self, dataset: PreparedDataset) -> Score:
        """The mean reward of the likeliest answers."""
        group = self._around.group
        sums = {"reward": 0.0, "tokens": 0.0, "complete": 0.0}
        for batch in stored_batches(dataset, self._around.spec.hyperparameters.global_batch):
            with group.together(_WHAT):
                for unit in group.shares_of(batch.units)[group.rank]:
                    answer = self._answerer.greedy(unit.rows[0])
                    sums["reward"] += answer.reward
                    sums["tokens"] += answer.length
                    sums["complete"] += answer.complete
        found = group.add_up(_WHAT, sums)
        reward = found["reward"] / dataset.units
        return Score(
            rows=dataset.rows,
            trained_tokens=int(found["tokens"]),
            loss=-reward,
            metrics={
                "rewardMean": reward,
                "completionTokens": found["tokens"] / dataset.units,
                "cutOffShare": 1 - found["complete"] / dataset.units,
            },
        )

    def _answer(self, batch: Batch) -> list[list[Answer]]:
        """To each prompt of the batch. Each process answers some; all get to know all answers."""
        spec, group, settings = self._around.spec, self._around.group, self._settings
        found: dict[int, list[Answer]] = {}
        with group.together(_WHAT):
            for unit in group.shares_of(batch.units)[group.rank]:
                # A prompt comes again in each epoch, and then another place.
                place = f"{batch.first}/{unit.index}"
                found[unit.index] = self._answerer.sampled(
                    unit.rows[0], settings.group_size, settings.temperature, spec.seed, place
                )
        everyone = {index: answers for part in group.gather(_WHAT, found) for index, answers in part.items()}
        return [everyone[unit.index] for unit in batch.units]

    def _count_fruitless(self, spread: torch.Tensor) -> None:
        self._fruitless_steps = 0 if bool((spread > 0).any()) else self._fruitless_steps + 1
        if self._fruitless_steps >= _FRUITLESS_STEPS_MAX:
            said = f"For {_FRUITLESS_STEPS_MAX} steps all answers to each prompt were worth the same"
            raise Fault("data.bad", f"{said}, so there is nothing to learn from.", _HINT)

    def _share(self, advantages: torch.Tensor, all_tokens: int, micro: MicroBatch) -> Share:
        settings, model = self._settings, self._around.model
        packed = micro.packed
        reference = None
        if settings.beta > 0:
            with torch.no_grad(), self._around.base_only():
                reference = self._log_probabilities(packed)
        sampled = self._before(packed) if self._noisy else None
        policy = self._log_probabilities(packed)
        answer_of_token = packed.row_of_label.to(model.device)
        of_answers = advantages[[unit.index for unit in micro.units]].to(model.device)
        losses = grpo_token_losses(
            settings,
            policy,
            policy.detach() if sampled is None else sampled,
            reference,
            of_answers[answer_of_token],
        )
        loss = grpo_share(settings, losses, answer_of_token, len(micro.units), len(advantages))
        if reference is None:
            return Share(loss, {})
        return Share(loss, {"klDivergence": divergence_of(policy.detach(), reference).sum() / all_tokens})

    @torch.no_grad()
    def _before(self, packed: Packed) -> torch.Tensor:
        """As the answers were generated: without dropout or noise."""
        language_model = self._around.model.language_model
        language_model.eval()
        try:
            return self._log_probabilities(packed)
        finally:
            language_model.train()

    def _log_probabilities(self, packed: Packed) -> torch.Tensor:
        """Of each token of the answers, at the temperature at which they are drawn."""
        temperature = self._settings.temperature

        def head(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return -token_losses(hidden / temperature, weight, labels)

        return self._around.model(packed, head)


def _lengths_of(answers: Sequence[Answer]) -> dict[str, float]:
    count = len(answers)
    return {
        "completionTokens": sum(answer.length for answer in answers) / count,
        "cutOffShare": sum(not answer.complete for answer in answers) / count,
    }
