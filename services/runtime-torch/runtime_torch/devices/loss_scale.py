"""How far losses are scaled up in float16, whose smallest numbers gradients would fall below."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel

_FACTOR = 2.0
_START = 65_536.0
_STEPS_BEFORE_RISE = 2000


class LossScale(BaseModel):
    """
    Halved when a step's gradients overflow, which is then made again, so that no rows are lost; doubled after a long
    time without. What it is follows from the steps alone, so that a run goes on exactly.
    """

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True)

    value: float = _START
    calm_steps: int = 0

    @property
    def can_fall(self) -> bool:
        return self.value > 1

    def fallen(self) -> LossScale:
        return LossScale(value=self.value / _FACTOR)

    def after_step(self) -> LossScale:
        if self.calm_steps + 1 < _STEPS_BEFORE_RISE:
            return LossScale(value=self.value, calm_steps=self.calm_steps + 1)
        return LossScale(value=self.value * _FACTOR)
