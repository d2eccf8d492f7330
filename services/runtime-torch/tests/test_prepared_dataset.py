import json
from pathlib import Path

import pytest
from conftest import VOCABULARY, write_data

from runtime_torch.fault import Fault
from runtime_torch.prepared_dataset import open_prepared_dataset


def test_rows_come_by_their_number_with_the_place_they_came_from(tmp_path: Path):
    dataset = open_prepared_dataset(str(write_data(tmp_path / "d", [[1, 2, 3], [4, 5, 6, 7]])), VOCABULARY)
    row = dataset.row(1)
    assert row.tokens.tolist() == [4, 5, 6, 7]
    assert row.trained.tolist() == [0, 0, 1, 1]
    assert row.trained_count == 2
    assert row.place == "file-a line 2"
    assert dataset.longest_row == 4


def refusal(folder: Path) -> str:
    with pytest.raises(Fault) as raised:
        open_prepared_dataset(str(folder), VOCABULARY)
    assert raised.value.code == "data.bad"
    return str(raised.value)


def test_bytes_that_are_not_the_manifests_are_refused(tmp_path: Path):
    folder = write_data(tmp_path / "d", [[1, 2, 3]])
    shard = folder / "shard-00000.safetensors"
    shard.write_bytes(shard.read_bytes()[:-1] + b"\7")
    assert "sha256" in refusal(folder)


def test_tokens_the_model_does_not_know_are_refused_with_their_row(tmp_path: Path):
    folder = write_data(tmp_path / "d", [[1, 2, 3], [4, 5, 96]])
    assert "Row 1 holds token 96" in refusal(folder)


def test_totals_that_do_not_add_up_are_refused(tmp_path: Path):
    folder = write_data(tmp_path / "d", [[1, 2, 3]])
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "rows": 2}))
    assert "counts 2 rows, its shards 1" in refusal(folder)


def test_data_of_another_kind_and_data_that_are_missing_are_refused(tmp_path: Path):
    folder = write_data(tmp_path / "d", [[1, 2, 3]])
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "kind": "kto"}))
    assert 'kind "kto"' in refusal(folder)
    refusal(tmp_path / "nowhere")
