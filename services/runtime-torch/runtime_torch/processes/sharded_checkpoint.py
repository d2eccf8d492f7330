"""Checkpoints of a sharded model: each process writes what it holds; any number of processes takes what it needs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from torch.distributed.checkpoint.api import CheckpointException
from torch.distributed.checkpoint.hf_storage import HuggingFaceStorageReader, HuggingFaceStorageWriter
from torch.distributed.checkpoint.state_dict_loader import load
from torch.distributed.checkpoint.state_dict_saver import save

from .group import Group, GroupOfSeveral

# It says so of every load that waits for nobody.
warnings.filterwarnings("ignore", message="torch.distributed is disabled", category=UserWarning)


def save_parts(folder: Path, tensors: Mapping[str, torch.Tensor], group: Group) -> None:
    """As safetensors, which say where in the whole their rows lie: PyTorch's own format would hold a pickle."""
    words = group.words if isinstance(group, GroupOfSeveral) else None
    writer = HuggingFaceStorageWriter(str(folder), save_distributed=True)
    with group.meeting("a checkpoint"):
        try:
            save(dict(tensors), storage_writer=writer, process_group=words, no_dist=group.size == 1)
        except CheckpointException as failed:
            raise _cause_of(failed, group.rank) from failed


def load_parts(folder: Path, tensors: Mapping[str, torch.Tensor]) -> None:
    """Fills `tensors`, whole ones or this process's parts of them. Nobody waits for anybody."""
    try:
        load(dict(tensors), storage_reader=HuggingFaceStorageReader(str(folder)), no_dist=True)
    except CheckpointException as failed:
        raise _cause_of(failed, 0) from failed


def _cause_of(failed: CheckpointException, rank: int) -> BaseException:
    """What this rank met, or else another one: a CheckpointException is no Exception, and hides both."""
    cause, _ = failed.failures.get(rank) or next(iter(failed.failures.values()))
    return cause
