"""The same numbers as in `libs/contracts/src/portable-random.test.ts`."""

import numpy as np

from runtime_torch.data.portable_random import RandomStream, epoch_order, lora_initial_values, threefry2x32


def block(key: tuple[int, int], first: int, second: int) -> tuple[int, int]:
    x0, x1 = threefry2x32(key, first, second)
    return int(x0[0]), int(x1[0])


def test_gives_the_known_answers_of_the_published_generator():
    assert block((0, 0), 0, 0) == (0x6B200159, 0x99BA4EFE)
    assert block((0xFFFFFFFF, 0xFFFFFFFF), 0xFFFFFFFF, 0xFFFFFFFF) == (0x1CB996FC, 0xBB002BE7)
    assert block((0x13198A2E, 0x03707344), 0x243F6A88, 0x85A308D3) == (0xC4923A9C, 0x483DF7A0)


def test_streams_orders_and_initial_values_are_those_of_the_other_runtimes():
    first, second = RandomStream(7, "a").pairs(3, 1)
    assert (int(first[0]), int(second[0])) == (2154473796, 1094261286)
    assert epoch_order(8, 42, 0).tolist() == [7, 0, 3, 2, 4, 6, 5, 1]
    assert epoch_order(8, 42, 1).tolist() == [2, 1, 4, 7, 0, 5, 3, 6]
    name = "base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight"
    expected = [0.027393629774451256, -0.03661256656050682, 0.011833538301289082]
    assert lora_initial_values(42, name, 3, 576).tolist() == expected


def test_an_order_holds_every_row_once():
    assert sorted(epoch_order(1000, 1, 0).tolist()) == list(range(1000))


def test_uniform_numbers_are_spread_evenly():
    values = RandomStream(3, "spread").uniform(100_001)
    assert values.dtype == np.float32
    assert 0.495 < values.mean() < 0.505
    assert values.min() >= 0 and values.max() < 1
