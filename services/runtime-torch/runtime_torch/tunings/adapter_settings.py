"""Settings of a LoRA adapter: of the request, or of an adapter that was stored by PEFT or another runtime."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from ..fault import Fault
from ..spec import LoraFields, NonEmpty
from .whole_module_names import WHOLE_MODULES, whole_module_of

_CONFIG_BYTES_MAX = 1_000_000
# The module of transformers' sequence classifiers that gives a row its points.
SCORE_HEAD = "score"
# PEFT names all names that such a module has in one architecture or another.
_SCORE_HEADS = {SCORE_HEAD, "classifier"}
# What would change the result and is not understood here.
_REFUSED = (
    "fan_in_fan_out",
    "rank_pattern",
    "alpha_pattern",
    "layers_to_transform",
    "layer_replication",
    "trainable_token_indices",
    "target_parameters",
)


class AdapterSettings(BaseModel):
    """In PEFT's spelling."""

    model_config = ConfigDict(extra="allow", frozen=True)

    peft_type: Literal["LORA"]
    r: Annotated[int, Field(ge=1, le=65_536)]
    lora_alpha: Annotated[float, Field(gt=0)]
    lora_dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    target_modules: Literal["all-linear"] | Annotated[list[NonEmpty], Field(min_length=1)]
    use_rslora: bool = False
    use_dora: bool = False
    bias: Literal["none"] = "none"
    modules_to_save: list[str] | None = None
    ensure_weight_tying: bool | None = None

    @property
    def gives_points(self) -> bool:
        """Whether it makes a reward model: one whose score head is trained beside the adapter."""
        return SCORE_HEAD in (self.modules_to_save or ())

    @property
    def whole_modules(self) -> list[str]:
        """Of embeddings and head those that are trained whole; a matrix that is both has either name."""
        named = {whole_module_of(name) for name in self.modules_to_save or ()}
        return [module for module in WHOLE_MODULES if module in named]

    @model_validator(mode="after")
    def _refuse_unknown_ways(self) -> Self:
        for name in _REFUSED:
            if (self.model_extra or {}).get(name):
                raise ValueError(f"{name} is not supported")
        named = set(self.modules_to_save or ())
        if named and not {SCORE_HEAD} <= named <= _SCORE_HEADS:
            unknown = next((name for name in sorted(named) if whole_module_of(name) is None), None)
            if unknown is not None:
                raise ValueError(f'modules_to_save: "{unknown}" is not supported; merge the adapter with PEFT')
        return self


def settings_of_request(lora: LoraFields, *, tied: bool, gives_points: bool = False) -> AdapterSettings:
    """`tied`: embeddings and head of the model are one matrix, and stay so."""
    return AdapterSettings(
        peft_type="LORA",
        r=lora.r,
        lora_alpha=lora.lora_alpha,
        lora_dropout=lora.lora_dropout,
        target_modules=lora.target_modules,
        use_rslora=lora.use_rslora,
        use_dora=bool(lora.use_dora),
        modules_to_save=[SCORE_HEAD] if gives_points else list[str](lora.modules_to_save or ()) or None,
        ensure_weight_tying=tied and bool(lora.modules_to_save),
    )


def settings_of_folder(folder: str) -> AdapterSettings:
    path = Path(folder) / "adapter_config.json"
    if path.stat().st_size > _CONFIG_BYTES_MAX:
        raise Fault("model.unreadable", f"{path.name} has more than {_CONFIG_BYTES_MAX} bytes.")
    try:
        return AdapterSettings.model_validate_json(path.read_bytes())
    except ValidationError as cause:
        issue = cause.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(part) for part in issue["loc"])
        raise Fault("model.unreadable", f"{path.name}: {where}: {issue['msg']}") from cause
