from pathlib import Path

import numpy as np
import pytest
import torch
from conftest import Sizes, write_model

from runtime_torch.data.global_batches import rows_of
from runtime_torch.data.micro_batch import micro_batches, pack
from runtime_torch.data.prepared_dataset import Row, Unit
from runtime_torch.devices.memory_plan import MemoryMode
from runtime_torch.fault import Fault
from runtime_torch.models.head import summed_loss
from runtime_torch.models.model import PackedModel, load_model, spend_memory
from runtime_torch.models.model_config import ARCHITECTURES, read_model_config

MODEL_TYPE_OF = {
    "LlamaForCausalLM": "llama",
    "MistralForCausalLM": "mistral",
    "Qwen2ForCausalLM": "qwen2",
    "Qwen3ForCausalLM": "qwen3",
}

NO_WINDOW: Sizes = {"sliding_window": None}
CPU = torch.device("cpu")


def row(*tokens: int) -> Row:
    return Row(np.array(tokens, np.int32), np.array([0] + [1] * (len(tokens) - 1), np.uint8), "file-a line 1")


ROWS = [row(5, 6, 7, 8), row(9, 3), row(50, 40, 30, 20, 10, 9)]
UNITS = [Unit(i, (one,)) for i, one in enumerate(ROWS)]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("tied", [True, False])
def test_packed_rows_give_what_transformers_gives_for_each_row_alone(tmp_path: Path, architecture: str, tied: bool):
    folder = write_model(tmp_path / "model", MODEL_TYPE_OF[architecture], tied=tied, sizes=NO_WINDOW)
    assert read_model_config(str(folder)).architectures == [architecture]
    model = load_model(str(folder), torch.float32)
    batch = pack(ROWS)
    ours = PackedModel(model, torch.float32, CPU).over(batch, summed_loss)
    model.set_attn_implementation("eager")
    alone = [torch.from_numpy(one.tokens).long()[None] for one in ROWS]
    losses = [model(input_ids=tokens, labels=tokens).loss * (tokens.shape[1] - 1) for tokens in alone]
    torch.testing.assert_close(ours.float(), torch.stack(losses).sum(), rtol=1e-5, atol=1e-5)


def test_a_window_that_packed_rows_would_not_keep_to_is_refused(tmp_path: Path):
    folder = write_model(tmp_path / "model", "mistral", sizes={"sliding_window": 3})
    with pytest.raises(Fault, match="sliding_window"):
        read_model_config(str(folder))


@pytest.mark.parametrize("memory_mode", ["whole-step", "layer-recompute"])
def test_splitting_a_batch_changes_nothing_but_the_order_of_sums(tmp_path: Path, memory_mode: MemoryMode):
    model = load_model(str(write_model(tmp_path / "model")), torch.float32).train()
    spend_memory(model, memory_mode)
    gradients: list[torch.Tensor] = []
    for budget in (1, 100):
        model.zero_grad()
        for micro in micro_batches(UNITS, budget):
            batch = pack(rows_of(micro))
            PackedModel(model, torch.float32, CPU).over(batch, summed_loss).backward()
        gradients.append(torch.cat([p.grad.flatten() for p in model.parameters() if p.grad is not None]))
    torch.testing.assert_close(gradients[0], gradients[1], rtol=1e-4, atol=1e-5)


def test_rows_fill_micro_batches_longest_first_and_a_longer_one_gets_its_own():
    lengths = [[one.length for one in micro] for micro in micro_batches(UNITS, 6)]
    assert lengths == [[6], [4, 2]]
    assert [[one.length for one in micro] for micro in micro_batches(UNITS, 3)] == [[6], [4], [2]]


def test_the_first_token_of_a_row_is_never_a_label():
    eager = Row(np.array([1, 2], np.int32), np.array([1, 1], np.uint8), "")
    batch = pack([eager, eager])
    assert batch.labels.tolist() == [2, 2]
    assert batch.predictors.tolist() == [0, 2]
