"""A model that comes from its files layer by layer, so that no memory holds all of it as it is stored."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForCausalLM, AutoModelForSequenceClassification, PreTrainedModel

from ..fault import Fault
from .segment_attention import SEGMENT_ATTENTION
from .tensor_file import StoredWeights


class OwnStorage(torch.nn.Module):
    """Has a weight, and keeps it in another form than it is stored in."""

    @abstractmethod
    def take_weight(self, weight: torch.Tensor) -> None: ...


def empty_model(model_dir: str, dtype: torch.dtype, *, gives_points: bool = False) -> PreTrainedModel:
    """Shapes without memory. See `load_model`."""
    kind: Any = AutoModelForSequenceClassification if gives_points else AutoModelForCausalLM
    labels = {"num_labels": 1} if gives_points else {}
    config = AutoConfig.from_pretrained(model_dir, local_files_only=True, trust_remote_code=False, **labels)
    with torch.device("meta"):
        return kind.from_config(config, dtype=dtype, attn_implementation=SEGMENT_ATTENTION)


def filled_layers(model: PreTrainedModel, model_dir: str) -> Iterator[torch.nn.Module]:
    """
    Reads the weights of an empty model: yields each layer when it has its own, and then fills what is of no layer. What
    lies on layers beside the model's weights (an adapter), and a score head, get memory, and no values.
    """
    stored = StoredWeights(Path(model_dir))
    inner: Any = model.base_model
    head: Any = model.get_output_embeddings()
    shared = _shared(head, inner.embed_tokens)
    for number, layer in enumerate(inner.layers):
        _fill(layer, f"model.layers.{number}.", stored)
        yield layer
    _fill(inner.norm, "model.norm.", stored)
    for part in _with_weights(inner.embed_tokens):
        _fill(part, "model.embed_tokens.", stored)
    if head is None:
        model.score.to_empty(device="cpu")  # type: ignore[operator]
    for part in _with_weights(head):
        if part in shared:
            part.weight = inner.embed_tokens.get_submodule(shared[part]).weight
        else:
            _fill(part, "model.embed_tokens." if model.config.tie_word_embeddings else "lm_head.", stored)
    # Its numbers are computed, not stored.
    inner.rotary_emb = type(inner.rotary_emb)(config=model.config)


def _with_weights(module: torch.nn.Module | None) -> list[torch.nn.Module]:
    """Itself; or of one that is trained beside an adapter what it was, and what becomes of it."""
    return [] if module is None else [part for part in module.modules() if dict(part.named_parameters(recurse=False))]


def _shared(head: torch.nn.Module | None, embeddings: torch.nn.Module) -> dict[torch.nn.Module, str]:
    """Parts of the head by the names of those of the embeddings whose weight is theirs, too."""
    owners = {id(weight): name.rpartition(".")[0] for name, weight in embeddings.named_parameters()}
    return {part: owners[id(part.weight)] for part in _with_weights(head) if id(part.weight) in owners}


def _fill(module: torch.nn.Module, prefix: str, stored: StoredWeights) -> None:
    module.to_empty(device="cpu")
    for name, parameter in module.named_parameters():
        if ".lora_" not in name:
            parameter.data.copy_(_whole(stored, prefix + name, parameter.shape))
    for name, part in module.named_modules():
        if isinstance(part, OwnStorage):
            shape = torch.Size((part.out_features, part.in_features))  # type: ignore[arg-type]
            part.take_weight(_whole(stored, f"{prefix}{name}.weight", shape))


def _whole(stored: StoredWeights, name: str, shape: torch.Size) -> torch.Tensor:
    full = name.replace(".base_layer.", ".")
    if full not in stored:
        raise Fault("model.unreadable", f"The weights lack {full}.")
    values = stored.slice_of(full)
    if values.get_shape() != list(shape):
        raise Fault("model.unreadable", f"{full} has shape {values.get_shape()}, not {list(shape)}.")
    return values[:]
