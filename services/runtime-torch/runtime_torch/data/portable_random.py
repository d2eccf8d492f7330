"""`threefry2x32-20`, the generator of all runtimes: the same bits as `libs/contracts/src/portable-random.ts`."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Words = NDArray[np.uint32]

_PARITY = np.uint32(0x1BD11BDA)
_ROTATIONS = (13, 15, 26, 6, 17, 29, 16, 24)
_ROUNDS = 20
_ROUNDS_PER_INJECTION = 4


def _words(values: int | Words) -> Words:
    return np.atleast_1d(np.asarray(values, dtype=np.uint32))


def threefry2x32(key: tuple[int, int], first: int | Words, second: int | Words) -> tuple[Words, Words]:
    """One block per counter: two words from a key of two words and counters of two words."""
    key0, key1 = _words(key[0]), _words(key[1])
    keys = (key0, key1, _PARITY ^ key0 ^ key1)
    x0, x1 = _words(first) + key0, _words(second) + key1
    for number in range(_ROUNDS):
        rotation = _ROTATIONS[number % len(_ROTATIONS)]
        x0 = x0 + x1
        x1 = ((x1 << np.uint32(rotation)) | (x1 >> np.uint32(32 - rotation))) ^ x0
        if number % _ROUNDS_PER_INJECTION == _ROUNDS_PER_INJECTION - 1:
            injection = (number + 1) // _ROUNDS_PER_INJECTION
            x0 = x0 + keys[injection % 3]
            x1 = x1 + keys[(injection + 1) % 3] + np.uint32(injection)
    return x0, x1


def _fnv1a32(content: bytes) -> int:
    hashed = 0x811C9DC5
    for byte in content:
        hashed = ((hashed ^ byte) * 0x01000193) & 0xFFFFFFFF
    return hashed


class RandomStream:
    """A named stream of random numbers; any number of it is reached without computing those before."""

    def __init__(self, seed: int, name: str) -> None:
        content = name.encode()
        first, second = threefry2x32((seed, 0), _fnv1a32(content), _fnv1a32(content[::-1]))
        self._key = (int(first[0]), int(second[0]))

    def pairs(self, start: int, count: int) -> tuple[Words, Words]:
        """Word pairs `start` to `start + count - 1`."""
        return threefry2x32(self._key, np.arange(start, start + count, dtype=np.uint32), 0)

    def uniform(self, count: int) -> NDArray[np.float32]:
        """Numbers 0 to `count - 1` as 24-bit fractions in [0, 1), exact in float32."""
        words = np.stack(self.pairs(0, (count + 1) // 2), axis=1).reshape(-1)[:count]
        return (words >> np.uint32(8)).astype(np.float32) / np.float32(0x1000000)


def epoch_order(rows: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """The order of `rows` rows (or pairs) in epoch `epoch`, from 0."""
    first, second = RandomStream(seed, f"epoch-order/{epoch}").pairs(0, rows)
    return np.argsort((first.astype(np.uint64) << np.uint64(32)) | second, kind="stable")


def lora_initial_values(seed: int, tensor_name: str, count: int, fan_in: int) -> NDArray[np.float32]:
    """A LoRA A matrix, row-major: Kaiming-uniform with a = sqrt(5), computed in double precision."""
    uniform = RandomStream(seed, tensor_name).uniform(count).astype(np.float64)
    return ((2 * uniform - 1) * (1 / np.sqrt(np.float64(fan_in)))).astype(np.float32)
