import json
from pathlib import Path

import pytest
from conftest import VOCABULARY, write_data

from runtime_torch.data.prepared_dataset import open_prepared_dataset
from runtime_torch.fault import Fault


def test_rows_come_by_their_number_with_the_place_they_came_from(tmp_path: Path):
    dataset = open_prepared_dataset(str(write_data(tmp_path / "d", [[1, 2, 3], [4, 5, 6, 7]])), VOCABULARY, ("sft",))
    (row,) = dataset.unit(1).rows
    assert row.tokens.tolist() == [4, 5, 6, 7]
    assert row.trained.tolist() == [0, 0, 1, 1]
    assert row.trained_count == 2
    assert row.place == "file-a line 2"
    assert dataset.longest_pass == 4


def refusal(folder: Path) -> str:
    with pytest.raises(Fault) as raised:
        open_prepared_dataset(str(folder), VOCABULARY, ("sft",))
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


def test_a_pair_is_one_unit_and_goes_through_the_model_as_a_whole(tmp_path: Path):
    folder = write_data(tmp_path / "d", [[1, 2, 3], [1, 2, 4, 5], [6, 7, 8], [6, 7, 9]], kind="preference")
    dataset = open_prepared_dataset(str(folder), VOCABULARY, ("preference",))
    assert (dataset.rows, dataset.units, dataset.longest_pass) == (4, 2, 7)
    second = dataset.unit(1)
    assert [row.tokens.tolist() for row in second.rows] == [[6, 7, 8], [6, 7, 9]]
    assert (second.length, second.trained_count, second.rows[1].prompt_length) == (6, 2, 2)


def test_rated_rows_carry_their_label_and_the_longest_pass_joins_a_prompt_with_any_answer(tmp_path: Path):
    folder = write_data(tmp_path / "d", [[1, 2, 3], [4, 5, 6, 7]], kind="kto", labels=[0, 1])
    dataset = open_prepared_dataset(str(folder), VOCABULARY, ("kto",))
    assert [dataset.unit(i).rows[0].desirable for i in range(2)] == [False, True]
    assert dataset.longest_pass == 4


def test_the_longest_units_are_chosen_as_wholes_and_numbered_anew(tmp_path: Path):
    folder = write_data(tmp_path / "d", [[1, 2, 3], [1, 2, 3, 4], [5, 6, 7], [5, 6, 7, 8, 9]], kind="preference")
    longest = open_prepared_dataset(str(folder), VOCABULARY, ("preference",)).longest(1)
    assert (longest.rows, longest.units) == (2, 1)
    assert [(unit.index, unit.rows[1].place) for unit in longest] == [(0, "file-a line 4")]


def test_half_a_pair_and_a_prompt_longer_than_its_row_are_refused(tmp_path: Path):
    half = write_data(tmp_path / "half", [[1, 2, 3]], kind="preference")
    with pytest.raises(Fault, match="whole pairs"):
        open_prepared_dataset(str(half), VOCABULARY, ("preference",))
    assert "promptLength" in refusal(write_data(tmp_path / "long", [[1, 2, 3], [1]], prompt_length=2))


def test_data_of_another_kind_and_data_that_are_missing_are_refused(tmp_path: Path):
    folder = write_data(tmp_path / "d", [[1, 2, 3]])
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "kind": "kto"}))
    assert 'kind "kto"' in refusal(folder)
    refusal(tmp_path / "nowhere")
