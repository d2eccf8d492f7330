"""What a run can ask for beyond its method and kind of tuning; rules as in `libs/contracts/src/run-features.ts`."""

from __future__ import annotations

from collections.abc import Iterator

from .fault import Fault
from .models.model_config import ModelConfig
from .spec import Grpo, Lora, LoraFields, Pretrain, Qlora, Reward, RuntimeSpec, Supervised

FEATURES = (
    *("dora", "pissa", "loraplus", "modules-to-save", "neftune", "label-smoothing"),
    *("adamw8bit", "adafactor", "muon", "nf4"),
)
"""Those that are built."""


def check_features(spec: RuntimeSpec) -> None:
    """Raises `config.bad` for what is not built, and for settings that do not go together."""
    _check_contradictions(spec)
    for feature, field in _asked(spec):
        if feature not in FEATURES:
            raise Fault("config.bad", f'{field}: this runtime does not have "{feature}".')


def check_rank(spec: RuntimeSpec, config: ModelConfig) -> None:
    """A matrix has no more principal parts than its shorter side."""
    most = min(size for shape in config.linear_shapes for size in shape)
    if isinstance(spec.tuning, Lora | Qlora) and begins_by_pissa(spec) and spec.tuning.r > most:
        raise Fault("config.bad", f"tuning.r: pissa takes at most {most} for this model.")


def check_modules(spec: RuntimeSpec, *, tied: bool) -> None:
    """Of what is one matrix, an adapter that begins trains both or neither."""
    if not isinstance(spec.tuning, Lora | Qlora) or spec.adapter_dir is not None:
        return
    if tied and len(set(spec.tuning.modules_to_save or ())) == 1:
        both = 'name both, "embed_tokens" and "lm_head", or leave them out'
        raise Fault("config.bad", f"tuning.modulesToSave: embeddings and head of this model are one matrix; {both}.")


def begins_by_pissa(spec: RuntimeSpec) -> bool:
    """An adapter that is scored has been trained, whatever it began as."""
    lora = spec.tuning if isinstance(spec.tuning, Lora | Qlora) else None
    return lora is not None and lora.init_lora_weights == "pissa" and spec.adapter_dir is None


def keeps_start(spec: RuntimeSpec) -> bool:
    """Whether what is trained stays in memory as it was, too: an adapter that begins anew is turned off instead."""
    begins_anew = isinstance(spec.tuning, LoraFields) and spec.adapter_dir is None
    near_start = isinstance(spec.method, Grpo) and spec.method.beta > 0
    return near_start and not begins_anew and spec.mode != "score"


def shares_rows(spec: RuntimeSpec) -> bool:
    """Whether several processes can each take a part of a row: where each token of it is learnt by itself."""
    return isinstance(spec.method, Supervised | Pretrain) and spec.hyperparameters.neftune_noise_alpha is None


def _asked(spec: RuntimeSpec) -> Iterator[tuple[str, str]]:
    settings, tuning = spec.hyperparameters, spec.tuning
    if isinstance(tuning, Lora | Qlora):
        if tuning.use_dora:
            yield "dora", "tuning.useDora"
        if tuning.init_lora_weights == "pissa":
            yield "pissa", "tuning.initLoraWeights"
        if tuning.loraplus_lr_ratio not in (None, 1):
            yield "loraplus", "tuning.loraplusLrRatio"
        if tuning.modules_to_save:
            yield "modules-to-save", "tuning.modulesToSave"
    if isinstance(tuning, Qlora) and tuning.bits == 4:
        yield "nf4", "tuning.bits"
    if settings.optimizer not in (None, "adamw"):
        yield settings.optimizer, "hyperparameters.optimizer"
    if settings.neftune_noise_alpha:
        yield "neftune", "hyperparameters.neftuneNoiseAlpha"
    if settings.label_smoothing_factor:
        yield "label-smoothing", "hyperparameters.labelSmoothingFactor"
    if settings.early_stopping_patience:
        yield "early-stopping", "hyperparameters.earlyStoppingPatience"


def _check_contradictions(spec: RuntimeSpec) -> None:
    settings, tuning = spec.hyperparameters, spec.tuning
    if isinstance(tuning, Lora | Qlora):
        if settings.optimizer == "muon":
            raise Fault("config.bad", "hyperparameters.optimizer: muon is for whole weight matrices, not for adapters.")
        if tuning.use_dora and tuning.init_lora_weights == "pissa":
            raise Fault("config.bad", "tuning.initLoraWeights: pissa and DoRA both begin by splitting the weights.")
        if tuning.init_lora_weights == "pissa" and isinstance(spec.method, Reward):
            raise Fault("config.bad", "tuning.initLoraWeights: pissa is for models that answer, not for points.")
        if tuning.modules_to_save and isinstance(spec.method, Reward):
            raise Fault("config.bad", "tuning.modulesToSave: a reward model has a head of its own, always trained.")
        if tuning.modules_to_save and tuning.init_lora_weights == "pissa":
            raise Fault("config.bad", "tuning.modulesToSave: pissa begins with what is taken out of a frozen model.")
        if tuning.init_lora_weights == "pissa" and spec.adapter_dir and spec.mode != "score":
            raise Fault("config.bad", "tuning.initLoraWeights: pissa begins anew, adapterDir goes on from an adapter.")
    if settings.label_smoothing_factor and not isinstance(spec.method, Supervised | Pretrain):
        raise Fault("config.bad", "hyperparameters.labelSmoothingFactor: this method compares answers, not tokens.")
    if settings.early_stopping_patience and settings.evaluation_steps is None:
        raise Fault("config.bad", "hyperparameters.earlyStoppingPatience: counts evaluations; give evaluationSteps.")
