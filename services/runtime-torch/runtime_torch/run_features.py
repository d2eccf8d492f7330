"""What a run can ask for beyond its method and kind of tuning; rules as in `libs/contracts/src/run-features.ts`."""

from __future__ import annotations

from collections.abc import Iterator

from .fault import Fault
from .spec import Lora, Pretrain, Qlora, RuntimeSpec, Supervised

FEATURES: tuple[str, ...] = ()
"""Those that are built."""


def check_features(spec: RuntimeSpec) -> None:
    """Raises `config.bad` for what is not built, and for settings that do not go together."""
    _check_contradictions(spec)
    for feature, field in _asked(spec):
        if feature not in FEATURES:
            raise Fault("config.bad", f'{field}: this runtime does not have "{feature}".')


def _asked(spec: RuntimeSpec) -> Iterator[tuple[str, str]]:
    settings, tuning = spec.hyperparameters, spec.tuning
    if isinstance(tuning, Lora | Qlora):
        if tuning.use_dora:
            yield "dora", "tuning.useDora"
        if tuning.init_lora_weights == "pissa":
            yield "pissa", "tuning.initLoraWeights"
        if tuning.loraplus_lr_ratio not in (None, 1):
            yield "loraplus", "tuning.loraplusLrRatio"
    if settings.optimizer not in (None, "adamw"):
        yield settings.optimizer, "hyperparameters.optimizer"
    if settings.neftune_noise_alpha:
        yield "neftune", "hyperparameters.neftuneNoiseAlpha"
    if settings.label_smoothing_factor:
        yield "label-smoothing", "hyperparameters.labelSmoothingFactor"


def _check_contradictions(spec: RuntimeSpec) -> None:
    settings, tuning = spec.hyperparameters, spec.tuning
    if isinstance(tuning, Lora | Qlora):
        if settings.optimizer == "muon":
            raise Fault("config.bad", "hyperparameters.optimizer: muon is for whole weight matrices, not for adapters.")
        if tuning.use_dora and tuning.init_lora_weights == "pissa":
            raise Fault("config.bad", "tuning.initLoraWeights: pissa and DoRA both begin by splitting the weights.")
    if settings.label_smoothing_factor and not isinstance(spec.method, Supervised | Pretrain):
        raise Fault("config.bad", "hyperparameters.labelSmoothingFactor: this method compares answers, not tokens.")
