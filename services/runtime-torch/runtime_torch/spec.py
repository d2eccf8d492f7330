"""The run's specification: a strict equal of `libs/contracts/schema/runtime-spec.json` (a test compares them)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from .fault import Fault
from .graders.grader_spec import GraderSettings, Strict

Count = Annotated[int, Field(gt=0)]
Probability = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0)]
NonEmpty = Annotated[str, Field(min_length=1)]
Optimizer = Literal["adamw", "adamw8bit", "adafactor", "muon"]
Bits = Literal[4, 8]
Precision = Literal["float32", "bfloat16", "float16"]


class Supervised(Strict):
    type: Literal["supervised"]


class Pretrain(Strict):
    type: Literal["pretrain"]


class Dpo(Strict):
    type: Literal["dpo"]
    loss: Literal["sigmoid", "ipo", "hinge"]
    beta: Positive
    label_smoothing: Annotated[float, Field(ge=0, le=0.5)]


class Orpo(Strict):
    type: Literal["orpo"]
    beta: Positive


class Simpo(Strict):
    type: Literal["simpo"]
    beta: Positive
    gamma: Annotated[float, Field(ge=0)]


class Kto(Strict):
    type: Literal["kto"]
    beta: Positive
    desirable_weight: Positive
    undesirable_weight: Positive


class Reward(Strict):
    type: Literal["reward"]
    center_rewards_coefficient: Annotated[float, Field(ge=0)]


class Grpo(Strict):
    type: Literal["grpo"]
    group_size: Annotated[int, Field(ge=2, le=64)]
    beta: Annotated[float, Field(ge=0)]
    epsilon: Annotated[float, Field(gt=0, lt=1)]
    temperature: Annotated[float, Field(gt=0, le=2)]
    max_completion_tokens: Annotated[int, Field(gt=0, le=4096)]
    loss_type: Literal["grpo", "dr_grpo"]
    num_iterations: Annotated[int, Field(ge=1, le=16)] | None = None
    grader: Annotated[GraderSettings, Field(discriminator="type")]


class LoraFields(Strict):
    r: Annotated[int, Field(ge=1, le=1024)]
    lora_alpha: Positive
    lora_dropout: Probability
    target_modules: Literal["all-linear"] | Annotated[list[NonEmpty], Field(min_length=1)]
    use_rslora: bool
    use_dora: bool | None = None
    init_lora_weights: Literal["default", "pissa"] | None = None
    loraplus_lr_ratio: Annotated[float, Field(ge=1, le=1000)] | None = None
    modules_to_save: Annotated[list[Literal["embed_tokens", "lm_head"]], Field(max_length=2)] | None = None


class Lora(LoraFields):
    type: Literal["lora"]


class Qlora(LoraFields):
    type: Literal["qlora"]
    bits: Bits


class Full(Strict):
    type: Literal["full"]


class Freeze(Strict):
    type: Literal["freeze"]
    trainable_layers: Count


class Hyperparameters(Strict):
    epochs: Annotated[float, Field(gt=0, le=50)]
    max_steps: Count | None
    global_batch: Annotated[int, Field(gt=0, le=4096)]
    learning_rate: Annotated[float, Field(gt=0, le=1)]
    schedule: Literal["cosine", "linear", "constant"]
    warmup_ratio: Probability
    weight_decay: Annotated[float, Field(ge=0)]
    adam_beta1: Annotated[Probability, Field(alias="adamBeta1")]
    adam_beta2: Annotated[Probability, Field(alias="adamBeta2")]
    adam_epsilon: Positive
    max_grad_norm: Positive
    evaluation_steps: Count | None
    optimizer: Optimizer | None = None
    neftune_noise_alpha: Annotated[float, Field(gt=0, le=1000)] | None = None
    label_smoothing_factor: Annotated[float, Field(ge=0, le=0.9)] | None = None
    early_stopping_patience: Annotated[int, Field(ge=1)] | None = None


class Parallelism(Strict):
    nodes: Count
    devices_per_node: Annotated[int, Field(ge=0)]


class Checkpointing(Strict):
    every_steps: Count
    keep_last: Count


class Limits(Strict):
    memory_mib: Count
    device_memory_mib: Count | None = None
    cpu: Count
    deadline_seconds: Count


class Data(Strict):
    train_dir: NonEmpty | None = None
    held_out_dir: NonEmpty | None = None


class RuntimeSpec(Strict):
    version: Literal[1]
    run_id: Annotated[str, Field(pattern=r"^run-[a-z0-9]{20}$")]
    attempt: Count
    incarnation: Count
    mode: Literal["train", "rehearse", "score", "export"]
    method: Annotated[Supervised | Pretrain | Dpo | Orpo | Simpo | Kto | Reward | Grpo, Field(discriminator="type")]
    tuning: Annotated[Lora | Qlora | Full | Freeze, Field(discriminator="type")]
    hyperparameters: Hyperparameters
    parallelism: Parallelism
    checkpointing: Checkpointing
    limits: Limits
    seed: Annotated[int, Field(ge=0, le=2147483647)]
    model_dir: NonEmpty
    adapter_dir: NonEmpty | None = None
    data: Data
    resume_from: NonEmpty | None = None
    output_dir: NonEmpty
    memory_mode: Literal["whole-step", "layer-recompute"] | None = None
    precision: Precision | None = None


def read_spec(path: str) -> RuntimeSpec:
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as cause:
        raise Fault("config.bad", f"The spec cannot be read: {path}") from cause
    try:
        return RuntimeSpec.model_validate_json(text)
    except ValidationError as cause:
        issue = cause.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in issue["loc"]) or "its top"
        raise Fault("config.bad", f"The spec is not valid at {where}: {issue['msg']}") from cause
