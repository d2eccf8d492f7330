"""
`eager_peft.py WORK OUT THREADS`: trains a LoRA adapter in float32 with PyTorch, transformers and PEFT as one would write it
by hand: batches padded to their longest row, one forward and one backward pass a step. WORK is a folder with `work.json`
(model folder, settings, the batches of all steps) and `adapter`, which training starts from. Writes OUT as JSON.
"""

import json
import sys
import time
from pathlib import Path

import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM

work_dir, out, threads = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
torch.set_num_threads(threads)
work = json.loads((work_dir / "work.json").read_text())
base = AutoModelForCausalLM.from_pretrained(work["modelDir"], dtype=torch.float32)
model = PeftModel.from_pretrained(base, str(work_dir / "adapter"), is_trainable=True)
model.train()
parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
optimiser = torch.optim.AdamW(
    parameters, betas=tuple(work["betas"]), eps=work["epsilon"], weight_decay=work["weightDecay"]
)


def padded(rows: list[dict]) -> dict[str, torch.Tensor]:
    longest = max(len(row["tokens"]) for row in rows)
    shape = (len(rows), longest)
    ids, seen, labels = torch.zeros(shape, dtype=torch.long), torch.zeros(shape, dtype=torch.long), torch.full(shape, -100)
    for i, row in enumerate(rows):
        tokens, trained = torch.tensor(row["tokens"]), torch.tensor(row["trained"], dtype=torch.bool)
        ids[i, : len(tokens)] = tokens
        seen[i, : len(tokens)] = 1
        labels[i, : len(tokens)] = torch.where(trained, tokens, -100)
    return {"input_ids": ids, "attention_mask": seen, "labels": labels}


losses = []
started = time.monotonic()
for step in work["steps"]:
    for group in optimiser.param_groups:
        group["lr"] = step["learningRate"]
    loss = model(**padded(step["rows"])).loss
    loss.backward()
    torch.nn.utils.clip_grad_norm_(parameters, work["maxGradNorm"])
    optimiser.step()
    optimiser.zero_grad()
    losses.append(loss.item())
out.write_text(json.dumps({"trainingSeconds": time.monotonic() - started, "losses": losses}))
