"""From a spec of Luthier's to the settings of LLaMA-Factory; what has no equal there is refused."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

from runtime_torch.data.global_batches import TrainingBatches
from runtime_torch.data.prepared_dataset import Row
from runtime_torch.fault import Fault
from runtime_torch.spec import Lora, Pretrain, RuntimeSpec, Supervised

_NOT_TRAINED = -100
_SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


def refuse_what_has_no_equal(spec: RuntimeSpec) -> None:
    if not isinstance(spec.method, Supervised | Pretrain):
        raise Fault("config.bad", f'method: LLaMA-Factory takes no prepared rows for "{spec.method.type}".')
    if not isinstance(spec.tuning, Lora):
        raise Fault("config.bad", f'tuning: "{spec.tuning.type}" is not translated, only "lora".')
    if not spec.tuning.lora_alpha.is_integer():
        raise Fault("config.bad", f"tuning.loraAlpha: {spec.tuning.lora_alpha} is no whole number.")
    if spec.parallelism.nodes > 1 or spec.parallelism.devices_per_node > 1:
        raise Fault("config.bad", "parallelism: one process is started, for at most one device.")


def settings_of(spec: RuntimeSpec, rows_dir: Path, output_dir: Path, steps: int) -> dict[str, object]:
    assert isinstance(spec.tuning, Lora), "anything else was refused"
    lora, asked = spec.tuning, spec.hyperparameters
    targets = lora.target_modules
    return {
        "model_name_or_path": spec.model_dir,
        "trust_remote_code": False,
        "stage": "sft",  # rows of pretraining are trained in all of their tokens
        "do_train": True,
        "finetuning_type": "lora",
        "lora_rank": lora.r,
        "lora_alpha": int(lora.lora_alpha),
        "lora_dropout": lora.lora_dropout,
        "lora_target": "all" if isinstance(targets, str) else ",".join(targets),
        "use_rslora": lora.use_rslora,
        "dataset": "prepared",  # asked for, and not looked at beside rows that are tokenised
        "tokenized_path": str(rows_dir),
        "disable_shuffling": True,  # the rows lie in the order of the contract
        "output_dir": str(output_dir),
        "max_steps": steps,
        # Rows one by one without padding; LLaMA-Factory divides by the trained tokens of the whole batch, as we do.
        "per_device_train_batch_size": 1,
        "gradient_accumulation_steps": asked.global_batch,
        "learning_rate": asked.learning_rate,
        "lr_scheduler_type": _SCHEDULES[asked.schedule],
        "warmup_steps": math.ceil(asked.warmup_ratio * steps),
        "weight_decay": asked.weight_decay,
        "adam_beta1": asked.adam_beta1,
        "adam_beta2": asked.adam_beta2,
        "adam_epsilon": asked.adam_epsilon,
        "max_grad_norm": asked.max_grad_norm,
        "optim": "adamw_torch",
        "seed": spec.seed,
        "bf16": spec.precision == "bfloat16",
        "fp16": spec.precision == "float16",
        **({"infer_dtype": "float32"} if spec.precision in (None, "float32") else {}),
        "disable_gradient_checkpointing": spec.memory_mode == "whole-step",
        "use_cpu": spec.parallelism.devices_per_node == 0,
        "logging_steps": 1,
        "save_steps": spec.checkpointing.every_steps,
        "disable_tqdm": True,  # steps are printed as lines
        "report_to": "none",
        **({"adapter_name_or_path": spec.adapter_dir} if spec.adapter_dir else {}),
        **({"resume_from_checkpoint": spec.resume_from} if spec.resume_from else {}),
    }


def rows_of_run(spec: RuntimeSpec, batches: TrainingBatches) -> Iterator[dict[str, list[int]]]:
    """
    All rows of all steps, in the order of the contract. The last, smaller batch of an epoch is filled up with rows of
    which no token is trained: they add nothing to the sum, and nothing to the count that it is divided by.
    """
    for batch in batches:
        for row in batch.rows:
            yield _example(row.tokens.tolist(), _labels_of(row))
        filler = batch.rows[0].tokens[:2].tolist()
        for _ in range(spec.hyperparameters.global_batch - len(batch.rows)):
            yield _example(filler, [_NOT_TRAINED] * len(filler))


def _labels_of(row: Row) -> list[int]:
    return [int(token) if trained else _NOT_TRAINED for token, trained in zip(row.tokens, row.trained, strict=True)]


def _example(tokens: list[int], labels: list[int]) -> dict[str, list[int]]:
    return {"input_ids": tokens, "attention_mask": [1] * len(tokens), "labels": labels}
