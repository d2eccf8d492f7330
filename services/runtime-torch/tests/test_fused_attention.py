"""The choice, on a processor, with an operation of the same form as PyTorch's for GPUs."""

from typing import Any

import pytest
import torch

from runtime_torch.models.fused_attention import HeadShape, fastest_attention
from runtime_torch.models.segment_attention import row_by_row

CPU = torch.device("cpu")
GROUPED = HeadShape(heads=4, key_heads=2, size=8)


def varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    bounds: torch.Tensor,
    key_bounds: torch.Tensor,
    longest: int,
    longest_key: int,
    *,
    scale: float | None,
    window_size: tuple[int, int],
    enable_gqa: bool,
) -> torch.Tensor:
    """Written out: [tokens, heads, size], one product for all tokens with a mask for what they may see."""
    assert bounds.dtype == torch.int32
    assert longest == longest_key == int(bounds.diff().max())
    assert torch.equal(bounds, key_bounds)
    assert window_size == (-1, 0)
    assert query.dtype == torch.bfloat16
    assert enable_gqa == (query.shape[1] != key.shape[1])
    repeats = query.shape[1] // key.shape[1]
    key, value = (part.repeat_interleave(repeats, dim=1) for part in (key, value))
    scores = torch.einsum("qhd,khd->hqk", query.float(), key.float()) * (scale or query.shape[-1] ** -0.5)
    place = torch.arange(len(query))
    row = torch.bucketize(place, bounds[1:], right=True)
    seen = (row[:, None] == row[None, :]) & (place[:, None] >= place[None, :])
    weights = scores.masked_fill(~seen, -torch.inf).softmax(-1)
    return torch.einsum("hqk,khd->qhd", weights, value.float()).to(query.dtype)


@pytest.mark.parametrize("shape", [GROUPED, HeadShape(heads=2, key_heads=2, size=16)])
def test_all_rows_are_taken_at_once_where_that_gives_what_row_by_row_gives(shape: HeadShape):
    attention, why = fastest_attention(CPU, torch.bfloat16, shape, varlen)
    assert why == "all rows at once"
    assert attention is not row_by_row


def test_an_operation_that_lets_rows_see_each_other_is_not_taken():
    def careless(query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, *_: Any, **options: Any) -> torch.Tensor:
        whole = torch.tensor([0, len(query)], dtype=torch.int32)
        return varlen(query, key, value, whole, whole, len(query), len(query), **options)

    attention, why = fastest_attention(CPU, torch.bfloat16, GROUPED, careless)
    assert attention is row_by_row
    assert why.startswith("row by row, as all rows at once came to ")


def test_where_a_device_refuses_the_operation_rows_are_taken_one_by_one_and_it_is_said_why():
    def refusing(*_: Any, **__: Any) -> torch.Tensor:
        raise RuntimeError("FlashAttention only supports Ampere GPUs or newer.\n at ...")

    attention, why = fastest_attention(CPU, torch.bfloat16, GROUPED, refusing)
    assert attention is row_by_row
    assert why.endswith("FlashAttention only supports Ampere GPUs or newer.")


def test_processors_and_float32_take_rows_one_by_one_without_a_trial():
    assert fastest_attention(CPU, torch.bfloat16, GROUPED)[0] is row_by_row
    assert fastest_attention(torch.device("cuda"), torch.float32, GROUPED)[0] is row_by_row
