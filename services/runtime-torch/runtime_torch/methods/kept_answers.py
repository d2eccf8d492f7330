"""Answers that several steps learn from, and how a run goes on between two of these."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from ..data.global_batches import Batch
from .rollout import Answer, answer_to

_FILE = "answers.safetensors"


class Answered(NamedTuple):
    """A batch of prompts."""

    first: int
    """As of the batch."""
    groups: Sequence[Sequence[Answer]]
    """To each of its prompts."""
    sampled: Sequence[torch.Tensor] | None
    """Of each answer, the log-probabilities of its tokens when it was drawn; None: as they are when it is trained."""

    @property
    def answers(self) -> list[Answer]:
        return [answer for group in self.groups for answer in group]


def save_answers(answered: Answered, folder: Path) -> None:
    assert answered.sampled is not None, "what one step alone learns from is not kept"
    answers = answered.answers
    tokens = [answer.row.tokens[answer.row.prompt_length :] for answer in answers]
    tensors = {
        "tokens": torch.from_numpy(np.concatenate(tokens)),
        "lengths": torch.tensor([answer.length for answer in answers]),
        "rewards": torch.tensor([answer.reward for answer in answers], dtype=torch.float64),
        "complete": torch.tensor([answer.complete for answer in answers]),
        "logProbabilities": torch.cat(list(answered.sampled)),
    }
    save_file(tensors, folder / _FILE, {"first": str(answered.first)})


def load_answers(folder: Path, batch: Batch) -> Answered | None:
    """None: the checkpoint holds none to this batch."""
    if not (folder / _FILE).exists():
        return None
    with safe_open(folder / _FILE, framework="pt") as stored:
        if stored.metadata()["first"] != str(batch.first):
            return None
        found = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118  # it is no mapping
    lengths = found["lengths"].tolist()
    each = zip(found["tokens"].split(lengths), found["rewards"].tolist(), found["complete"].tolist(), strict=True)
    size = len(lengths) // len(batch.units)
    prompts = [unit.rows[0] for unit in batch.units for _ in range(size)]
    answers = [answer_to(prompt, tokens.numpy(), *how) for prompt, (tokens, *how) in zip(prompts, each, strict=True)]
    groups = [answers[at : at + size] for at in range(0, len(answers), size)]
    return Answered(batch.first, groups, found["logProbabilities"].split(lengths))
