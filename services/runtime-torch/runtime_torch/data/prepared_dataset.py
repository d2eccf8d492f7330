"""Prepared datasets, read row by row from memory-mapped shards (docs/reference/runtime-contract.md)."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from ..fault import Fault, blaming

_MANIFEST_BYTES_MAX = 25_000_000
_HEADER_BYTES_MAX = 1_000_000
_DTYPE_NAMES: dict[type[np.generic], str] = {np.int64: "I64", np.int32: "I32", np.uint8: "U8"}
_T = TypeVar("_T", bound=np.generic)

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
NonNegative = Annotated[int, Field(ge=0)]
Kind = Literal["sft", "pretrain", "preference", "kto", "prompts"]


class _Open(BaseModel):
    """Unknown fields are left alone: a later preparer may say more."""

    model_config = ConfigDict(extra="ignore", strict=True, frozen=True, alias_generator=to_camel)


class Source(_Open):
    file_id: str
    unit: Literal["line", "row"]


class ItemsEntry(_Open):
    file: Annotated[str, Field(pattern=r"^items-\d{5}\.jsonl$")]
    sha256: Annotated[Sha256, Field(alias="sha256")]


class ShardEntry(_Open):
    file: Annotated[str, Field(pattern=r"^shard-\d{5}\.safetensors$")]
    sha256: Annotated[Sha256, Field(alias="sha256")]
    rows: NonNegative
    tokens: NonNegative
    trained_tokens: NonNegative
    items: ItemsEntry | None = None
    """Of prompts: what graders look at."""


class Manifest(_Open):
    version: Literal[1]
    kind: Kind
    rows: NonNegative
    tokens: NonNegative
    trained_tokens: NonNegative
    sources: list[Source]
    shards: list[ShardEntry]


@dataclass(frozen=True)
class Row:
    tokens: NDArray[np.int32]
    trained: NDArray[np.uint8]
    """1 where the model is trained to predict this token; the first token cannot be predicted."""
    place: str
    """Where the row came from, for people: file and line."""
    prompt_length: int = 0
    """Tokens before the last answer."""
    desirable: bool = True
    """Of KTO's rows: whether the answer is one to learn or one to leave."""
    number: int = 0
    """Among the stored rows, from 0."""
    item: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Of prompts: the fields of the row that a grader looks at."""

    @property
    def trained_count(self) -> int:
        return int(self.trained[1:].sum())


@dataclass(frozen=True)
class Unit:
    """What orders and batches count: one row, or a chosen row and the rejected one beside it."""

    index: int
    """From 0, in stored order."""
    rows: tuple[Row, ...]

    @property
    def length(self) -> int:
        return sum(len(row.tokens) for row in self.rows)

    @property
    def trained_count(self) -> int:
        return sum(row.trained_count for row in self.rows)


class _Shard:
    def __init__(self, path: Path, entry: ShardEntry, sources: list[Source], kind: Kind) -> None:
        if _sha256_of(path) != entry.sha256:
            raise Fault("data.bad", f"{entry.file} does not have the sha256 of the manifest.")
        tensors = _MappedTensors(path)
        self.offsets = np.array(tensors.vector("rowOffsets", np.int64, entry.rows + 1))
        if self.offsets[0] != 0 or self.offsets[-1] != entry.tokens or np.any(np.diff(self.offsets) < 0):
            raise Fault("data.bad", f"{entry.file}: rowOffsets must rise from 0 to the number of tokens.")
        self.tokens = tensors.vector("tokens", np.int32, entry.tokens)
        self._trained = tensors.vector("trained", np.uint8, entry.tokens)
        self._lines = tensors.vector("sourceLine", np.int64, entry.rows)
        self._files = tensors.vector("sourceFile", np.int32, entry.rows)
        if np.any((self._files < 0) | (self._files >= len(sources))):
            raise Fault("data.bad", f"{entry.file}: sourceFile names a source that the manifest does not list.")
        self.prompts = tensors.vector("promptLength", np.int32, entry.rows)
        self.lengths = np.diff(self.offsets)
        if np.any((self.prompts < 0) | (self.prompts > self.lengths)):
            raise Fault("data.bad", f"{entry.file}: promptLength lies outside its row.")
        if kind == "preference" and entry.rows % 2 != 0:
            raise Fault("data.bad", f"{entry.file}: a shard of preference data must hold whole pairs.")
        self._items = _items_of(path.parent, entry, kind)
        self._labels = tensors.vector("label", np.uint8, entry.rows) if kind == "kto" else None
        self._sources = sources

    def row(self, index: int, number: int) -> Row:
        begin, end = int(self.offsets[index]), int(self.offsets[index + 1])
        source = self._sources[int(self._files[index])]
        place = f"{source.file_id} {source.unit} {int(self._lines[index])}"
        desirable = self._labels is None or self._labels[index] == 1
        return Row(
            self.tokens[begin:end],
            self._trained[begin:end],
            place,
            int(self.prompts[index]),
            bool(desirable),
            number,
            self._items[index] if self._items else {},
        )


class PreparedDataset:
    """Units by their number, from 0."""

    def __init__(self, manifest: Manifest, shards: list[_Shard], chosen: NDArray[np.int64] | None = None) -> None:
        """`chosen` are the stored units that count, in the order in which they do; without it all."""
        self.manifest = manifest
        self._chosen = chosen
        self._shards = shards
        self._rows_per_unit = 2 if manifest.kind == "preference" else 1
        counts = [len(shard.lengths) for shard in shards]
        self._first_rows = np.concatenate([[0], np.cumsum(counts)])[:-1]

    @property
    def rows(self) -> int:
        return self.units * self._rows_per_unit

    @property
    def units(self) -> int:
        return self.manifest.rows // self._rows_per_unit if self._chosen is None else len(self._chosen)

    def longest(self, units: int) -> PreparedDataset:
        """At most that many of its longest units, the longest first."""
        order = np.argsort(-self._stored_lengths(), kind="stable")
        return PreparedDataset(self.manifest, self._shards, order[:units])

    @property
    def longest_pass(self) -> int:
        """Tokens of the largest thing that goes through the model as a whole."""
        lengths = self._stored_lengths()
        if self.manifest.kind != "kto":
            return int(lengths.max(initial=1))
        # A prompt is also seen with the answer of another row.
        prompts = np.concatenate([shard.prompts for shard in self._shards])
        return int(max(lengths.max(), prompts.max() + (lengths - prompts).max()))

    def _row(self, index: int) -> Row:
        shard = int(np.searchsorted(self._first_rows, index, side="right")) - 1
        return self._shards[shard].row(index - int(self._first_rows[shard]), index)

    def unit(self, index: int) -> Unit:
        first = self._rows_per_unit * (index if self._chosen is None else int(self._chosen[index]))
        return Unit(index, tuple(self._row(row) for row in range(first, first + self._rows_per_unit)))

    def __iter__(self) -> Iterator[Unit]:
        return (self.unit(index) for index in range(self.units))

    def _stored_lengths(self) -> NDArray[np.int64]:
        """Tokens of each stored unit."""
        lengths = np.concatenate([shard.lengths for shard in self._shards])
        return lengths.reshape(-1, self._rows_per_unit).sum(axis=1)

    def refuse_foreign_tokens(self, vocabulary_size: int) -> None:
        for shard, first in zip(self._shards, self._first_rows, strict=True):
            wrong = np.flatnonzero((shard.tokens < 0) | (shard.tokens >= vocabulary_size))
            if wrong.size > 0:
                row = int(first) + int(np.searchsorted(shard.offsets, wrong[0], side="right")) - 1
                raise Fault(
                    "data.bad",
                    f"Row {row} holds token {int(shard.tokens[wrong[0]])}; the model knows {vocabulary_size} tokens. "
                    "Was it prepared with another tokenizer?",
                )


def open_prepared_dataset(folder: str, vocabulary_size: int, kinds: tuple[Kind, ...]) -> PreparedDataset:
    """Opens a prepared dataset of one of these kinds and refuses what would be misread."""
    with blaming("data.bad"):
        manifest = _read_manifest(Path(folder) / "manifest.json")
        if manifest.kind not in kinds:
            raise Fault("data.bad", f'The data are of kind "{manifest.kind}"; expected {" or ".join(kinds)}.')
        if manifest.rows == 0 or (manifest.trained_tokens == 0 and manifest.kind != "prompts"):
            raise Fault("data.bad", "The data hold no trained token.")
        shards = [_Shard(Path(folder) / one.file, one, manifest.sources, manifest.kind) for one in manifest.shards]
        dataset = PreparedDataset(manifest, shards)
        dataset.refuse_foreign_tokens(vocabulary_size)
        return dataset


def _read_manifest(path: Path) -> Manifest:
    if path.stat().st_size > _MANIFEST_BYTES_MAX:
        raise Fault("data.bad", f"The manifest has more than {_MANIFEST_BYTES_MAX} bytes.")
    try:
        manifest = Manifest.model_validate_json(path.read_bytes())
    except ValidationError as cause:
        raise Fault("data.bad", f"The manifest of the prepared dataset is not valid: {cause}") from cause
    for what in ("rows", "tokens", "trained_tokens"):
        total = sum(getattr(shard, what) for shard in manifest.shards)
        if total != getattr(manifest, what):
            raise Fault("data.bad", f"The manifest counts {getattr(manifest, what)} {what}, its shards {total}.")
    return manifest


def _items_of(folder: Path, shard: ShardEntry, kind: Kind) -> list[Mapping[str, Any]]:
    if kind != "prompts":
        return []
    if shard.items is None:
        raise Fault("data.bad", f"{shard.file}: a shard of prompts must name its items.")
    path = folder / shard.items.file
    if _sha256_of(path) != shard.items.sha256:
        raise Fault("data.bad", f"{path.name} does not have the sha256 of the manifest.")
    items = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    if len(items) != shard.rows or not all(isinstance(item, dict) for item in items):
        raise Fault("data.bad", f"{path.name} must hold an object for each of the {shard.rows} rows of {shard.file}.")
    return items


def _sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class _MappedTensors:
    """The tensors of a safetensors file as views of the mapped file."""

    def __init__(self, path: Path) -> None:
        self._name = path.name
        self._content = np.memmap(path, dtype=np.uint8, mode="r")
        header_bytes = int(self._content[:8].view("<u8")[0])
        if header_bytes > min(_HEADER_BYTES_MAX, self._content.size - 8):
            raise Fault("data.bad", f"{self._name} is cut off.")
        self._start = 8 + header_bytes
        self._header = json.loads(bytes(self._content[8 : self._start]))

    def vector(self, name: str, kind: type[_T], length: int) -> NDArray[_T]:
        entry = self._header.get(name)
        if entry is None or entry["dtype"] != _DTYPE_NAMES[kind] or entry["shape"] != [length]:
            raise Fault("data.bad", f'{self._name}: "{name}" must be {_DTYPE_NAMES[kind]} [{length}].')
        begin, end = entry["data_offsets"]
        return self._content[self._start + begin : self._start + end].view(np.dtype(kind).newbyteorder("<"))
