"""`score`: base and, with an adapter, tuned model on the held-out rows."""

from __future__ import annotations

from typing import Any

from .events_file import EventsFile
from .open_model import open_adapted, open_base
from .open_run import Inputs
from .run_control import raise_if_stopped
from .scoring import score_rows
from .spec import RuntimeSpec


def score(spec: RuntimeSpec, inputs: Inputs, events: EventsFile) -> dict[str, Any]:
    held_out, budget = inputs.held_out, inputs.plan.token_budget
    assert held_out is not None, "a spec without held-out data is refused when its inputs are opened"

    def between() -> None:
        events.heartbeat(0)
        raise_if_stopped(spec.output_dir)

    if inputs.adapter is None:
        model = open_base(spec)
        events.write("phase", phase="scoring-base")
        base = score_rows(spec, model, held_out, budget, between)
        return {"mode": "score", "base": base.model_dump(by_alias=True)}
    tuning = open_adapted(spec, inputs.adapter)
    events.write("phase", phase="scoring-base")
    with tuning.base_only():
        base = score_rows(spec, tuning.model, held_out, budget, between)
    events.write("phase", phase="scoring-tuned")
    tuned = score_rows(spec, tuning.model, held_out, budget, between)
    return {"mode": "score", "base": base.model_dump(by_alias=True), "tuned": tuned.model_dump(by_alias=True)}
