"""Opens what a spec names, cheapest first, so that a fault in it is said before anything heavy is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from ..data.prepared_dataset import Kind, PreparedDataset, open_prepared_dataset
from ..devices.memory_plan import MemoryPlan, Room, plan_memory
from ..fault import Fault, blaming
from ..graders.grader import open_grader
from ..models.model_config import ModelConfig, read_model_config
from ..run_features import check_features, check_modules, check_rank
from ..spec import Freeze, Full, Grpo, LoraFields, Reward, RuntimeSpec
from ..tunings.adapter_settings import AdapterSettings, settings_of_folder, settings_of_request
from .trainer_state import TrainerState, read_state

_ROWS: tuple[Kind, ...] = ("sft", "pretrain")
_PAIRS: tuple[Kind, ...] = ("preference",)
_RATED: tuple[Kind, ...] = ("kto",)
_PROMPTS: tuple[Kind, ...] = ("prompts",)
KINDS_OF_METHOD = {
    "supervised": _ROWS,
    "pretrain": _ROWS,
    "dpo": _PAIRS,
    "orpo": _PAIRS,
    "simpo": _PAIRS,
    "reward": _PAIRS,
    "kto": _RATED,
    "grpo": _PROMPTS,
}


@dataclass(frozen=True)
class Inputs:
    config: ModelConfig
    train: PreparedDataset | None
    held_out: PreparedDataset | None
    adapter: AdapterSettings | None
    """None for a run that trains or scores the model itself."""
    longest_pass: int
    """Tokens of the longest row, or pair, that goes through the model."""
    state: TrainerState
    """Where a run goes on, or starts."""

    def plan(self, spec: RuntimeSpec, room: Room) -> MemoryPlan:
        """What is trained beside A and B is what the adapter has that it goes on from."""
        if self.adapter and isinstance(spec.tuning, LoraFields):
            tuning = spec.tuning.model_copy(update={"modules_to_save": self.adapter.whole_modules})
            spec = spec.model_copy(update={"tuning": tuning})
        return plan_memory(spec, self.config, self.longest_pass, room)


def open_inputs(spec: RuntimeSpec) -> Inputs:
    kinds = KINDS_OF_METHOD.get(spec.method.type)
    if kinds is None:
        raise Fault("config.bad", f'method: this runtime does not know "{spec.method.type}".')
    if spec.mode in ("train", "rehearse") and spec.data.train_dir is None:
        raise Fault("config.bad", "data.trainDir: a training run needs data.")
    if spec.mode == "score" and spec.data.held_out_dir is None:
        raise Fault("config.bad", "data.heldOutDir: a scoring run needs held-out data.")
    check_features(spec)
    if isinstance(spec.method, Reward) and isinstance(spec.tuning, Full | Freeze):
        raise Fault("config.bad", f'tuning: a reward model is trained as an adapter, not by "{spec.tuning.type}".')
    if isinstance(spec.method, Grpo):
        open_grader(spec.method.grader)  # what cannot be read is said before anything is loaded
    config = read_model_config(spec.model_dir)
    train, held_out = (
        open_prepared_dataset(folder, config.vocab_size, kinds) if folder else None
        for folder in (spec.data.train_dir, spec.data.held_out_dir)
    )
    longest = max((data.longest_pass for data in (train, held_out) if data), default=1)
    if isinstance(spec.method, Grpo):
        longest += spec.method.max_completion_tokens
        _check_context(spec.method, longest, config.max_position_embeddings)
    if isinstance(spec.tuning, Freeze) and spec.tuning.trainable_layers > config.num_hidden_layers:
        raise Fault("config.bad", f"tuning.trainableLayers: the model has {config.num_hidden_layers} layers.")
    check_rank(spec, config)
    check_modules(spec, tied=config.tie_word_embeddings)
    return Inputs(config, train, held_out, _adapter_of(spec, config), longest, _state_of(spec))


def _check_context(method: Grpo, longest: int, context: int | None) -> None:
    if context is not None and longest > context:
        prompt = longest - method.max_completion_tokens
        said = f"the longest prompt has {prompt} tokens, and the model reads {context} with the answer"
        raise Fault("config.bad", f"method.maxCompletionTokens: {said}.")


def _state_of(spec: RuntimeSpec) -> TrainerState:
    if spec.resume_from is None:
        return TrainerState(seed=spec.seed)
    with blaming("model.unreadable"):
        return read_state(spec.resume_from)


def _adapter_of(spec: RuntimeSpec, config: ModelConfig) -> AdapterSettings | None:
    if spec.adapter_dir:
        if isinstance(spec.tuning, Full | Freeze):
            raise Fault("config.bad", f"adapterDir: {spec.tuning.type} tuning does not go on from an adapter.")
        with blaming("model.unreadable"):
            settings = settings_of_folder(spec.adapter_dir)
        _check_head(spec, settings)
        return settings
    if spec.mode == "score" and isinstance(spec.method, Reward):
        raise Fault("config.bad", "adapterDir: only a trained adapter gives points; a base model alone has none.")
    if spec.mode == "score" or isinstance(spec.tuning, Full | Freeze):
        return None
    tied = config.tie_word_embeddings
    return settings_of_request(spec.tuning, tied=tied, gives_points=isinstance(spec.method, Reward))


def _check_head(spec: RuntimeSpec, settings: AdapterSettings) -> None:
    if settings.gives_points == isinstance(spec.method, Reward):
        return
    does = "gives points instead of answers" if settings.gives_points else "gives answers instead of points"
    raise Fault("config.bad", f'adapterDir: the adapter {does}, so "{spec.method.type}" cannot go on from it.')
