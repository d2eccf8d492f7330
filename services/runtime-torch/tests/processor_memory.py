"""
Trains each kind of run for two steps on this machine's processor, in float32 and a process of its own that may take no
more than was planned, and prints what it took at most beside, as rows of a table. Ends with 1 where one took more.

    processor_memory.py [KIND...]
"""

from __future__ import annotations

import json
import math
import multiprocessing
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from conftest import VOCABULARY, Sizes, Workshop, write_data, write_model, write_prompts
from tokenizers import Tokenizer
from tokenizers.models import WordLevel

from runtime_torch.devices.memory_plan import Room
from runtime_torch.runs.open_run import open_inputs

# 168 million parameters, those that test/torch/memory-plan.test.ts plans with.
SIZES: Sizes = {
    "vocab_size": 32_000,
    "hidden_size": 1024,
    "intermediate_size": 2816,
    "num_hidden_layers": 12,
    "num_attention_heads": 16,
    "num_key_value_heads": 4,
    "head_dim": 64,
    "max_position_embeddings": 4096,
}
ROW_TOKENS = 700
ANSWER_TOKENS = 100
ROOMY_MIB = 16_384
MAIN = Path(__file__).parents[1] / "main.py"

LORA = {"type": "lora", "r": 8, "loraAlpha": 16, "loraDropout": 0, "targetModules": "all-linear", "useRslora": False}
QLORA = {**LORA, "type": "qlora"}
FULL = {"type": "full"}
DPO = {"type": "dpo", "loss": "sigmoid", "beta": 0.1, "labelSmoothing": 0}
GRADER = {
    "type": "string_check",
    "name": "same",
    "input": "{{sample.output_text}}",
    "reference": "w9",
    "operation": "eq",
}
GRPO = {
    **{"type": "grpo", "groupSize": 4, "beta": 0.0, "epsilon": 0.2, "temperature": 1.0},
    **{"maxCompletionTokens": ANSWER_TOKENS, "lossType": "grpo", "grader": GRADER},
}
KINDS: dict[str, dict[str, Any]] = {
    "LoRA": {"tuning": LORA},
    "LoRA, layers computed again": {"tuning": LORA, "memoryMode": "layer-recompute"},
    "DoRA": {"tuning": {**LORA, "useDora": True}},
    "QLoRA, 4 bits": {"tuning": {**QLORA, "bits": 4}},
    "QLoRA, 8 bits": {"tuning": {**QLORA, "bits": 8}},
    "full, AdamW": {"tuning": FULL},
    "full, AdamW in 8 bits": {"tuning": FULL, "hyperparameters": {"optimizer": "adamw8bit"}},
    "full, Adafactor": {"tuning": FULL, "hyperparameters": {"optimizer": "adafactor"}},
    "full, Muon": {"tuning": FULL, "hyperparameters": {"optimizer": "muon"}},
    "DPO, LoRA": {"tuning": LORA, "method": DPO},
    "reward, LoRA": {"tuning": LORA, "method": {"type": "reward", "centerRewardsCoefficient": 0.01}},
    "GRPO, LoRA": {"tuning": LORA, "method": GRPO},
    "LoRA in bfloat16": {"tuning": LORA, "precision": "bfloat16"},
    "full in bfloat16": {"tuning": FULL, "precision": "bfloat16"},
}


class Memory(NamedTuple):
    peak_mib: float
    planned_mib: float


class Runs:
    def __init__(self, root: Path) -> None:
        self._workshop = Workshop(root)
        self._model = _written_elsewhere(root / "measured")
        words = Tokenizer(WordLevel({f"w{number}": number for number in range(VOCABULARY)}, unk_token="w0"))
        words.save(str(self._model / "tokenizer.json"))
        rows = [[(7 * row + i) % VOCABULARY for i in range(ROW_TOKENS)] for row in range(2)]
        pairs = [half for row in rows for half in (row, [*row[:-1], 3])]
        self._data = {
            "dpo": write_data(root / "long-pairs", pairs, kind="preference"),
            "grpo": write_prompts(root / "long-prompts", rows, [{}] * len(rows)),
        }
        self._data["reward"] = self._data["dpo"]
        self._rows = write_data(root / "long-rows", rows)

    def measure(self, kind: str) -> Memory:
        planned_mib = self._plan(self._fields(kind, ROOMY_MIB), ROOMY_MIB)
        # Where there is room, a checkpoint is copied, which is no part of what is planned.
        fields = self._fields(kind, math.ceil(planned_mib))
        path = Path(f"{fields['outputDir']}.json")
        path.write_text(json.dumps(fields))
        # In a process of its own, as what one has taken once it does not give back. It leaves when its input ends.
        with subprocess.Popen([sys.executable, str(MAIN), "train", str(path)], stdin=subprocess.PIPE) as run:
            if run.wait() != 0:
                raise SystemExit(f"{kind}: the run ended with {run.returncode}")
        lines = (Path(fields["outputDir"]) / "events.0.jsonl").read_text().splitlines()
        (result,) = [event["result"] for event in map(json.loads, lines) if event["type"] == "result"]
        return Memory(result["peakMemoryMib"], planned_mib)

    def _fields(self, kind: str, memory_mib: int) -> dict[str, Any]:
        changes = dict(KINDS[kind])
        data = self._data.get(changes.get("method", {}).get("type", ""), self._rows)
        return self._workshop.fields(
            modelDir=str(self._model),
            data={"trainDir": str(data)},
            hyperparameters={"epochs": 2, "globalBatch": 2, **changes.pop("hyperparameters", {})},
            limits={"memoryMib": memory_mib, "cpu": os.cpu_count() or 1, "deadlineSeconds": 3600},
            **{"memoryMode": "whole-step", **changes},
        )

    def _plan(self, fields: dict[str, Any], memory_mib: int) -> float:
        same = ("modelDir", "data", "method", "precision", "limits", "tuning", "hyperparameters", "memoryMode")
        spec = self._workshop.spec(**{name: fields[name] for name in same if name in fields})
        return open_inputs(spec).plan(spec, Room(memory_mib)).needed_mib


def _written_elsewhere(folder: Path) -> Path:
    """Linux counts to a process what the one that started it has taken at most, so that must stay small."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(write_model, (folder,), {"sizes": SIZES})


def main(kinds: list[str]) -> int:
    more_than_planned = False
    with tempfile.TemporaryDirectory() as folder:
        runs = Runs(Path(folder))
        for kind in kinds:
            peak, planned = runs.measure(kind)
            print(f"| {kind} | {planned:.0f} | {peak:.0f} | {planned / peak:.2f} |", flush=True)
            more_than_planned |= peak > planned
    return int(more_than_planned)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:] or list(KINDS)))
