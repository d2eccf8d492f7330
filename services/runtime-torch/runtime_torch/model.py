"""The language model: transformers' modules, fed with packed rows."""

from __future__ import annotations

import warnings
from contextlib import AbstractContextManager
from typing import Any

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.utils import logging

from .fault import Fault, blaming
from .memory_plan import MemoryMode
from .micro_batch import Packed
from .segment_attention import SEGMENT_ATTENTION
from .spec import RuntimeSpec

# PEFT asks transformers by a name that is going away; nobody who reads the log can change that.
warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
logging.set_verbosity_error()
logging.disable_progress_bar()


def load_model(model_dir: str, dtype: torch.dtype) -> PreTrainedModel:
    """Weights come from safetensors alone; no code of the folder is run."""
    with blaming("model.unreadable"):
        loaded: Any = AutoModelForCausalLM.from_pretrained(
            model_dir,
            dtype=dtype,
            attn_implementation=SEGMENT_ATTENTION,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
        model, report = loaded
        # transformers fills what it does not find with random numbers.
        missing = sorted(report["missing_keys"]) + sorted(str(key) for key in report["mismatched_keys"])
        if missing:
            raise Fault("model.unreadable", f"The weights lack {', '.join(missing[:3])}.")
        return model


def spend_memory(model: PreTrainedModel, memory_mode: MemoryMode) -> None:
    if memory_mode == "layer-recompute":
        model.activation_checkpointing_enable()


def head_weight(model: PreTrainedModel) -> torch.Tensor:
    head = model.get_output_embeddings()
    assert isinstance(head, torch.nn.Linear)
    return head.weight


def predicting_states(model: PreTrainedModel, batch: Packed) -> torch.Tensor:
    """Hidden states [n, size] of the positions before the trained tokens."""
    states = model.base_model(
        input_ids=batch.tokens[None],
        position_ids=batch.positions[None],
        segments=batch.segments,
        use_cache=False,
    ).last_hidden_state
    return states[0, batch.predictors]


def autocast(spec: RuntimeSpec) -> AbstractContextManager[object]:
    """In bfloat16 what is trained stays in float32 and is rounded for each product."""
    return torch.autocast("cpu", torch.bfloat16, enabled=spec.precision == "bfloat16")
