"""What besides tensors a run needs to go on exactly. The place in the data follows from `step`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

from ..devices.loss_scale import LossScale

STATE_FILE = "trainer_state.json"


class Score(BaseModel):
    """Over a set of rows; sums are over trained tokens."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    rows: int
    trained_tokens: int
    loss: float
    perplexity: float | None = None
    token_accuracy: float | None = None
    """None where no tokens are predicted: a reward model gives points."""
    metrics: dict[str, float] = {}
    """What else the method knows of them."""

    def as_json(self) -> dict[str, Any]:
        return self.model_dump(by_alias=True, exclude_none=True)


class TrainerState(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    version: int = 1
    seed: int
    step: int = 0
    """Finished optimiser steps."""
    tokens: int = 0
    trained_tokens: int = 0
    training_ms: float = 0.0
    first_loss: float | None = None
    last_loss: float | None = None
    base: Score | None = None
    loss_scale: LossScale | None = None
    """Of float16 alone."""


def read_state(folder: str) -> TrainerState:
    return TrainerState.model_validate_json((Path(folder) / STATE_FILE).read_bytes())
