"""The language model: transformers' modules, fed with packed rows."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from typing import Any, TypeVar

import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedModel
from transformers.utils import logging

from ..data.micro_batch import Packed
from ..devices.memory_plan import MemoryMode
from ..fault import Fault, blaming
from ..spec import Precision
from ..tunings.embedding_noise import EmbeddingNoise
from .segment_attention import SEGMENT_ATTENTION, Attention, row_by_row

Found = TypeVar("Found")
Head = Callable[[torch.Tensor, torch.Tensor, torch.Tensor], Found]

# PEFT asks transformers by a name that is going away; nobody who reads the log can change that.
warnings.filterwarnings("ignore", message="`is_gradient_checkpointing`", category=FutureWarning)
logging.set_verbosity_error()
logging.disable_progress_bar()


def load_model(model_dir: str, dtype: torch.dtype, *, gives_points: bool = False) -> PreTrainedModel:
    """
    Weights come from safetensors alone; no code of the folder is run. A model that gives points has a score head, which
    no base has, in place of its output layer.
    """
    kind: Any = AutoModelForSequenceClassification if gives_points else AutoModelForCausalLM
    with blaming("model.unreadable"):
        loaded: Any = kind.from_pretrained(
            model_dir,
            **({"num_labels": 1} if gives_points else {}),
            dtype=dtype,
            attn_implementation=SEGMENT_ATTENTION,
            local_files_only=True,
            trust_remote_code=False,
            use_safetensors=True,
            output_loading_info=True,
        )
        model, report = loaded
        # transformers fills what it does not find with random numbers.
        absent = set(report["missing_keys"]) - {"score.weight"}
        missing = sorted(absent) + sorted(str(key) for key in report["mismatched_keys"])
        if missing:
            raise Fault("model.unreadable", f"The weights lack {', '.join(missing[:3])}.")
        return model


def spend_memory(model: PreTrainedModel, memory_mode: MemoryMode) -> None:
    if memory_mode == "layer-recompute":
        model.activation_checkpointing_enable()


class PackedModel(torch.nn.Module):
    """
    A language model over packed rows, on its device and in its precision. All that needs its weights happens within
    `forward`: where the model is sharded, weights are whole only there.
    """

    def __init__(self, language_model: PreTrainedModel, dtype: torch.dtype, device: torch.device) -> None:
        super().__init__()
        self.language_model = language_model
        self.device = device
        self.attention: Attention = row_by_row
        self._dtype = dtype
        self.noise: EmbeddingNoise | None = None
        """Only while it is trained, never when it is scored."""

    def over(self, batch: Packed, head: Head[Found]) -> Found:
        """`head` takes the hidden states [n, size] before the trained tokens, the output weights and the labels."""
        return self(partial(self._over, batch, head))

    def within(self, use: Callable[[], Found]) -> Found:
        """For what passes through the language model by itself."""
        return self(use)

    def forward(self, use: Callable[[], Found]) -> Found:
        return use()

    def _over(self, batch: Packed, head: Head[Found]) -> Found:
        batch = batch.to(self.device)
        with self.autocast():
            states = self.language_model.base_model(
                inputs_embeds=self._embedded(batch)[None],
                position_ids=batch.positions[None],
                segments=batch.segments,
                attention=self.attention,
                use_cache=False,
            ).last_hidden_state
            return head(states[0, batch.predictors], self._head_weight(), batch.labels)

    @property
    def pad_token(self) -> int | None:
        return self.language_model.config.pad_token_id

    def _embedded(self, batch: Packed) -> torch.Tensor:
        embeddings = self.language_model.get_input_embeddings()(batch.tokens)
        if self.noise and self.language_model.training:
            return self.noise.added_to(embeddings, batch)
        return embeddings

    def _head_weight(self) -> torch.Tensor:
        """Of the output layer, or of the score head of a model that gives points."""
        model: Any = self.language_model
        head = model.get_output_embeddings()
        return (model.score if head is None else head).weight

    def autocast(self) -> AbstractContextManager[object]:
        """In halves what is trained stays in float32 and is rounded for each product."""
        return torch.autocast(self.device.type, self._dtype, enabled=self._dtype != torch.float32)


def dtype_of(precision: Precision | None) -> torch.dtype:
    return {"bfloat16": torch.bfloat16, "float16": torch.float16}.get(precision or "", torch.float32)
