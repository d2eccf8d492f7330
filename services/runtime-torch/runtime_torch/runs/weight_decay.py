"""What weight decay draws towards zero."""

from __future__ import annotations

import re

import torch

# As `Trainer.get_decay_parameter_names` of transformers 5.23.
_BIAS_OR_NORM = re.compile(r"bias|layernorm|rmsnorm|(?:^|\.)norm(?:$|\.)|_norm(?:$|\.)", re.IGNORECASE)


def is_decayed(name: str, parameter: torch.Tensor) -> bool:
    """
    Matrices, embeddings among them, and neither biases, norms nor any other vector. transformers and PEFT would also
    decay DoRA's magnitudes, which are vectors: they begin as the lengths of the model's own rows, so decay would shrink
    the model and not what was learnt (docs/adr/0052).
    """
    return parameter.ndim > 1 and _BIAS_OR_NORM.search(name) is None
