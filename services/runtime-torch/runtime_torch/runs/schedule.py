"""Steps of a run and their learning rates, as `libs/planner` and `libs/lm` count them."""

from __future__ import annotations

import math

from ..spec import Hyperparameters


def steps_per_epoch(rows: int, settings: Hyperparameters) -> int:
    """The last, smaller batch of an epoch is kept."""
    return max(1, math.ceil(rows / settings.global_batch))


def total_steps(rows: int, settings: Hyperparameters, steps_per_batch: int = 1) -> int:
    # Half a batch rounds up, as in JavaScript.
    batches = max(1, math.floor(steps_per_epoch(rows, settings) * settings.epochs + 0.5))
    steps = batches * steps_per_batch
    return steps if settings.max_steps is None else min(steps, settings.max_steps)


def learning_rate_at(step: int, total: int, settings: Hyperparameters) -> float:
    """
    Of step `step`, from 0, as transformers' schedules with warm-up: rising from 0 over ceil(warmupRatio * total) steps,
    then along the curve to 0 at `total`.
    """
    warmup = math.ceil(settings.warmup_ratio * total)
    if step < warmup:
        return settings.learning_rate * step / max(1, warmup)
    progress = (step - warmup) / max(1, total - warmup)
    match settings.schedule:
        case "constant":
            return settings.learning_rate
        case "linear":
            return settings.learning_rate * max(0.0, 1 - progress)
        case "cosine":
            return settings.learning_rate * (1 + math.cos(math.pi * progress)) / 2
