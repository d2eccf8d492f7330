"""What this machine's processor can do, known without importing PyTorch."""

from __future__ import annotations

import re
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
# x86 and Arm; without one of them a product in bfloat16 takes up to a hundred times as long as in float32.
_BFLOAT16 = re.compile(r"\b(avx512_bf16|amx_bf16|bf16)\b")


def computes_bfloat16(cpuinfo: Path = _CPUINFO) -> bool:
    """Whether the processor has instructions for bfloat16."""
    try:
        return _BFLOAT16.search(cpuinfo.read_text()) is not None
    except OSError:
        return False
