"""What plain transformers and PEFT make of adapters, to hold the engine of libs/lm against.

    python peft_judge.py WORK.json

With the Python of the PyTorch runtime, of whose own code nothing is used. WORK.json holds `rows` (lists of tokens),
`out` (the file to write) and two lists: adapters to `load`, with `name`, `model` and `adapter` (folders), and those to
`train` on the rows, saved to `adapter`, with `settings` of PEFT's LoraConfig besides. All is computed in float32. For
each, `out` gets `NAME.base.ROW`, `NAME.adapted.ROW` and `NAME.merged.ROW`: logits [tokens, vocabulary] of the base,
with the adapter beside it, and after `merge_and_unload()`.
"""

import json
import sys
from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

STEPS = 8
LEARNING_RATE = 0.02

Rows = list[torch.Tensor]


def base_of(folder: str) -> torch.nn.Module:
    return AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()


@torch.no_grad()
def logits_of(model: torch.nn.Module, rows: Rows) -> list[torch.Tensor]:
    """Each row alone, so that nothing depends on padding."""
    return [model(input_ids=row, use_cache=False).logits[0].contiguous() for row in rows]


def judged(name: str, model: str, adapter: str, rows: Rows) -> dict[str, torch.Tensor]:
    base = logits_of(base_of(model), rows)
    loaded = PeftModel.from_pretrained(base_of(model), adapter).eval()
    adapted = logits_of(loaded, rows)
    merged = logits_of(loaded.merge_and_unload(), rows)
    kinds = {"base": base, "adapted": adapted, "merged": merged}
    return {f"{name}.{kind}.{row}": value for kind, found in kinds.items() for row, value in enumerate(found)}


def train(model: str, adapter: str, settings: dict[str, Any], rows: Rows) -> None:
    torch.manual_seed(1)
    adapted = get_peft_model(base_of(model), LoraConfig(task_type="CAUSAL_LM", **settings)).train()
    optimiser = torch.optim.AdamW([p for p in adapted.parameters() if p.requires_grad], lr=LEARNING_RATE)
    for _ in range(STEPS):
        loss = torch.stack([adapted(input_ids=row, labels=row, use_cache=False).loss for row in rows]).sum()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    adapted.save_pretrained(adapter)


def main() -> None:
    work = json.loads(Path(sys.argv[1]).read_text())
    rows = [torch.tensor([row]) for row in work["rows"]]
    tensors: dict[str, torch.Tensor] = {}
    for asked in work["train"]:
        train(asked["model"], asked["adapter"], asked["settings"], rows)
    for asked in [*work["load"], *work["train"]]:
        tensors.update(judged(asked["name"], asked["model"], asked["adapter"], rows))
    save_file(tensors, work["out"])


if __name__ == "__main__":
    main()
