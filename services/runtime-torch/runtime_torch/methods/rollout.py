"""Answers of the model as it is now, to prompts of a dataset, and what they are worth."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tokenizers import Tokenizer
from transformers import GenerationConfig

from ..data.portable_random import RandomStream
from ..data.prepared_dataset import Row
from ..fault import Fault, blaming
from ..graders.grader import Grader
from ..graders.grader_template import GraderError
from ..models.model import PackedModel
from ..models.segment_attention import SEGMENT_ATTENTION

# Attention with a cache of what came before, which rows side by side do not have.
_CACHED_ATTENTION = "sdpa"


@dataclass(frozen=True)
class Answer:
    row: Row
    """The prompt, and the answer as what is trained."""
    reward: float
    complete: bool
    """False: it was cut off after the most tokens that it may have."""

    @property
    def length(self) -> int:
        return self.row.trained_count


def answer_to(prompt: Row, tokens: np.ndarray[Any, np.dtype[np.int32]], reward: float, complete: bool) -> Answer:
    both = np.concatenate([prompt.tokens, tokens])
    trained = (np.arange(len(both)) >= len(prompt.tokens)).astype(np.uint8)
    return Answer(Row(both, trained, prompt.place, len(prompt.tokens)), reward, complete)


class Answerer:
    """Generates with transformers, a prompt at a time, so that an answer does not depend on who else is asked."""

    def __init__(
        self,
        model: PackedModel,
        model_dir: str,
        grader: Grader,
        max_tokens: int,
        between: Callable[[], None],
        *,
        in_lockstep: bool,
    ) -> None:
        """
        `between` is called before every token; it raises to leave. `in_lockstep`: all processes ask at once, and go on
        until the longest of their answers ends.
        """
        self._model = model
        self._grader = grader
        self._between = between
        self._in_lockstep = in_lockstep
        with blaming("model.unreadable"):
            self._tokenizer = Tokenizer.from_file(str(Path(model_dir) / "tokenizer.json"))
        language_model: Any = model.language_model
        self._ends = _ends_of(language_model)
        # What the model's authors advise for chats (penalties, the likeliest tokens alone) would not be the policy.
        language_model.generation_config = GenerationConfig(
            eos_token_id=self._ends or None,
            pad_token_id=self._ends[0] if self._ends else 0,
            max_new_tokens=max_tokens,
        )

    def greedy(self, prompt: Row) -> Answer:
        """The likeliest answer."""
        return self._answers(prompt, {"do_sample": False, "num_return_sequences": 1})[0]

    def sampled(self, prompt: Row, count: int, temperature: float, seed: int, place: str) -> list[Answer]:
        """By chance, and the same for the same `place` in a run."""
        first, _ = RandomStream(seed, f"answers/{place}").pairs(0, 1)
        torch.manual_seed(int(first[0]))
        how = {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0, "num_return_sequences": count}
        return self._answers(prompt, how)

    @torch.no_grad()
    def _answers(self, prompt: Row, how: dict[str, Any]) -> list[Answer]:
        tokens = torch.from_numpy(prompt.tokens.astype(np.int64))[None].to(self._model.device)
        with self._generating() as generate:
            asked = {"input_ids": tokens, "attention_mask": torch.ones_like(tokens)}
            found = self._model.within(partial(generate, **asked, **how, synced_gpus=self._in_lockstep))
        return [self._graded(prompt, answer) for answer in found[:, tokens.shape[1] :].cpu().numpy().astype(np.int32)]

    @contextmanager
    def _generating(self) -> Generator[Any]:
        model: Any = self._model.language_model
        model.eval()
        model.set_attn_implementation(_CACHED_ATTENTION)
        looking = model.register_forward_pre_hook(self._look)
        try:
            with self._model.autocast():
                yield model.generate
        finally:
            looking.remove()
            model.set_attn_implementation(SEGMENT_ATTENTION)

    def _look(self, *_: object) -> None:
        self._between()

    def _graded(self, prompt: Row, generated: np.ndarray[Any, np.dtype[np.int32]]) -> Answer:
        ends = np.flatnonzero(np.isin(generated, self._ends))
        complete = len(ends) > 0
        answer = generated[: ends[0] + 1] if complete else generated
        text = self._tokenizer.decode(answer.tolist(), skip_special_tokens=True).strip()
        try:
            reward = self._grader.reward(prompt.item, text)
        except GraderError as cause:
            raise Fault("data.bad", f"{prompt.place}: {cause}.") from cause
        return answer_to(prompt, answer, reward, complete)


def _ends_of(language_model: Any) -> list[int]:
    """Tokens that end an answer."""
    ends: int | Sequence[int] | None = language_model.generation_config.eos_token_id
    if ends is None:
        ends = language_model.config.eos_token_id
    return [] if ends is None else [ends] if isinstance(ends, int) else list(ends)
