"""
Trains a model of 135 million parameters with LoRA for a few steps and prints tokens a second, and the most memory that
was taken beside what was planned; ends with 1 where it was more.

    device_speed.py cpu|cuda float32|bfloat16|float16 [offloaded]

`offloaded`: all weights, as on a GPU that is too small for them, so that they lie in the machine's memory.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from conftest import VOCABULARY, Sizes, Workshop, write_data, write_model

from runtime_torch.command import run_command
from runtime_torch.devices.memory_plan import Room
from runtime_torch.runs.open_run import open_inputs

SIZES: Sizes = {
    "vocab_size": 49_152,
    "hidden_size": 576,
    "intermediate_size": 1536,
    "num_hidden_layers": 30,
    "num_attention_heads": 9,
    "num_key_value_heads": 3,
    "head_dim": 64,
    "max_position_embeddings": 2048,
}
ROW_TOKENS = 512
STEPS = 8
# The first steps load kernels.
WARM_UP = 3
MEMORY_MIB = 16_384
# Of a GPU, less than the weights take that are trained, and more than their layers do that are computed.
SMALL_MIB = 1_630


class Speed(NamedTuple):
    tokens_per_second: float
    peak_mib: float
    planned_mib: float

    def __str__(self) -> str:
        memory = f"{self.peak_mib:.0f} MiB at most, {self.planned_mib:.0f} planned"
        return f"{self.tokens_per_second:.0f} tokens/s, {memory}"


def measure(
    root: Path, device: str, precision: str, sizes: Sizes, row_tokens: int = ROW_TOKENS, **changes: Any
) -> Speed:
    """`changes` of the spec."""
    os.environ["LUTHIER_TORCH_DEVICE"] = device
    workshop = Workshop(root)
    model = write_model(root / "measured", sizes=sizes)
    rows = [[(7 * row + i) % VOCABULARY for i in range(row_tokens)] for row in range(32)]
    limits = {"memoryMib": MEMORY_MIB, "cpu": os.cpu_count() or 1, "deadlineSeconds": 600}
    always = {"epochs": 50, "maxSteps": STEPS, "globalBatch": len(rows)}
    fields = workshop.fields(
        modelDir=str(model),
        data={"trainDir": str(write_data(root / "rows", rows))},
        precision=precision,
        hyperparameters={**always, **changes.pop("hyperparameters", {})},
        checkpointing={"everySteps": STEPS, "keepLast": 1},
        limits={**limits, **changes.pop("limits", {})},
        **changes,
    )
    path = root / "measured.json"
    path.write_text(json.dumps(fields))
    status = run_command(["train", str(path)])
    if status != 0:
        raise SystemExit(f"the run ended with {status}")
    lines = (Path(fields["outputDir"]) / "events.0.jsonl").read_text().splitlines()
    steps = [event for event in map(json.loads, lines) if event["type"] == "step"]
    same = ("modelDir", "data", "precision", "limits", "tuning", "hyperparameters")
    spec = workshop.spec(**{name: fields[name] for name in same})
    plan = open_inputs(spec).plan(spec, _room(device, spec.limits.device_memory_mib))
    return Speed(
        statistics.median(step["metrics"]["tokensPerSecond"] for step in steps[WARM_UP:]),
        max(step["memory"].get("deviceMib", step["memory"]["hostMib"]) for step in steps),
        plan.needed_mib,
    )


def _room(device: str, allowed_mib: int | None) -> Room:
    if device == "cpu":
        return Room(MEMORY_MIB)
    import torch

    from runtime_torch.devices.device import Device
    from runtime_torch.devices.device_memory import plannable_mib

    torch.cuda.empty_cache()
    return Room(plannable_mib(Device("cuda"), allowed_mib), on_gpu=True)


if __name__ == "__main__":
    device, precision, *more = sys.argv[1:]
    changes: dict[str, Any] = {}
    if more == ["offloaded"]:
        changes = {"tuning": {"type": "full"}, "limits": {"deviceMemoryMib": SMALL_MIB}}
    with tempfile.TemporaryDirectory() as folder:
        speed = measure(Path(folder), device, precision, SIZES, **changes)
    print(f"{precision} on {device}: {speed}")
    sys.exit(speed.peak_mib > speed.planned_mib)
