"""Names of what can be trained whole beside an adapter. Imports no library: `capabilities` needs none."""

from __future__ import annotations

from collections.abc import Sequence

EMBEDDINGS, HEAD = "embed_tokens", "lm_head"
WHOLE_MODULES: tuple[str, ...] = (EMBEDDINGS, HEAD)
STORED_NAMES = {
    EMBEDDINGS: "base_model.model.model.embed_tokens.weight",
    HEAD: "base_model.model.lm_head.weight",
}
MERGE = "if the vocabulary was resized, merge the adapter into its base with PEFT"


def whole_module_of(name: str) -> str | None:
    """As PEFT names one: it matches by the end of a path, and names the path itself where weights are tied."""
    last = name.rsplit(".", 1)[-1]
    return last if name in (EMBEDDINGS, HEAD, f"model.{EMBEDDINGS}") else None


def stored_names(modules: Sequence[str]) -> list[str]:
    return [STORED_NAMES[module] for module in modules]
