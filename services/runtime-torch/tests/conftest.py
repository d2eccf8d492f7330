"""Tiny models and prepared datasets."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from transformers import AutoConfig, AutoModelForCausalLM

from runtime_torch.devices.memory_plan import Room
from runtime_torch.processes.group import Group
from runtime_torch.runs.events_file import EventsFile
from runtime_torch.runs.open_run import open_inputs
from runtime_torch.runs.run_control import StopRequested
from runtime_torch.runs.train import TrainRun
from runtime_torch.spec import RuntimeSpec

VOCABULARY = 96
Sizes = dict[str, int | None]
SIZES: Sizes = {
    "vocab_size": VOCABULARY,
    "hidden_size": 32,
    "intermediate_size": 48,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "head_dim": 8,
    "max_position_embeddings": 256,
    "pad_token_id": None,
    "eos_token_id": 2,
    "bos_token_id": 1,
}


def write_model(folder: Path, model_type: str = "llama", *, tied: bool = True, sizes: Sizes | None = None) -> Path:
    torch.manual_seed(1)
    config = AutoConfig.for_model(
        model_type, **{**SIZES, **(sizes or {})}, tie_word_embeddings=tied, initializer_range=0.2
    )
    AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    return folder


def write_data(
    folder: Path,
    rows: Sequence[Sequence[int]],
    prompt_length: int = 2,
    *,
    kind: str = "sft",
    labels: Sequence[int] | None = None,
) -> Path:
    """Rows of which all tokens but the first `prompt_length` are trained."""
    folder.mkdir(parents=True)
    lengths = [len(row) for row in rows]
    tokens = np.concatenate([np.asarray(row, np.int32) for row in rows])
    trained = np.concatenate([np.arange(length) >= prompt_length for length in lengths]).astype(np.uint8)
    shard = folder / "shard-00000.safetensors"
    tensors = {
        "rowOffsets": np.cumsum([0, *lengths], dtype=np.int64),
        "sourceLine": np.arange(1, len(rows) + 1, dtype=np.int64),
        "tokens": tokens,
        "promptLength": np.full(len(rows), prompt_length, np.int32),
        "sourceFile": np.zeros(len(rows), np.int32),
        "trained": trained,
        **({"label": np.asarray(labels, np.uint8)} if labels is not None else {}),
    }
    save_file(tensors, shard)
    counts = {"rows": len(rows), "tokens": len(tokens), "trainedTokens": int(trained.sum())}
    source = {"fileId": "file-a", "sha256": "a" * 64, "unit": "line", "rows": len(rows), "cutRows": 0}
    manifest = {
        "version": 1,
        "kind": kind,
        **counts,
        "cutoffLength": 64,
        "tokenizerSha256": "a" * 64,
        "templateSha256": "a" * 64,
        "sources": [{**source, "droppedRows": 0}],
        "shards": [{"file": shard.name, "sha256": hashlib.sha256(shard.read_bytes()).hexdigest(), **counts}],
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def write_prompts(folder: Path, rows: Sequence[Sequence[int]], items: Sequence[dict[str, Any]]) -> Path:
    """Rows that are prompts as a whole, each with what a grader looks at."""
    write_data(folder, rows, max(map(len, rows)), kind="prompts")
    text = "".join(f"{json.dumps(item)}\n" for item in items)
    (folder / "items-00000.jsonl").write_text(text)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["shards"][0]["items"] = {
        "file": "items-00000.jsonl",
        "sha256": hashlib.sha256(text.encode()).hexdigest(),
    }
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def counting_rows(count: int) -> list[list[int]]:
    """Rows of several lengths that count upwards: easy to learn."""
    return [[(7 * row + i) % VOCABULARY for i in range(5 + row % 6)] for row in range(count)]


def counting_pairs(count: int) -> list[list[int]]:
    """Beside each row that counts upwards one that does not, of another length."""
    chosen = counting_rows(count)
    return [row for up in chosen for row in (up, [*up[:2], *((5 * token + 3) % VOCABULARY for token in up[1:])])]


class Workshop:
    """A tiny model, data and specs over them, below one folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.model = write_model(root / "model")
        self.train = write_data(root / "train", counting_rows(11))
        self.held_out = write_data(root / "held-out", counting_rows(3))
        pairs, held_out_pairs = counting_pairs(11), counting_pairs(3)
        self.pairs = {
            "trainDir": str(write_data(root / "pairs", pairs, kind="preference")),
            "heldOutDir": str(write_data(root / "held-out-pairs", held_out_pairs, kind="preference")),
        }
        self.rated = {
            "trainDir": str(write_data(root / "rated", pairs[:11], kind="kto", labels=[1, 0] * 5 + [1])),
            "heldOutDir": str(write_data(root / "held-out-rated", held_out_pairs, kind="kto", labels=[1, 0] * 3)),
        }
        self._runs = 0

    def spec(self, **changes: Any) -> RuntimeSpec:
        """Changed fields by their JSON names; those of `hyperparameters` are merged."""
        return RuntimeSpec.model_validate_json(json.dumps(self.fields(**changes)))

    def fields(self, **changes: Any) -> dict[str, Any]:
        self._runs += 1
        output = self.root / f"out-{self._runs}"
        output.mkdir()
        hyperparameters = {
            "epochs": 1,
            "maxSteps": None,
            "globalBatch": 4,
            "learningRate": 0.01,
            "schedule": "constant",
            "warmupRatio": 0,
            "weightDecay": 0.01,
            "adamBeta1": 0.9,
            "adamBeta2": 0.999,
            "adamEpsilon": 1e-8,
            "maxGradNorm": 1,
            "evaluationSteps": None,
            **changes.pop("hyperparameters", {}),
        }
        lora = {"r": 4, "loraAlpha": 8, "loraDropout": 0, "targetModules": "all-linear", "useRslora": False}
        return {
            "version": 1,
            "runId": "run-aaaaaaaaaaaaaaaaaaaa",
            "attempt": 1,
            "incarnation": 1,
            "mode": "train",
            "method": {"type": "supervised"},
            "tuning": {"type": "lora", **lora},
            "parallelism": {"nodes": 1, "devicesPerNode": 0},
            "checkpointing": {"everySteps": 2, "keepLast": 2},
            "limits": {"memoryMib": 2048, "cpu": 1, "deadlineSeconds": 60},
            "seed": 42,
            "modelDir": str(self.model),
            "data": {"trainDir": str(self.train), "heldOutDir": str(self.held_out)},
            "outputDir": str(output),
            **changes,
            "hyperparameters": hyperparameters,
        }


def open_run(spec: RuntimeSpec, group: Group | None = None, *, sharded: bool | None = None) -> TrainRun:
    """As the command opens it; `sharded` where the plan is not to decide."""
    group = group or Group()
    inputs = open_inputs(spec)
    plan = inputs.plan(spec, Room(spec.limits.memory_mib, group.size))
    plan = plan if sharded is None else replace(plan, sharded=sharded)
    return TrainRun(spec, inputs, plan, EventsFile(spec.output_dir, group.rank), group)


@pytest.fixture
def workshop(tmp_path: Path) -> Workshop:
    return Workshop(tmp_path)


def stop_in_the_fifth_step(run: TrainRun) -> None:
    """Trains until a stop is seen between the micro-batches of step 5, where a step has one: four are saved."""
    looks = iter(range(1000))

    def stop() -> None:
        if next(looks) == 4:
            raise StopRequested

    run.stepper.between = stop
    with pytest.raises(StopRequested):
        run.run()
