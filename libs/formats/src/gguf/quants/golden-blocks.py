"""Makes golden-blocks.json: blocks of every quantised type that is read, and what the reference makes of them.

Run in an environment of its own: pip install gguf==0.19.0 numpy==2.4.6, then python golden-blocks.py > golden-blocks.json
"""

import base64
import json

import gguf
import numpy as np

TYPES = ["Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]
# Bytes at which half precision numbers lie: random bits there could be infinite.
HALVES = {"Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0], "Q2_K": [80, 82], "Q3_K": [108]}
HALVES |= {"Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208]}
# Ordinary, negative, zero and subnormal scales.
SCALES = [0.0123, -1.75, 0.0, 5.0e-7]


def encoded(array: np.ndarray) -> str:
    return base64.b64encode(array.tobytes()).decode()


def dequantised(random: np.random.Generator, name: str) -> dict[str, str]:
    kind = gguf.GGMLQuantizationType[name]
    _, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (len(SCALES), size), dtype=np.uint8)
    for at in HALVES[name]:
        blocks[:, at : at + 2] = np.array(SCALES, np.float16).reshape(-1, 1).view(np.uint8)
    return {"blocks": encoded(blocks), "values": encoded(gguf.quants.dequantize(blocks, kind).astype("<f4"))}


def quantised(random: np.random.Generator) -> dict[str, str]:
    values = random.standard_normal((6, 32)).astype(np.float32)
    values[1] = 0
    values[2] *= 1e-7
    values[3] = np.linspace(-127, 127, 32) + 0.5  # halves, with a scale of about one
    values[4] *= 1e4
    blocks = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
    return {"values": encoded(values), "blocks": encoded(blocks)}


seeded = np.random.default_rng(7)
golden = {"read": {name: dequantised(seeded, name) for name in TYPES}, "written": {"Q8_0": quantised(seeded)}}
print(json.dumps(golden, indent=2))
