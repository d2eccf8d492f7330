"""`score`: base and, with an adapter, tuned model on the held-out rows."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

from ..devices.memory_plan import MemoryPlan
from ..methods.objective import Surroundings
from ..methods.open_objective import objective_of
from ..models.open_model import open_base, open_tuning
from ..processes.group import Group
from ..spec import RuntimeSpec
from .events_file import EventsFile
from .open_run import Inputs
from .run_control import raise_if_stopped


def score(spec: RuntimeSpec, inputs: Inputs, plan: MemoryPlan, events: EventsFile, group: Group) -> dict[str, Any]:
    held_out = inputs.held_out
    assert held_out is not None, "a spec without held-out data is refused when its inputs are opened"

    def between() -> None:
        events.heartbeat(0)
        raise_if_stopped(spec.output_dir)

    if inputs.adapter:
        tuning, model = open_tuning(spec, inputs, plan, group)
    else:
        tuning, model = None, open_base(spec, plan, group)
    base_only = tuning.base_only if tuning else nullcontext
    objective = objective_of(Surroundings(spec, model, plan.token_budget, group, between, base_only), inputs)
    events.write("phase", phase="scoring-base")
    with base_only():
        objective.prepare()
        base = objective.score(held_out)
    if tuning is None:
        return {"mode": "score", "base": base.as_json()}
    events.write("phase", phase="scoring-tuned")
    tuned = objective.score(held_out)
    return {
        "mode": "score",
        "base": base.as_json(),
        "tuned": tuned.as_json(),
    }
