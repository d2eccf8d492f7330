"""GRPO: the model answers, a grader says what its answers are worth, and it learns from the better ones."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import torch

from ..data.global_batches import Batch, rows_of, steps_per_batch, stored_batches
from ..data.micro_batch import MicroBatch, Packed, pack
from ..data.prepared_dataset import PreparedDataset, Unit
from ..fault import Fault
from ..graders.grader import open_grader
from ..models.head import token_losses
from ..runs.trainer_state import Score
from ..spec import Grpo, LoraFields
from .grpo_loss import advantages_of, clipped_tokens, divergence_of, grpo_share, grpo_token_losses
from .kept_answers import Answered, load_answers, save_answers
from .objective import Objective, OpenBatch, Surroundings
from .preference_share import Share
from .rollout import Answer, Answerer

_WHAT = "the answers"
_FILE = "rewards.json"
# A turn takes at least one unit, however few tokens it may have.
_ONE_AT_A_TIME = 0
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
        group = around.group
        look, longest = partial(group.look, between), settings.max_completion_tokens
        self._answerer = Answerer(model, spec.model_dir, grader, longest, look, in_lockstep=group.lockstep)
        dropout = isinstance(spec.tuning, LoraFields) and spec.tuning.lora_dropout > 0
        self._noisy = dropout or spec.hyperparameters.neftune_noise_alpha is not None
        self._fruitless_steps = 0
        self._updates = steps_per_batch(spec)
        self._checkpoint: Path | None = None
        self._opened: tuple[Answered, OpenBatch] | None = None

    def prepare(self) -> None: ...

    def load(self, checkpoint: Path) -> None:
        self._fruitless_steps = json.loads((checkpoint / _FILE).read_text(encoding="utf-8"))["fruitlessSteps"]
        self._checkpoint = checkpoint

    def save(self, checkpoint: Path) -> None:
        (checkpoint / _FILE).write_text(json.dumps({"fruitlessSteps": self._fruitless_steps}), encoding="utf-8")
        if self._opened and self._updates > 1:
            save_answers(self._opened[0], checkpoint)

    def open(self, batch: Batch) -> OpenBatch:
        """Its steps have the same answers; so has one that overflows in halves and is made again."""
        if self._opened is None or self._opened[0].first != batch.first:
            kept = load_answers(self._checkpoint, batch) if self._checkpoint else None
            answered = kept or self._answered(batch)
            self._opened = answered, self._open(answered)
        return self._opened[1]

    def _answered(self, batch: Batch) -> Answered:
        groups = self._answer(batch)
        self._count_fruitless(_rewards_of(groups).std(dim=1))
        answered = Answered(batch.first, groups, None)
        if self._updates == 1 and not self._noisy:
            return answered
        return answered._replace(sampled=self._measure(_units_of(answered)))

    def _open(self, answered: Answered) -> OpenBatch:
        rewards, answers = _rewards_of(answered.groups), answered.answers
        spread = rewards.std(dim=1)
        advantages = advantages_of(self._settings, rewards).flatten()
        tokens = sum(answer.length for answer in answers)
        metrics = {
            "rewardMean": rewards.mean().item(),
            "rewardStd": spread.mean().item(),
            "groupsWithoutSpread": (spread == 0).double().mean().item(),
            **_lengths_of(answers),
        }
        share = partial(self._share, advantages, tokens, answered.sampled)
        return OpenBatch(_units_of(answered), share, metrics if self._around.group.leads else {})

    def score(self, dataset: PreparedDataset) -> Score:
        """The mean reward of the likeliest answers."""
        group = self._around.group
        sums = {"reward": 0.0, "tokens": 0.0, "complete": 0.0}
        for batch in stored_batches(dataset, self._around.spec.hyperparameters.global_batch):
            with group.together(_WHAT):
                for turn in group.turns(batch.units, _ONE_AT_A_TIME):
                    with group.passing(_WHAT):
                        answer = self._answerer.greedy(turn.units[0].rows[0])
                    if turn.counts:
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
            for turn in group.turns(batch.units, _ONE_AT_A_TIME):
                (unit,) = turn.units
                # A prompt comes again in each epoch, and then another place.
                place = f"{batch.first}/{unit.index}"
                with group.passing(_WHAT):
                    # Who only goes along finds what another one finds, too.
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

    def _share(
        self,
        advantages: torch.Tensor,
        all_tokens: int,
        sampled_of: Sequence[torch.Tensor] | None,
        micro: MicroBatch,
    ) -> Share:
        settings, model = self._settings, self._around.model
        packed = micro.packed
        reference = None
        if settings.beta > 0:
            with torch.no_grad(), self._around.reference():
                reference = self._log_probabilities(packed)
        policy = self._log_probabilities(packed)
        now = policy.detach()
        numbers = [unit.index for unit in micro.units]
        sampled = now if sampled_of is None else torch.cat([sampled_of[number] for number in numbers]).to(now)
        answer_of_token = packed.row_of_label.to(model.device)
        of_tokens = advantages[numbers].to(model.device)[answer_of_token]
        losses = grpo_token_losses(settings, policy, sampled, reference, of_tokens)
        metrics: dict[str, torch.Tensor] = {}
        if sampled_of is not None:
            metrics["clippedShare"] = clipped_tokens(settings, now, sampled, of_tokens).sum() / all_tokens
        if reference is not None:
            metrics["klDivergence"] = divergence_of(now, reference).sum() / all_tokens
        return Share(grpo_share(settings, losses, answer_of_token, len(numbers), len(advantages)), metrics)

    @torch.no_grad()
    def _measure(self, units: Sequence[Unit]) -> list[torch.Tensor]:
        """The log-probabilities of each answer's tokens, as it was drawn: without dropout or noise."""
        _, model, token_budget, group, between, _ = self._around
        model.eval()
        found: dict[int, torch.Tensor] = {}
        with group.together(_WHAT):
            for turn in group.turns(units, token_budget):
                with group.passing(_WHAT):
                    values = self._log_probabilities(pack(rows_of(turn.units))).cpu()
                parts = values.split([unit.trained_count for unit in turn.units])
                found.update({unit.index: part for unit, part in zip(turn.units, parts, strict=True)})
                group.look(between)
        everyone = {index: part for some in group.gather(_WHAT, found) for index, part in some.items()}
        return [everyone[unit.index] for unit in units]

    def _log_probabilities(self, packed: Packed) -> torch.Tensor:
        """Of each token of the answers, at the temperature at which they are drawn."""
        temperature = self._settings.temperature

        def head(hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
            return -token_losses(hidden / temperature, weight, labels)

        return self._around.model.over(packed, head)


def _rewards_of(groups: Sequence[Sequence[Answer]]) -> torch.Tensor:
    """[prompts, answers]"""
    return torch.tensor([[answer.reward for answer in group] for group in groups], dtype=torch.float64)


def _units_of(answered: Answered) -> list[Unit]:
    return [Unit(number, (answer.row,)) for number, answer in enumerate(answered.answers)]


def _lengths_of(answers: Sequence[Answer]) -> dict[str, float]:
    count = len(answers)
    return {
        "completionTokens": sum(answer.length for answer in answers) / count,
        "cutOffShare": sum(not answer.complete for answer in answers) / count,
    }
